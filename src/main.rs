//! The binary.

use std::process::ExitCode;

use docklet_control::model::ClusterVersion;

fn main() -> ExitCode {
    docklet::run(ClusterVersion::CURRENT)
}
