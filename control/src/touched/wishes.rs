//! Whom wishes and limits concern.

use super::{Tracing, both, differing};

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
                    let placed = vnode.placement.map(|placed| placed.worker);
                    self.touched.workers.extend(placed);
                }
            }
        }
    }

    /// Rules concern their owner: what is placed stays where it is.
    pub(super) fn rules(&mut self) {
        for pair in differing(&self.before.vcluster_rules, &self.after.vcluster_rules) {
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
