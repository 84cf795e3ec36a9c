//! What the kernel's files say, in numbers. Pure; nothing is allocated. A field that is not there is none: kernels
//! differ, and a missing figure is no fault.

/// Totals of a network device or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Network {
    pub received_bytes: u64,
    pub received_packets: u64,
    pub sent_bytes: u64,
    pub sent_packets: u64,
}

/// Totals of disks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Io {
    pub read_bytes: u64,
    pub written_bytes: u64,
    pub reads: u64,
    pub writes: u64,
}

/// The only number of a file.
#[must_use]
pub fn number(text: &str) -> Option<u64> {
    text.trim_ascii().parse().ok()
}

/// The number after `key` in a file of lines `key number`.
#[must_use]
pub fn keyed(text: &str, key: &str) -> Option<u64> {
    let rest = |line: &'_ str| {
        let rest = line.strip_prefix(key)?;
        let rest = rest.strip_prefix([' ', ':', '\t'])?;
        number(rest.split_ascii_whitespace().next()?)
    };
    text.lines().find_map(rest)
}

/// Microseconds in which at least one task waited, of a pressure file.
#[must_use]
pub fn pressure_us(text: &str) -> Option<u64> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    number(some.rsplit_once("total=")?.1)
}

/// Reads and writes of all devices together, of a `blkio.throttle.io_*` file of version 1; none if no device is
/// listed: kernels count only where some limit is set.
#[must_use]
pub fn blkio(text: &str) -> Option<(u64, u64)> {
    let mut sums = (0_u64, 0_u64);
    let mut any = false;
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(_device), Some(kind), Some(amount)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let amount = number(amount)?;
        any = true;
        match kind {
            "Read" => sums.0 = sums.0.saturating_add(amount),
            "Write" => sums.1 = sums.1.saturating_add(amount),
            // Sync, Async, Discard and Total count the same operations another way.
            _ => {}
        }
    }
    any.then_some(sums)
}

/// All devices together, of an `io.stat` of version 2.
#[must_use]
pub fn io_stat(text: &str) -> Io {
    let mut io = Io::default();
    for word in text.split_ascii_whitespace() {
        let Some((key, amount)) = word.split_once('=') else {
            continue;
        };
        let sum = match key {
            "rbytes" => &mut io.read_bytes,
            "wbytes" => &mut io.written_bytes,
            "rios" => &mut io.reads,
            "wios" => &mut io.writes,
            _ => continue,
        };
        *sum = sum.saturating_add(number(amount).unwrap_or(0));
    }
    io
}

/// Name and totals of each device of `/proc/net/dev`.
pub fn devices(text: &str) -> impl Iterator<Item = (&str, Network)> {
    text.lines().filter_map(|line| {
        // Two lines of headings have no colon.
        let (name, rest) = line.split_once(':')?;
        let mut words = rest.split_ascii_whitespace().map(number);
        let mut at = |skipped: usize| words.nth(skipped).flatten();
        let network = Network {
            received_bytes: at(0)?,
            received_packets: at(0)?,
            sent_bytes: at(6)?,
            sent_packets: at(0)?,
        };
        Some((name.trim_ascii(), network))
    })
}

/// Microseconds of CPU that all cores together have worked, of `/proc/stat`.
#[must_use]
pub fn busy_us(text: &str, ticks_per_s: u64) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with("cpu "))?;
    let mut words = line.split_ascii_whitespace().skip(1).map(number);
    let mut at = |skipped: usize| words.nth(skipped).flatten();
    // user nice system idle iowait irq softirq steal; time of guests is part of user's.
    let (user, nice, system) = (at(0)?, at(0)?, at(0)?);
    let (irq, softirq, steal) = (at(2)?, at(0)?, at(0)?);
    let ticks = user + nice + system + irq + softirq + steal;
    Some(ticks.saturating_mul(1_000_000) / ticks_per_s.max(1))
}

/// Whole disks together, of `/proc/diskstats`: partitions, loops and what is stacked on disks would count twice.
#[must_use]
pub fn diskstats(text: &str) -> Io {
    const SECTOR_BYTES: u64 = 512;
    let mut io = Io::default();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        if !words.nth(2).is_some_and(is_whole_disk) {
            continue;
        }
        let mut words = words.map(|word| number(word).unwrap_or(0));
        // reads merged sectors ms writes merged sectors
        let (reads, _, read, _) = (words.next(), words.next(), words.next(), words.next());
        let (writes, _, written) = (words.next(), words.next(), words.next());
        io.reads += reads.unwrap_or(0);
        io.writes += writes.unwrap_or(0);
        io.read_bytes += read.unwrap_or(0) * SECTOR_BYTES;
        io.written_bytes += written.unwrap_or(0) * SECTOR_BYTES;
    }
    io
}

fn is_whole_disk(name: &str) -> bool {
    let letters_only =
        |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase());
    let scsi_like = ["sd", "vd", "xvd", "hd"]
        .iter()
        .any(|kind| name.strip_prefix(kind).is_some_and(letters_only));
    let numbered = ["nvme", "mmcblk"].iter().any(|kind| {
        name.strip_prefix(kind)
            .is_some_and(|rest| !rest.contains('p'))
    });
    scsi_like || numbered
}

/// Processes and threads of the machine, of `/proc/loadavg`.
#[must_use]
pub fn tasks(text: &str) -> Option<u64> {
    let field = text.split_ascii_whitespace().nth(3)?;
    number(field.split_once('/')?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_v1_cgroup_is_read_as_it_was_recorded() {
        assert_eq!(
            number(include_str!("recorded/v1/cpuacct.usage")),
            Some(577_284_316)
        );
        let cpu = include_str!("recorded/v1/cpu.stat");
        assert_eq!(keyed(cpu, "throttled_time"), Some(338_825_658));
        assert_eq!(
            number(include_str!("recorded/v1/memory.usage_in_bytes")),
            Some(1_183_744)
        );
        let memory = include_str!("recorded/v1/memory.stat");
        assert_eq!(keyed(memory, "total_inactive_file"), Some(12_288));
        assert_eq!(number(include_str!("recorded/v1/pids.current")), Some(4));
        let bytes = include_str!("recorded/v1/blkio.throttle.io_service_bytes_recursive");
        assert_eq!(blkio(bytes), Some((1_130_496, 20_971_520)));
        let count = include_str!("recorded/v1/blkio.throttle.io_serviced_recursive");
        assert_eq!(blkio(count), Some((19, 20)));
    }

    #[test]
    fn a_v2_cgroup_is_read_as_it_was_recorded() {
        let cpu = include_str!("recorded/v2/cpu.stat");
        assert_eq!(keyed(cpu, "usage_usec"), Some(2_116_418));
        assert_eq!(keyed(cpu, "throttled_usec"), Some(1_958_211));
        let memory = include_str!("recorded/v2/memory.stat");
        assert_eq!(keyed(memory, "inactive_file"), Some(4_866_048));
        let io = include_str!("recorded/v2/io.stat");
        let expected = Io {
            read_bytes: 4_952_064 + 4_096,
            written_bytes: 20_971_520,
            reads: 165,
            writes: 20,
        };
        assert_eq!(io_stat(io), expected);
        let pressure = include_str!("recorded/v2/cpu.pressure");
        assert_eq!(pressure_us(pressure), Some(1_985_430));
    }

    #[test]
    fn a_machine_is_read_as_it_was_recorded() {
        let devices: Vec<_> = devices(include_str!("recorded/machine/net_dev")).collect();
        let names: Vec<&str> = devices.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["lo", "eth0", "dkb40", "dkh7"]);
        let expected = Network {
            received_bytes: 1_296,
            received_packets: 18,
            sent_bytes: 2_840,
            sent_packets: 31,
        };
        assert_eq!(devices[3].1, expected);
        let stat = include_str!("recorded/machine/stat");
        assert_eq!(busy_us(stat, 100), Some(2_306_530_000));
        let disks = diskstats(include_str!("recorded/machine/diskstats"));
        let expected = Io {
            read_bytes: 512 * (6_088_330 + 30),
            written_bytes: 512 * (12_708_512 + 40),
            reads: 98_084 + 3,
            writes: 171_748 + 4,
        };
        assert_eq!(
            disks, expected,
            "vda and nvme0n1, without partitions and loops"
        );
        assert_eq!(tasks("0.52 0.61 0.70 3/512 20931\n"), Some(512));
    }

    #[test]
    fn what_is_cut_short_or_strange_is_no_fault() {
        for text in [
            "",
            "\n",
            "some",
            "some total=",
            "cpu ",
            ":",
            "a:",
            "x y z",
            "=1 rbytes=",
        ] {
            assert_eq!(pressure_us(text), None);
            assert_eq!(busy_us(text, 100), None);
            assert_eq!(blkio(text), None);
            assert_eq!(io_stat(text), Io::default());
            assert_eq!(diskstats(text), Io::default());
            assert_eq!(devices(text).count(), 0);
            assert_eq!(keyed(text, "some"), None);
        }
    }
}
