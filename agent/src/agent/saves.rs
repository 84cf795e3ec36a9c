//! The loop's part in images that are made of vnodes.

use docklet_control::assignment::Assignment;
use docklet_control::report::{SaveReport, Saved};
use tokio::sync::mpsc;

use super::{Agent, Done, perform_all};
use crate::host::{Host, Observation};
use crate::masters::Tell;
use crate::plan::Plan;

impl<H: Host> Agent<H> {
    /// Begins what is to be saved of vnodes that are not in motion.
    pub(super) fn begin_saves(&mut self, plan: &Plan, done: &mpsc::Sender<Done>) {
        for (id, act) in &plan.saves {
            let busy = self.busy.contains(id) || self.snapshots.is_busy(*id);
            if busy || !self.busy_saves.insert(*id) {
                continue;
            }
            let (host, turns) = (self.host.clone(), self.image_turns.clone());
            let (id, act, done) = (*id, act.clone(), done.clone());
            tokio::spawn(async move {
                // What came of it is noted, and told from there.
                drop(perform_all(host, turns, vec![act]).await);
                drop(done.send(Done::Save(id)).await);
            });
        }
    }

    /// Tells what came of saves, or that they are under way.
    pub(super) async fn report_saves(&mut self, wanted: &Assignment, seen: &Observation) {
        self.told_saves
            .retain(|id, _| wanted.saves.iter().any(|save| save.vnode == *id));
        for save in &wanted.saves {
            let note = seen.saves.get(&save.vnode);
            let saved = match note.filter(|note| note.save == *save) {
                Some(note) => note.saved.clone(),
                None if self.busy_saves.contains(&save.vnode) => Saved::Working {
                    step: "reading and packing".to_owned(),
                },
                None => continue,
            };
            let report = SaveReport {
                vnode: save.vnode,
                number: save.number,
                saved,
            };
            if self.told_saves.get(&save.vnode) != Some(&report) {
                self.told_saves.insert(save.vnode, report.clone());
                drop(self.tell.send(Tell::Save(report)).await);
            }
        }
    }
}
