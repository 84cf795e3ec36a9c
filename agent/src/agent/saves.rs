//! The loop's part in images of vnodes: those that are under way, and what the masters were told.

use std::collections::BTreeMap;

use docklet_control::assignment::{AssignedSave, Assignment};
use docklet_control::id::VnodeId;
use docklet_control::report::{SaveReport, Saved};
use tokio::sync::mpsc;

use super::{Agent, Done, perform, perform_all};
use crate::host::{Act, Host, Observation};
use crate::masters::Tell;
use crate::plan::Plan;

/// What the loop remembers between two looks.
#[derive(Default)]
pub(super) struct Saves {
    busy: BTreeMap<VnodeId, AssignedSave>,
    told: BTreeMap<VnodeId, SaveReport>,
}

impl Saves {
    /// Whether a vnode's files are being read.
    pub(super) fn is_busy(&self, id: VnodeId) -> bool {
        self.busy.contains_key(&id)
    }

    pub(super) fn settle(&mut self, id: VnodeId) {
        self.busy.remove(&id);
    }

    /// A new connection may be to a master that knows less.
    pub(super) fn tell_anew(&mut self) {
        self.told.clear();
    }
}

impl<H: Host> Agent<H> {
    /// Ends what is under way and not wanted any more: cancelled, or of a vnode that goes.
    pub(super) async fn cancel_saves(&self, wanted: &Assignment) {
        let busy = self.saves.busy.values();
        let unwanted = busy.filter(|save| !wanted.saves.contains(save));
        for save in unwanted {
            if let Err((step, cause)) = perform(self.host.clone(), Act::CancelSave(*save)).await {
                tracing::warn!(step, cause, "act failed");
            }
        }
    }

    pub(super) fn begin_saves(&mut self, plan: &Plan, done: &mpsc::Sender<Done>) {
        for (id, act) in &plan.saves {
            let Act::Save(_, save) = act else { continue };
            let busy = self.busy.contains(id) || self.snapshots.is_busy(*id);
            if busy || self.saves.is_busy(*id) {
                continue;
            }
            self.saves.busy.insert(*id, *save);
            let (host, turns) = (self.host.clone(), self.image_turns.clone());
            let (id, act, done) = (*id, act.clone(), done.clone());
            tokio::spawn(async move {
                // What came of it is noted, and told from there.
                drop(perform_all(host, turns, vec![act], None).await);
                drop(done.send(Done::Save(id)).await);
            });
        }
    }

    /// Tells what came of saves, or that they are under way.
    pub(super) async fn report_saves(&mut self, wanted: &Assignment, seen: &Observation) {
        let told = &mut self.saves.told;
        told.retain(|id, _| wanted.saves.iter().any(|save| save.vnode == *id));
        for save in &wanted.saves {
            let note = seen.saves.get(&save.vnode);
            let saved = match note.filter(|note| note.save == *save) {
                Some(note) => note.saved.clone(),
                None if self.saves.busy.get(&save.vnode) == Some(save) => Saved::Working {
                    step: "reading and packing".to_owned(),
                },
                None => continue,
            };
            let report = SaveReport {
                vnode: save.vnode,
                number: save.number,
                saved,
            };
            if self.saves.told.get(&save.vnode) != Some(&report) {
                self.saves.told.insert(save.vnode, report.clone());
                drop(self.tell.send(Tell::Save(report)).await);
            }
        }
    }
}
