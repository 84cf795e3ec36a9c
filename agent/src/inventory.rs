//! What this worker is and offers.

use docklet_control::amount::{CpuMilli, DiskMib, MemoryMib};
use docklet_control::model::{WorkerCapacity, WorkerFacts};

use crate::gpu::Sight;

/// Everything that the machine has, but for GPUs: those that are well come and go, and are told by [`crate::gpu`]. A smaller
/// offer is the configuration's matter.
#[must_use]
pub fn capacity(state_dir: &std::path::Path) -> WorkerCapacity {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let disk = nix::sys::statvfs::statvfs(state_dir)
        .map_or(0, |fs| fs.fragment_size() * fs.blocks() / (1 << 20));
    WorkerCapacity {
        cpu_milli: CpuMilli(u32::try_from(cores * 1_000).unwrap_or(u32::MAX)),
        memory_mib: MemoryMib(memory_mib()),
        disk_mib: DiskMib(disk),
        gpus: Vec::new(),
    }
}

fn memory_mib() -> u32 {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = info
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse::<u64>().ok());
    u32::try_from(kib.unwrap_or(0) / 1_024).unwrap_or(u32::MAX)
}

/// What the agent says of itself to the masters.
#[must_use]
pub fn facts(capacity: WorkerCapacity, gpus: &Sight) -> WorkerFacts {
    let kernel = nix::sys::utsname::uname()
        .map(|names| names.release().to_string_lossy().into_owned())
        .unwrap_or_default();
    WorkerFacts {
        capacity: WorkerCapacity {
            gpus: gpus.offered(),
            ..capacity
        },
        kernel,
        liblxc: crate::lxc::version().unwrap_or_default(),
        agent: env!("CARGO_PKG_VERSION").to_owned(),
    }
}
