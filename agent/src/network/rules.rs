//! Whether our nftables tables are there: whoever restarts the worker's own firewall flushes them. To list tables takes a
//! program that reads all that is in them, so they are listed only when rules changed, and not for each change of ours.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::generation::generation;
use super::uplink;
use crate::fault::AgentFault;

/// Tables that were there are not listed again before this, whatever changed: an agent that makes many vnodes changes rules
/// many times a second.
const LOOK_APART: Duration = Duration::from_secs(1);

/// When our tables were last seen to be there.
#[derive(Debug, Default)]
pub struct Rules(Mutex<Option<Seen>>);

#[derive(Clone, Copy, Debug)]
struct Seen {
    /// None if the kernel does not tell it.
    generation: Option<u32>,
    /// Those of gateways, too.
    gateways: bool,
    at: Instant,
}

impl Rules {
    /// Whether our tables are there, or were within the last second; without `gateways` the guard's alone.
    ///
    /// # Errors
    /// nftables fails.
    pub fn are_there(&self, gateways: bool, now: Instant) -> Result<bool, AgentFault> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Asked before they are looked at: what changes meanwhile is looked at the next time.
        let generation = generation().ok();
        let known = seen.is_some_and(|seen| {
            let unchanged = generation.is_some() && seen.generation == generation;
            let lately = now.saturating_duration_since(seen.at) < LOOK_APART;
            seen.gateways == gateways && (unchanged || lately)
        });
        if known {
            return Ok(true);
        }
        let there = uplink::tables_are_there(gateways)?;
        *seen = there.then_some(Seen {
            generation,
            gateways,
            at: now,
        });
        Ok(there)
    }
}
