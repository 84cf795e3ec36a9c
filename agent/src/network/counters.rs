//! How much vnodes have sent and received since they were plugged in.

use std::collections::BTreeMap;
use std::fs;

use docklet_control::id::VnodeId;

use super::names::host_device;
use crate::fault::AgentFault;

/// Where the kernel counts, of the network namespace of the calling thread.
const COUNTERS: &str = "/proc/thread-self/net/dev";

/// What a vnode has sent and received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub sent_bytes: u64,
    pub sent_packets: u64,
    pub received_bytes: u64,
    pub received_packets: u64,
}

/// One vnode's counters; none if it is not plugged in.
///
/// # Errors
/// The kernel does not tell.
pub fn counters(id: VnodeId) -> Result<Option<Traffic>, AgentFault> {
    let device = host_device(id);
    let listing = read()?;
    let mut lines = listing.lines().filter_map(parse);
    Ok(lines
        .find(|(name, _)| *name == device)
        .map(|(_, traffic)| traffic))
}

/// The counters of all vnodes that are plugged in, by one look.
///
/// # Errors
/// The kernel does not tell.
pub fn all_counters() -> Result<BTreeMap<VnodeId, Traffic>, AgentFault> {
    let of = |(name, traffic): (&str, Traffic)| {
        let id = name.strip_prefix("dkh")?.parse().ok()?;
        Some((id, traffic))
    };
    Ok(read()?.lines().filter_map(parse).filter_map(of).collect())
}

fn read() -> Result<String, AgentFault> {
    fs::read_to_string(COUNTERS).map_err(AgentFault::file("read", COUNTERS))
}

/// A line of `/proc/net/dev`: bytes and packets are the first two of the eight counters each way. What the worker's end
/// receives, the vnode has sent.
fn parse(line: &str) -> Option<(&str, Traffic)> {
    let (name, counters) = line.split_once(':')?;
    let counters: Vec<u64> = counters
        .split_whitespace()
        .map_while(|counter| counter.parse().ok())
        .collect();
    let traffic = Traffic {
        sent_bytes: *counters.first()?,
        sent_packets: *counters.get(1)?,
        received_bytes: *counters.get(8)?,
        received_packets: *counters.get(9)?,
    };
    Some((name.trim(), traffic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_columns_are_read() {
        let line = "  dkh7:  1000 10 0 0 0 0 0 0  2000 20 0 0 0 0 0 0";
        let traffic = Traffic {
            sent_bytes: 1_000,
            sent_packets: 10,
            received_bytes: 2_000,
            received_packets: 20,
        };
        assert_eq!(parse(line), Some(("dkh7", traffic)));
        assert_eq!(parse("Inter-|   Receive"), None);
        assert_eq!(parse(" face |bytes    packets: x"), None);
    }
}
