//! How much vnodes have sent and received since they were plugged in.

use std::collections::BTreeMap;
use std::fs;

use docklet_control::id::VnodeId;

use super::names::host_device;
use crate::fault::AgentFault;
use crate::meter::parse;

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
    let found = seen_from_within(&listing).find(|(name, _)| *name == device);
    Ok(found.map(|(_, traffic)| traffic))
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
    Ok(seen_from_within(&read()?).filter_map(of).collect())
}

fn read() -> Result<String, AgentFault> {
    fs::read_to_string(COUNTERS).map_err(AgentFault::file("read", COUNTERS))
}

/// Devices of `/proc/net/dev`. What the worker's end receives, the vnode has sent.
fn seen_from_within(listing: &str) -> impl Iterator<Item = (&str, Traffic)> {
    parse::devices(listing).map(|(name, outside)| {
        let traffic = Traffic {
            sent_bytes: outside.received_bytes,
            sent_packets: outside.received_packets,
            received_bytes: outside.sent_bytes,
            received_packets: outside.sent_packets,
        };
        (name, traffic)
    })
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
        assert_eq!(seen_from_within(line).next(), Some(("dkh7", traffic)));
        assert_eq!(seen_from_within("Inter-|   Receive").next(), None);
        assert_eq!(seen_from_within(" face |bytes    packets: x").next(), None);
    }
}
