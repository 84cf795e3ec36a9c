//! What the scheduler goes by beyond sizes.

use super::State;
use crate::id::{VclusterId, VnodeId, WorkerId};
use crate::model::{Rules, VclusterRules, WorkerTraits};

impl State {
    /// What an owner wants of the workers of a vcluster.
    #[must_use]
    pub fn rules_of(&self, vcluster: VclusterId) -> &Rules {
        let row = self.vcluster_rules.get(&vcluster);
        row.map_or(Rules::usual(), |row| &row.rules)
    }

    /// What an admin said of a worker.
    #[must_use]
    pub fn traits_of(&self, worker: WorkerId) -> WorkerTraits {
        let row = self.worker_traits.get(&worker).cloned();
        row.unwrap_or_else(|| WorkerTraits::none(worker))
    }

    pub(crate) fn put_worker_traits(&mut self, traits: WorkerTraits) {
        self.worker_traits.insert(traits.worker, traits);
    }

    pub(crate) fn remove_worker_traits(&mut self, worker: &WorkerId) {
        self.worker_traits.remove(worker);
    }

    pub(crate) fn put_vcluster_rules(&mut self, row: VclusterRules) {
        self.vcluster_rules.insert(row.vcluster, row);
    }

    pub(crate) fn remove_vcluster_rules(&mut self, vcluster: &VclusterId) {
        self.vcluster_rules.remove(vcluster);
    }

    /// For trials only: a vnode that no worker has, and whose GPUs nobody has.
    pub(crate) fn unplace(&mut self, vnode: VnodeId) {
        if let Some(mut row) = self.vnodes.get(&vnode).cloned() {
            row.placement = None;
            self.put_vnode(row);
        }
        if let Some(mut row) = self.vnode_wishes.get(&vnode).cloned() {
            row.gpus.clear();
            self.put_vnode_wishes(row);
        }
    }
}
