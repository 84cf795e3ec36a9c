//! What this worker is and offers.

use docklet_control::amount::{CpuMilli, DiskMib, MemoryMib};
use docklet_control::model::{Gpu, WorkerCapacity, WorkerFacts};
use nvml_wrapper::Nvml;

/// Everything that the machine has. A smaller offer is the configuration's matter.
#[must_use]
pub fn capacity(state_dir: &std::path::Path) -> WorkerCapacity {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let disk = nix::sys::statvfs::statvfs(state_dir)
        .map_or(0, |fs| fs.fragment_size() * fs.blocks() / (1 << 20));
    WorkerCapacity {
        cpu_milli: CpuMilli(u32::try_from(cores * 1_000).unwrap_or(u32::MAX)),
        memory_mib: MemoryMib(memory_mib()),
        disk_mib: DiskMib(disk),
        gpus: gpus(),
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

/// Accelerators, if there is a driver. A machine without one has no library, which is no fault.
fn gpus() -> Vec<Gpu> {
    let Ok(nvml) = Nvml::init() else {
        return Vec::new();
    };
    let count = nvml.device_count().unwrap_or(0);
    let describe = |index| {
        let device = nvml.device_by_index(index).ok()?;
        let memory_mib = device.memory_info().ok()?.total / (1 << 20);
        Some(Gpu {
            uuid: device.uuid().ok()?,
            model: device.name().ok()?,
            memory_mib: MemoryMib(u32::try_from(memory_mib).unwrap_or(u32::MAX)),
        })
    };
    (0..count).filter_map(describe).collect()
}

/// What the agent says of itself to the masters.
#[must_use]
pub fn facts(capacity: WorkerCapacity) -> WorkerFacts {
    let kernel = nix::sys::utsname::uname()
        .map(|names| names.release().to_string_lossy().into_owned())
        .unwrap_or_default();
    WorkerFacts {
        capacity,
        kernel,
        liblxc: crate::lxc::version(),
        agent: env!("CARGO_PKG_VERSION").to_owned(),
    }
}
