//! The audit trail across masters: reading it, and filling what a master lacks of it. A master that took its state whole
//! from others knows the hash of the last record before, so it can tell whether what they give is what was.

use std::time::Duration;

use docklet_control::id::MasterId;
use serde::{Deserialize, Serialize};

use crate::fault::RaftFault;
use crate::master::Master;
use crate::store::trail::{Begin, PAGE_MAX};
use crate::wire;

pub use crate::store::trail::Page;

/// A master looks this often whether it lacks something.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// When no other master has what is missing, they are asked again after this.
const ASK_AGAIN: Duration = Duration::from_secs(60);
const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// Asks a master for lines up to this one.
#[derive(Serialize, Deserialize)]
pub(crate) struct Ask {
    upto: u64,
}

impl Master {
    /// Up to `most` lines of the trail after the record `after`, as this master has them. What it lacks at the beginning is
    /// left out.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn trail_after(&self, after: u64, most: usize) -> Result<Page, RaftFault> {
        self.trail_durable().await?;
        self.inner.view.trail_after(after, most).await
    }

    /// Comes back when all records so far can be read.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn trail_durable(&self) -> Result<(), RaftFault> {
        let head = self.local().state.audit_head.unwrap_or_default();
        if head.index > self.inner.view.durable() {
            self.inner.view.flush().await?;
        }
        Ok(())
    }

    /// The last lines up to the record `upto`, `most` at most, as far as checkpoints have them.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn trail_upto(&self, upto: u64, most: usize) -> Result<Page, RaftFault> {
        self.inner.view.trail_upto(upto, most).await
    }

    /// What this master gives another one that lacks it.
    pub(crate) async fn give_trail(&self, ask: Ask) -> Result<Page, String> {
        let page = self.inner.view.trail_upto(ask.upto, PAGE_MAX).await;
        page.map_err(|fault| fault.to_string())
    }
}

/// Fills what this master lacks, until aborted.
pub(crate) async fn run(master: Master) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match fill(&master).await {
            Ok(true) => {}
            Ok(false) => tokio::time::sleep(ASK_AGAIN).await,
            Err(fault) => tracing::warn!(%fault, "the audit trail cannot be filled"),
        }
    }
}

/// Takes what others have; answers whether nothing is missing now.
async fn fill(master: &Master) -> Result<bool, RaftFault> {
    loop {
        let begin = master.inner.view.trail_begin().await?;
        if !begin.wanted {
            return Ok(true);
        }
        if !fill_before(master, begin).await? {
            return Ok(false);
        }
    }
}

/// Takes what comes just before; answers whether some master had it.
async fn fill_before(master: &Master, begin: Begin) -> Result<bool, RaftFault> {
    let ask = Ask { upto: begin.after };
    for (id, address) in master.other_members() {
        let lines = master.inner.links.to(id, &address);
        let given = lines.calls.call(wire::TRAIL, &ask, CALL_DEADLINE).await;
        let page: Page = match given {
            Ok(page) => page,
            // Another one, or the same later.
            Err(fault) => {
                tracing::debug!(%fault, master = id, "no part of the audit trail");
                continue;
            }
        };
        let count = page.lines.len();
        if master.inner.view.fill_trail(page).await? {
            let from = MasterId(id);
            tracing::info!(%from, lines = count, upto = begin.after, "audit trail filled");
            return Ok(true);
        }
    }
    Ok(false)
}
