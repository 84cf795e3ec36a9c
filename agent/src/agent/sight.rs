//! What was seen of the machine, and what of it must be looked at anew: not everything after each act, or a hundred
//! vnodes that start would be looked at ten thousand times.

use std::collections::BTreeSet;
use std::sync::Arc;

use docklet_control::id::VnodeId;
use tokio::time::Instant;

use super::LOOK_EVERY;
use crate::fault::AgentFault;
use crate::host::{Host, Observation};

/// The last observation of the whole machine, brought up to date since.
#[derive(Default)]
pub(super) struct Sight {
    /// With the time of the look at everything.
    last: Option<(Instant, Observation)>,
    /// Vnodes on which acts have ended since.
    changed: BTreeSet<VnodeId>,
}

impl Sight {
    /// Acts on a vnode have ended.
    pub(super) fn changed(&mut self, id: VnodeId) {
        self.changed.insert(id);
    }

    /// Lets the next look be at everything.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    /// What is true now. The whole machine is looked at when that was long ago, and when nothing is known to have
    /// changed: then something may have that was not an act. None if it cannot be looked at.
    pub(super) async fn look<H: Host>(&mut self, host: &Arc<H>) -> Option<(Instant, Observation)> {
        let changed = std::mem::take(&mut self.changed);
        let last = self.last.take();
        let fresh = last.filter(|(at, _)| !changed.is_empty() && at.elapsed() < LOOK_EVERY);
        let host = host.clone();
        let look = move || match fresh {
            Some((at, mut seen)) => host.observe_again(&mut seen, &changed).map(|()| (at, seen)),
            None => Ok((Instant::now(), host.observe()?)),
        };
        match tokio::task::spawn_blocking(look).await {
            Ok(Ok(seen)) => Some(seen),
            Ok(Err::<_, AgentFault>(fault)) => {
                tracing::error!(fault = fault.full_text(), "the machine cannot be looked at");
                None
            }
            Err(error) => {
                tracing::error!(%error, "looking at the machine panicked");
                None
            }
        }
    }

    /// Keeps what `look` answered for the next one.
    pub(super) fn keep(&mut self, seen: (Instant, Observation)) {
        self.last = Some(seen);
    }
}
