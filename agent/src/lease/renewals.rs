//! Heartbeats of one connection, those that ask for the lease among them, and what the master answers.
//!
//! When it is time for one and the last one was not heard, it waits for that. An agent that hears nobody would else be heard for
//! some seconds, while its lease runs out: it is to be found out almost as fast as one that nobody hears.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use docklet_control::agent_wire::FromAgent;
use docklet_link::LinkFault;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Lease, boot_ms};
use crate::masters::Told;

/// A master that grants nothing for so long has no quorum in reach: another may have.
const GRANT_MAX: Duration = Duration::from_secs(4);
/// Questions that are remembered; older ones are worth nothing any more.
const ASKED_MAX: usize = 16;

/// One question.
struct Asked {
    number: u64,
    sent_ms: u64,
    anew: bool,
}

/// Those of one connection.
pub struct Renewals {
    lease: Arc<Lease>,
    number: u64,
    asked: VecDeque<Asked>,
    /// Since when nothing was granted.
    since: Instant,
    /// Heartbeats of which the master has not said that it heard them.
    unheard: u32,
    /// One is to be sent as soon as it does.
    owed: bool,
}

impl Renewals {
    #[must_use]
    pub fn new(lease: Arc<Lease>) -> Self {
        Self {
            lease,
            number: 0,
            asked: VecDeque::new(),
            since: Instant::now(),
            unheard: 0,
            owed: false,
        }
    }

    /// The heartbeat that is to be sent now that it is time for one, unless the last one was not heard.
    ///
    /// # Errors
    /// The master has granted no lease for too long.
    pub fn due(&mut self) -> Result<Option<FromAgent>, LinkFault> {
        if self.unheard > 0 {
            self.owed = true;
            return Ok(None);
        }
        self.heartbeat().map(Some)
    }

    /// The master has heard one. Answers the next one if it is late.
    ///
    /// # Errors
    /// The master has granted no lease for too long.
    pub fn heard(&mut self) -> Result<Option<FromAgent>, LinkFault> {
        self.unheard = self.unheard.saturating_sub(1);
        if self.unheard > 0 || !std::mem::take(&mut self.owed) {
            return Ok(None);
        }
        self.heartbeat().map(Some)
    }

    /// A heartbeat that is sent at once.
    ///
    /// # Errors
    /// The master has granted no lease for too long.
    pub fn heartbeat(&mut self) -> Result<FromAgent, LinkFault> {
        self.unheard += 1;
        if !self.lease.is_needed() {
            self.since = Instant::now();
            return Ok(FromAgent::Heartbeat);
        }
        if self.since.elapsed() > GRANT_MAX {
            return Err(LinkFault::Remote("it grants no lease".to_owned()));
        }
        self.number += 1;
        let asked = Asked {
            number: self.number,
            // Before it is sent: the lease counts from here.
            sent_ms: boot_ms(),
            anew: self.lease.left().is_none(),
        };
        let (number, anew) = (asked.number, asked.anew);
        self.asked.push_back(asked);
        if self.asked.len() > ASKED_MAX {
            self.asked.pop_front();
        }
        Ok(FromAgent::Renew { number, anew })
    }

    /// The master has granted what this number asked for; answers whether the loop still listens.
    pub async fn granted(&mut self, number: u64, told: &mpsc::Sender<Told>) -> bool {
        self.since = Instant::now();
        while let Some(asked) = self.asked.pop_front() {
            if asked.number < number {
                continue;
            }
            if asked.number > number {
                // The number was known before, or never.
                self.asked.push_front(asked);
                return true;
            }
            let sent_ms = asked.sent_ms;
            if asked.anew {
                // Not before the loop has taken in what came before it.
                return told.send(Told::Lease { sent_ms }).await.is_ok();
            }
            extend(self.lease.clone(), sent_ms, false).await;
            return true;
        }
        true
    }
}

/// Adds to the lease, on a thread that may wait for the disk.
pub(crate) async fn extend(lease: Arc<Lease>, sent_ms: u64, anew: bool) {
    let extended = tokio::task::spawn_blocking(move || lease.extend(sent_ms, anew)).await;
    match extended {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => {
            tracing::error!(fault = fault.full_text(), "the lease is not longer");
        }
        Err(error) => tracing::error!(%error, "the lease is not longer"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::cgroup::Cgroups;
    use crate::vnode_dir::StateDir;

    #[test]
    fn no_heartbeat_follows_one_that_was_not_heard_and_a_late_one_follows_at_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = StateDir(dir.path().to_owned());
        let cgroups = Cgroups::at(dir.path(), "w");
        let lease = Lease::open(&state, &cgroups, PathBuf::new()).expect("a lease");
        let mut renewals = Renewals::new(Arc::new(lease));
        let heartbeat = Some(FromAgent::Heartbeat);
        assert_eq!(renewals.due().expect("nothing is granted"), heartbeat);
        assert_eq!(renewals.heard().expect("nothing is granted"), None);
        assert_eq!(renewals.due().expect("nothing is granted"), heartbeat);
        for _ in 0..5 {
            assert_eq!(renewals.due().expect("nothing is granted"), None);
        }
        assert_eq!(renewals.heard().expect("nothing is granted"), heartbeat);
        assert_eq!(renewals.heard().expect("nothing is granted"), None);
        assert_eq!(renewals.due().expect("nothing is granted"), heartbeat);
    }
}
