//! The worker itself: all cores, its memory, the file system of the state directory, devices that are not vnodes', disks.

use std::path::{Path, PathBuf};

use super::cgroup::{Buffer, Held};
use super::counters::Counters;
use super::parse::{self, Network};

/// Devices that carry vnodes' traffic a second time, or none.
const INNER: [&str; 3] = ["lo", "dk", "ifb"];

/// The open files of the machine.
pub struct Machine {
    stat: Held,
    memory: Held,
    load: Held,
    disks: Held,
    stall: [Held; 3],
    state_dir: PathBuf,
    ticks_per_s: u64,
}

impl Machine {
    /// Opens what there is.
    #[must_use]
    pub fn open(state_dir: &Path) -> Self {
        let held = |name: &str| Held::open(&Path::new("/proc").join(name));
        let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK);
        let ticks = ticks
            .ok()
            .flatten()
            .and_then(|ticks| u64::try_from(ticks).ok());
        Self {
            stat: held("stat"),
            memory: held("meminfo"),
            load: held("loadavg"),
            disks: held("diskstats"),
            stall: ["cpu", "memory", "io"].map(|kind| held(&format!("pressure/{kind}"))),
            state_dir: state_dir.to_owned(),
            ticks_per_s: ticks.unwrap_or(100),
        }
    }

    /// Reads all of it but the network, which whoever reads all devices adds.
    pub fn read(&mut self, buffer: &mut Buffer) -> Counters {
        let mut counters = Counters::default();
        let ticks = self.ticks_per_s;
        let stat = self.stat.read(buffer);
        counters.cpu_us = stat.and_then(|text| parse::busy_us(text, ticks));
        counters.memory_bytes = self.memory.read(buffer).and_then(memory_bytes);
        counters.processes = self.load.read(buffer).and_then(parse::tasks);
        counters.io = self.disks.read(buffer).map(parse::diskstats);
        for (stall, told) in self.stall.iter_mut().zip(&mut counters.stall_us) {
            *told = stall.read(buffer).and_then(parse::pressure_us);
        }
        let disk = nix::sys::statvfs::statvfs(&self.state_dir).ok();
        counters.disk_bytes = disk.map(|fs| (fs.blocks() - fs.blocks_free()) * fs.fragment_size());
        counters
    }
}

/// What is in use and cannot be dropped.
fn memory_bytes(text: &str) -> Option<u64> {
    let total = parse::keyed(text, "MemTotal")?;
    let available = parse::keyed(text, "MemAvailable")?;
    Some(total.saturating_sub(available) * 1_024)
}

/// Totals of all devices in `/proc/net/dev`: those of the vnodes named by `vnode`, and the machine's own together.
pub fn network(text: &str, mut vnode: impl FnMut(u64, Network)) -> Network {
    let mut own = Network::default();
    for (name, totals) in parse::devices(text) {
        let number = name.strip_prefix("dkh").and_then(|rest| rest.parse().ok());
        if let Some(id) = number {
            // What the machine's end of the pair sends, the vnode receives.
            vnode(
                id,
                Network {
                    received_bytes: totals.sent_bytes,
                    received_packets: totals.sent_packets,
                    sent_bytes: totals.received_bytes,
                    sent_packets: totals.received_packets,
                },
            );
        } else if !INNER.iter().any(|kind| name.starts_with(kind)) {
            own.received_bytes += totals.received_bytes;
            own.received_packets += totals.received_packets;
            own.sent_bytes += totals.sent_bytes;
            own.sent_packets += totals.sent_packets;
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_vnode_sends_its_device_on_the_machine_receives() {
        let mut seen = Vec::new();
        let own = network(include_str!("recorded/machine/net_dev"), |id, totals| {
            seen.push((id, totals.sent_bytes, totals.received_bytes));
        });
        assert_eq!(seen, [(7, 1_296, 2_840)]);
        assert_eq!(own.received_bytes, 261_781_113, "eth0 and nothing else");
    }

    #[test]
    fn this_machine_has_cores_memory_and_a_disk() {
        let dir = tempfile::tempdir().expect("a directory");
        let read = Machine::open(dir.path()).read(&mut Buffer::default());
        assert!(read.cpu_us.is_some_and(|us| us > 0));
        assert!(read.memory_bytes.is_some_and(|bytes| bytes > 1 << 20));
        assert!(read.disk_bytes.is_some_and(|bytes| bytes > 1 << 20));
        assert!(read.processes.is_some_and(|count| count > 1));
    }
}
