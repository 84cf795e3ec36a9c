//! What the masters are told of vnodes that do nothing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use docklet_control::assignment::AssignedVnode;
use docklet_control::id::{Epoch, VnodeId};
use docklet_control::idle::command::IdleReport;
use docklet_control::model::VnodeWanted;

use super::Agent;
use crate::activity::Activity;
use crate::host::Host;
use crate::masters::Tell;

/// What has done nothing for so long is told.
const QUIET_MIN: Duration = Duration::from_secs(30);
/// How often it is looked at, and told also if nothing is new: the masters may want to know it only since a moment ago.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What was told, and when.
#[derive(Default)]
pub(super) struct Idle {
    pub(super) activity: Option<Activity>,
    told: BTreeSet<(VnodeId, Epoch)>,
    looked_at: Option<Instant>,
    told_at: Option<Instant>,
}

impl Idle {
    /// Another master may know nothing of it.
    pub(super) fn tell_anew(&mut self) {
        self.told_at = None;
        self.looked_at = None;
    }

    /// What is to be told now, if anything is.
    fn news(&mut self, vnodes: &[AssignedVnode], now: Instant) -> Option<Vec<IdleReport>> {
        let activity = self.activity.as_ref()?;
        let ago = |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at));
        if ago(self.looked_at).is_some_and(|ago| ago < LOOK_EVERY) {
            return None;
        }
        self.looked_at = Some(now);
        let running = vnodes.iter().filter(|v| v.wanted == VnodeWanted::Running);
        let idle: Vec<IdleReport> = running
            .map(|vnode| (vnode, activity.quiet(vnode.id, now)))
            .filter(|(_, quiet)| *quiet >= QUIET_MIN)
            .map(|(vnode, quiet)| IdleReport {
                vnode: vnode.id,
                epoch: vnode.epoch,
                for_ms: u64::try_from(quiet.as_millis()).unwrap_or(u64::MAX),
            })
            .collect();
        let known = idle
            .iter()
            .map(|report| (report.vnode, report.epoch))
            .collect();
        let late = ago(self.told_at).is_none_or(|ago| ago >= TELL_EVERY);
        if known == self.told && !late {
            return None;
        }
        self.told = known;
        self.told_at = Some(now);
        Some(idle)
    }
}

impl<H: Host> Agent<H> {
    /// Only to masters who ask for it: older ones would not understand.
    pub(super) async fn tell_idle(&mut self) {
        let Some(wanted) = self.wanted.as_ref().filter(|wanted| wanted.tells_idle) else {
            return;
        };
        if let Some(idle) = self.idle.news(&wanted.vnodes, Instant::now()) {
            drop(self.tell.send(Tell::Idle(idle)).await);
        }
    }
}
