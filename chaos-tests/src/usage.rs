//! What processes and this machine use.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// Resident memory of a process, in MiB.
pub fn resident_mib(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    let kib = kib.with_context(|| format!("{path} says nothing of memory"))?;
    Ok(kib / 1_024.0)
}

/// CPU time that processes have used together, in the kernel's ticks of 10 ms.
fn ticks(pids: &[u32]) -> u64 {
    let spent = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may contain anything; fields are counted from its end.
        let (_, fields) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let number = |field: usize| fields.get(field)?.parse::<u64>().ok();
        Some(number(11)? + number(12)?)
    };
    pids.iter().filter_map(spent).sum()
}

/// CPU time that the whole machine has spent, not idle and not waiting for a disk.
fn busy_ticks() -> u64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let fields = line.split_whitespace().skip(1);
    let fields: Vec<u64> = fields.filter_map(|field| field.parse().ok()).collect();
    // user, nice, system; then idle, iowait; then irq, softirq, steal
    let counts = |index: usize| fields.get(index).copied().unwrap_or_default();
    [0, 1, 2, 5, 6, 7].into_iter().map(counts).sum()
}

/// What was used since a moment.
pub struct Meter {
    pids: Vec<u32>,
    servers: u64,
    own: u64,
    busy: u64,
    begun: std::time::Instant,
}

/// What was used in a while.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// CPU time of the metered processes.
    pub servers: Duration,
    /// Of all cores, what others than these processes and this one used, in percent.
    pub foreign_percent: f64,
    pub elapsed: Duration,
}

impl Meter {
    /// Starts to meter these processes.
    #[must_use]
    pub fn start(pids: Vec<u32>) -> Self {
        Self {
            servers: ticks(&pids),
            own: ticks(&[std::process::id()]),
            busy: busy_ticks(),
            begun: std::time::Instant::now(),
            pids,
        }
    }

    /// What was used until now.
    #[must_use]
    pub fn read(&self) -> Used {
        let servers = ticks(&self.pids).saturating_sub(self.servers);
        let own = ticks(&[std::process::id()]).saturating_sub(self.own);
        let busy = busy_ticks().saturating_sub(self.busy);
        let foreign = busy.saturating_sub(servers + own);
        let elapsed = self.begun.elapsed();
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        Used {
            servers: Duration::from_millis(servers * 10),
            foreign_percent: foreign as f64 / elapsed.as_secs_f64() / cores,
            elapsed,
        }
    }
}
