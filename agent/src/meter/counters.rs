//! What was read at one moment, and what two such moments say of the time between them. Pure.

use docklet_control::meter::{Measure, Totals, Usage, Values};

use super::parse::{Io, Network};

/// What one vnode, or the worker, had used when it was looked at. None: the kernel does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counters {
    pub cpu_us: Option<u64>,
    pub throttled_us: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub disk_bytes: Option<u64>,
    pub processes: Option<u64>,
    pub network: Option<Network>,
    pub io: Option<Io>,
    /// Microseconds of waiting for CPU, memory and disks.
    pub stall_us: [Option<u64>; 3],
    /// Use, 1 for each GPU wholly in use, and bytes in use on them.
    pub gpu: Option<(f32, u64)>,
}

impl Counters {
    /// Use between `before` and this, `seconds` apart. A counter that is lower now began anew in between.
    #[must_use]
    pub fn since(&self, before: &Self, seconds: f64) -> Usage {
        let rate = |now: Option<u64>, before: Option<u64>| {
            let (now, before) = (now?, before?);
            let grown = if now < before { now } else { now - before };
            Some(grown as f64 / seconds.max(0.001))
        };
        let network = |field: fn(&Network) -> u64| {
            rate(
                self.network.as_ref().map(field),
                before.network.as_ref().map(field),
            )
        };
        let io = |field: fn(&Io) -> u64| {
            rate(self.io.as_ref().map(field), before.io.as_ref().map(field))
        };
        let stall = |place: usize| {
            rate(self.stall_us[place], before.stall_us[place]).map(|us| us / 1_000_000.0)
        };
        let cpu_milli = rate(self.cpu_us, before.cpu_us).map(|us| us / 1_000.0);
        let memory = self.memory_bytes.map(|bytes| bytes as f64);
        let mut values = Values::default();
        let known = [
            (Measure::CpuMilli, cpu_milli),
            (Measure::CpuMilliMax, cpu_milli),
            (Measure::MemoryBytes, memory),
            (Measure::MemoryBytesMax, memory),
            (
                Measure::DiskBytes,
                self.disk_bytes.map(|bytes| bytes as f64),
            ),
            (Measure::Processes, self.processes.map(|count| count as f64)),
            (Measure::ReceivedBytes, network(|n| n.received_bytes)),
            (Measure::SentBytes, network(|n| n.sent_bytes)),
            (Measure::ReceivedPackets, network(|n| n.received_packets)),
            (Measure::SentPackets, network(|n| n.sent_packets)),
            (Measure::ReadBytes, io(|io| io.read_bytes)),
            (Measure::WrittenBytes, io(|io| io.written_bytes)),
            (Measure::Reads, io(|io| io.reads)),
            (Measure::Writes, io(|io| io.writes)),
            (Measure::CpuStall, stall(0)),
            (Measure::MemoryStall, stall(1)),
            (Measure::IoStall, stall(2)),
            (
                Measure::Throttled,
                rate(self.throttled_us, before.throttled_us).map(|us| us / 1_000_000.0),
            ),
            (Measure::Gpu, self.gpu.map(|(used, _)| f64::from(used))),
            (
                Measure::GpuMemoryBytes,
                self.gpu.map(|(_, bytes)| bytes as f64),
            ),
        ];
        for (measure, value) in known {
            if let Some(value) = value {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "seven digits are more than any of these figures is good for"
                )]
                values.set(measure, value as f32);
            }
        }
        Usage {
            values,
            totals: self.totals(),
        }
    }

    fn totals(&self) -> Totals {
        let network = self.network.unwrap_or_default();
        let io = self.io.unwrap_or_default();
        Totals {
            cpu_us: self.cpu_us.unwrap_or(0),
            throttled_us: self.throttled_us.unwrap_or(0),
            received_bytes: network.received_bytes,
            sent_bytes: network.sent_bytes,
            received_packets: network.received_packets,
            sent_packets: network.sent_packets,
            read_bytes: io.read_bytes,
            written_bytes: io.written_bytes,
            reads: io.reads,
            writes: io.writes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_time_between_two_looks() {
        let before = Counters {
            cpu_us: Some(1_000_000),
            memory_bytes: Some(9),
            stall_us: [Some(0), None, Some(7)],
            ..Counters::default()
        };
        let now = Counters {
            cpu_us: Some(2_500_000),
            memory_bytes: Some(4_096),
            stall_us: [Some(1_000_000), Some(5), Some(7)],
            ..Counters::default()
        };
        let values = now.since(&before, 2.0).values;
        assert_eq!(values.get(Measure::CpuMilli), Some(750.0));
        assert_eq!(values.get(Measure::MemoryBytes), Some(4_096.0));
        assert_eq!(values.get(Measure::CpuStall), Some(0.5));
        assert_eq!(
            values.get(Measure::MemoryStall),
            None,
            "one look is no rate"
        );
        assert_eq!(values.get(Measure::IoStall), Some(0.0));
        assert_eq!(values.get(Measure::ReceivedBytes), None);
    }

    #[test]
    fn a_counter_that_began_anew_counts_from_nothing() {
        let before = Counters {
            cpu_us: Some(9_000_000),
            ..Counters::default()
        };
        let now = Counters {
            cpu_us: Some(20_000),
            ..Counters::default()
        };
        let usage = now.since(&before, 1.0);
        assert_eq!(usage.values.get(Measure::CpuMilli), Some(20.0));
        assert_eq!(usage.totals.cpu_us, 20_000);
    }
}
