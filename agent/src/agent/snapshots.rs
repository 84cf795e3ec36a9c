//! The loop's part in snapshots: what is under way, what could not even be noted, and what the masters were told.

use std::collections::{BTreeMap, BTreeSet};

use docklet_control::assignment::Assignment;
use docklet_control::id::{LogIndex, VnodeId};
use docklet_control::report::{SnapshotReport, SnapshotTold};
use tokio::sync::mpsc;

use super::{Agent, Done, perform};
use crate::host::{Act, Host, Observation};
use crate::plan::{self, Plan};

/// What the loop remembers between two looks.
#[derive(Default)]
pub(super) struct Snapshots {
    busy: BTreeSet<VnodeId>,
    /// Why some could not be taken, of which not even that could be noted.
    failed: BTreeMap<Key, SnapshotReport>,
    told: BTreeMap<Key, SnapshotReport>,
}

/// What a report is about: a restore has the number of the snapshot that it leaves.
type Key = (VnodeId, LogIndex, About);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    Snapshot,
    Restore,
}

impl Snapshots {
    /// Whether a vnode's disk is being read.
    pub(super) fn is_busy(&self, id: VnodeId) -> bool {
        self.busy.contains(&id)
    }

    pub(super) fn settle(&mut self, id: VnodeId, failed: Vec<SnapshotReport>) {
        self.busy.remove(&id);
        let failed = failed.into_iter().map(|report| (key(&report), report));
        self.failed.extend(failed);
    }

    /// A new connection may be to a master that knows less.
    pub(super) fn tell_anew(&mut self) {
        self.told.clear();
    }

    /// What the masters do not know yet and were not told.
    pub(super) fn news(&mut self, wanted: &Assignment, seen: &Observation) -> Vec<SnapshotReport> {
        let restores = wanted.restores.iter();
        let restores = restores.map(|r| (r.vnode, r.number, About::Restore));
        let snapshots = wanted.snapshots.iter().flatten();
        let snapshots = snapshots.map(|s| (s.vnode, s.number, About::Snapshot));
        let assigned: BTreeSet<Key> = snapshots.chain(restores).collect();
        self.failed.retain(|key, _| assigned.contains(key));
        self.told.retain(|key, _| assigned.contains(key));
        let noted = plan::snapshots::reports(wanted, seen);
        let mut news = Vec::new();
        for report in noted.iter().chain(self.failed.values()) {
            let before = self.told.insert(key(report), report.clone());
            if before.as_ref() != Some(report) {
                news.push(report.clone());
            }
        }
        news
    }

    /// Acts that are to be begun; none of one that failed already.
    fn fresh(&self, acts: &[Act]) -> Vec<Act> {
        let failed = |act: &Act| {
            if let Act::TakeSnapshot(vnode, number) = act {
                let key = (vnode.id, *number, About::Snapshot);
                return self.failed.contains_key(&key);
            }
            false
        };
        acts.iter().filter(|act| !failed(act)).cloned().collect()
    }
}

fn key(report: &SnapshotReport) -> Key {
    let about = match report.told {
        SnapshotTold::Taken { .. } | SnapshotTold::Failed { .. } => About::Snapshot,
        SnapshotTold::Restored | SnapshotTold::NotRestored { .. } => About::Restore,
    };
    (report.vnode, report.number, about)
}

impl<H: Host> Agent<H> {
    /// Begins what is to be done about snapshots of vnodes that are not in motion.
    pub(super) fn begin_snapshots(&mut self, plan: &Plan, done: &mpsc::Sender<Done>) {
        for (id, acts) in &plan.snapshots {
            let acts = self.snapshots.fresh(acts);
            let busy = self.busy.contains(id) || self.saves.is_busy(*id);
            if acts.is_empty() || busy || !self.snapshots.busy.insert(*id) {
                continue;
            }
            let (host, turns) = (self.host.clone(), self.image_turns.clone());
            let (id, done) = (*id, done.clone());
            tokio::spawn(async move {
                // The semaphore is never closed.
                let _turn = turns.acquire().await;
                let mut failed = Vec::new();
                for act in acts {
                    let Err((step, cause)) = perform(host.clone(), act.clone()).await else {
                        continue;
                    };
                    tracing::warn!(step, cause, "act failed");
                    if let Act::TakeSnapshot(vnode, number) = act {
                        let cause = cause.chars().take(300).collect();
                        failed.push(SnapshotReport {
                            vnode: vnode.id,
                            number,
                            told: SnapshotTold::Failed { cause },
                        });
                    }
                }
                // The loop is gone only when the process ends.
                drop(done.send(Done::Snapshots(id, failed)).await);
            });
        }
    }
}
