//! Whom wishes and limits concern.

use super::{Tracing, both, differing, differs};

impl Tracing<'_> {
    /// What is wished beyond a vnode's size, its disk and its GPUs, concerns its own worker.
    pub(super) fn wishes(&mut self) {
        for pair in differing(&self.before.vcluster_wishes, &self.after.vcluster_wishes) {
            for state in self.states() {
                let vclusters = both(pair).filter_map(|row| state.vclusters.get(&row.vcluster));
                let owners = vclusters.map(|vcluster| vcluster.owner);
                self.touched.owners.extend(owners);
            }
        }
        for pair in differing(&self.before.vnode_wishes, &self.after.vnode_wishes) {
            for state in self.states() {
                let vnodes = both(pair).filter_map(|row| state.vnodes.get(&row.vnode));
                for vnode in vnodes {
                    self.touched.owners.insert(vnode.owner);
                    self.touched.workers.extend(state.workers_of(vnode));
                }
            }
        }
    }

    /// Rules concern their owner: what is placed stays where it is. Its worker must know what becomes of it when it is cut
    /// off.
    pub(super) fn rules(&mut self) {
        let (before, after) = (self.before, self.after);
        for pair in differing(&before.vnode_fences, &after.vnode_fences) {
            both(pair).for_each(|fence| self.worker_of(fence.vnode));
        }
        for pair in differing(&before.vnode_losses, &after.vnode_losses) {
            both(pair).for_each(|loss| self.worker_of(loss.vnode));
        }
        for pair in differing(&self.before.vcluster_rules, &self.after.vcluster_rules) {
            if differs(pair, |row| (row.rules.on_lost, row.on_lost_since)) {
                let vclusters = both(pair).map(|row| row.vcluster);
                self.vclusters.extend(vclusters);
            }
            for state in self.states() {
                let vclusters = both(pair).filter_map(|row| state.vclusters.get(&row.vcluster));
                let owners = vclusters.map(|vcluster| vcluster.owner);
                self.touched.owners.extend(owners);
            }
        }
    }

    /// Bandwidth concerns whoever has vnodes of the vcluster, new limits whoever has the vnode.
    pub(super) fn limits(&mut self) {
        let (before, after) = (self.before, self.after);
        for pair in differing(&before.vcluster_bandwidths, &after.vcluster_bandwidths) {
            for row in both(pair) {
                self.vclusters.insert(row.vcluster);
                for state in self.states() {
                    let vcluster = state.vclusters.get(&row.vcluster);
                    let owner = vcluster.map(|vcluster| vcluster.owner);
                    self.touched.owners.extend(owner);
                }
            }
        }
        for pair in differing(&before.user_homes, &after.user_homes) {
            for home in both(pair) {
                self.touched.owners.insert(home.user);
                self.all_of(home.user);
            }
        }
        if before.usual_home != after.usual_home {
            self.touched.shared = true;
            self.all_with_gateways();
        }
        for pair in differing(&before.vnode_resizes, &after.vnode_resizes) {
            for resize in both(pair) {
                self.worker_of(resize.vnode);
            }
        }
    }
}
