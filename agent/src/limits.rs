//! What a vnode may use at most, in the words of the kernel's two versions of cgroups, and of setrlimit(2).

use docklet_control::amount::VnodeSize;
use nix::sys::resource::{Resource, getrlimit};
use serde::{Deserialize, Serialize};

use crate::cgroup::Cgroups;

/// CPU quotas are shares of this period.
const CPU_PERIOD_US: u64 = 100_000;
/// Weight of one whole core when cores are short, in version 1 and version 2.
const SHARES_OF_CORE: u64 = 1_024;
const WEIGHT_OF_CORE: u64 = 100;

/// What a vnode may read from and write to a worker's disk at most, each way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoLimit {
    pub bytes_per_s: u64,
    pub operations_per_s: u64,
}

impl Default for IoLimit {
    /// A fair share of an ordinary solid-state disk.
    fn default() -> Self {
        Self {
            bytes_per_s: 256 << 20,
            operations_per_s: 8_000,
        }
    }
}

/// All limits of a vnode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub size: VnodeSize,
    /// The disk on which the vnode's files are, as `major:minor`, and what it may do there; none where the kernel has
    /// no single disk for them.
    pub io: Option<((u64, u64), IoLimit)>,
}

/// A device that a vnode may use, as the kernel's list has it: `c 1:3 rwm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRule {
    pub major: u32,
    /// All of them if none.
    pub minor: Option<u32>,
}

impl DeviceRule {
    /// What every vnode may use: null, zero, full, random, urandom, tty, ptmx, and its own terminals.
    pub const USUAL: [Self; 8] = [
        Self::one(1, 3),
        Self::one(1, 5),
        Self::one(1, 7),
        Self::one(1, 8),
        Self::one(1, 9),
        Self::one(5, 0),
        Self::one(5, 2),
        Self {
            major: 136,
            minor: None,
        },
    ];

    const fn one(major: u32, minor: u32) -> Self {
        Self {
            major,
            minor: Some(minor),
        }
    }

    /// All of this kind are character devices.
    pub(crate) fn text(self) -> String {
        let minor = self.minor.map_or_else(|| "*".to_owned(), |m| m.to_string());
        format!("c {}:{minor} rwm", self.major)
    }
}

/// The file of version 1 that says which devices there are.
pub(crate) const DEVICES: &str = "devices.list";

/// One file of a cgroup and what is written to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    pub file: String,
    pub value: String,
}

fn word(file: &str, value: impl ToString) -> Word {
    Word {
        file: file.to_owned(),
        value: value.to_string(),
    }
}

impl Limits {
    /// What is written, and must be read back after the start: what liblxc accepts it may still ignore.
    #[must_use]
    pub fn words(&self, cgroups: &Cgroups) -> Vec<Word> {
        if cgroups.unified() {
            self.unified()
        } else {
            self.legacy(cgroups.counts_swap())
        }
    }

    fn memory_bytes(&self) -> u64 {
        u64::from(self.size.memory_mib.0) << 20
    }

    /// Microseconds of CPU in each period.
    fn quota_us(&self) -> u64 {
        u64::from(self.size.cpu_milli.0) * CPU_PERIOD_US / 1_000
    }

    fn of_core(&self, whole: u64) -> u64 {
        u64::from(self.size.cpu_milli.0) * whole / 1_000
    }

    fn legacy(&self, counts_swap: bool) -> Vec<Word> {
        let memory = self.memory_bytes();
        let mut words = vec![word("memory.limit_in_bytes", memory)];
        if counts_swap {
            words.push(word("memory.memsw.limit_in_bytes", memory));
        }
        words.extend([
            word("cpu.cfs_period_us", CPU_PERIOD_US),
            word("cpu.cfs_quota_us", self.quota_us()),
            // The kernel takes no less.
            word("cpu.shares", self.of_core(SHARES_OF_CORE).max(2)),
            word("pids.max", self.size.pids_max),
        ]);
        if let Some(((major, minor), io)) = self.io {
            for (file, most) in [
                ("read_bps_device", io.bytes_per_s),
                ("write_bps_device", io.bytes_per_s),
                ("read_iops_device", io.operations_per_s),
                ("write_iops_device", io.operations_per_s),
            ] {
                let file = format!("blkio.throttle.{file}");
                words.push(word(&file, format!("{major}:{minor} {most}")));
            }
        }
        words
    }

    fn unified(&self) -> Vec<Word> {
        let mut words = vec![
            word("memory.max", self.memory_bytes()),
            word("memory.swap.max", 0),
            word("cpu.max", format!("{} {CPU_PERIOD_US}", self.quota_us())),
            word("cpu.weight", self.of_core(WEIGHT_OF_CORE).clamp(1, 10_000)),
            word("pids.max", self.size.pids_max),
        ];
        if let Some(((major, minor), io)) = self.io {
            let (bytes, operations) = (io.bytes_per_s, io.operations_per_s);
            let each = format!("rbps={bytes} wbps={bytes} riops={operations} wiops={operations}");
            words.push(word("io.max", format!("{major}:{minor} {each}")));
        }
        words
    }
}

/// Open files of each process, unless it asks for more, and at most: enough for servers.
const FILES: (u64, u64) = (65_536, 1 << 20);

/// Limits of each process, which none in the vnode can raise: no core files, for the worker's own handler of them would
/// get them; no more open files than this agent may have itself.
pub(crate) fn of_processes() -> [(&'static str, String); 2] {
    let own = getrlimit(Resource::RLIMIT_NOFILE).map_or(FILES.0, |(_, hard)| hard);
    let (usual, most) = (FILES.0.min(own), FILES.1.min(own));
    let files = if usual == most {
        most.to_string()
    } else {
        format!("{usual}:{most}")
    };
    [("core", "0".to_owned()), ("nofile", files)]
}
