//! The binary.

use std::process::ExitCode;

use docklet_control::model::ClusterVersion;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    docklet::run(ClusterVersion::CURRENT)
}
