//! Heartbeats of one connection that ask for the lease, and what the master answers.

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
}

impl Renewals {
    #[must_use]
    pub fn new(lease: Arc<Lease>) -> Self {
        Self {
            lease,
            number: 0,
            asked: VecDeque::new(),
            since: Instant::now(),
        }
    }

    /// The heartbeat that is to be sent now.
    ///
    /// # Errors
    /// The master has granted no lease for too long.
    pub fn heartbeat(&mut self) -> Result<FromAgent, LinkFault> {
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
