//! Docklet as it was before the cluster version that it knows now: the same program, whose masters know one less. Tests
//! of upgrades begin with it.

use std::process::ExitCode;

use docklet_control::model::ClusterVersion;

fn main() -> ExitCode {
    docklet::run(ClusterVersion(ClusterVersion::CURRENT.0 - 1))
}
