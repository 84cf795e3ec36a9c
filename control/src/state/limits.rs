//! How much vnodes may send and receive, limits on their way to workers, and what homes hold.

use super::State;
use crate::amount::DiskMib;
use crate::amount::VnodeSize;
use crate::id::{UserId, VclusterId, VnodeId};
use crate::model::{
    Bandwidth, KbitPerS, QuotaItem, UserHome, VclusterBandwidth, Vnode, VnodeResize,
};
use crate::quota;

impl State {
    /// What no vnode may send or receive more than. As long as no admin has said so it is what the site's setting
    /// gives everybody.
    #[must_use]
    pub fn bandwidth_ceiling(&self) -> Bandwidth {
        let ceiling = self.bandwidth_ceiling.or(self.bandwidth);
        ceiling.unwrap_or_default()
    }

    /// What the owner of a vcluster wished for its vnodes, each way.
    #[must_use]
    pub fn wished_bandwidth(&self, vcluster: VclusterId) -> Option<KbitPerS> {
        let row = self.vcluster_bandwidths.get(&vcluster);
        row.map(|row| row.rate)
    }

    /// What each vnode of a vcluster may send and receive.
    #[must_use]
    pub fn bandwidth_of(&self, vcluster: VclusterId) -> Bandwidth {
        let (site, most) = (self.bandwidth.unwrap_or_default(), self.bandwidth_ceiling());
        let wished = self.wished_bandwidth(vcluster);
        let owner = self.vclusters.get(&vcluster).map(|row| row.owner);
        let quota = owner.and_then(|owner| quota::bandwidth(self, owner));
        Bandwidth {
            sent: lower(lower(wished.or(site.sent), most.sent), quota),
            received: lower(lower(wished.or(site.received), most.received), quota),
        }
    }

    /// What a vnode may have on its worker at most: also what it is to lose, until its worker has said that it did.
    #[must_use]
    pub fn promised_to(&self, vnode: &Vnode) -> VnodeSize {
        let resize = self.vnode_resizes.get(&vnode.id);
        resize.map_or(vnode.size, |resize| vnode.size.max(resize.holds))
    }

    /// What a person's home holds.
    #[must_use]
    pub fn home_of(&self, user: UserId) -> DiskMib {
        let user = self.users.get(&user);
        let limit = user.map(|user| quota::limit(self, user, QuotaItem::HomeMib));
        let most = limit.and_then(|limit| limit.bound.number());
        most.map_or(self.usual_home().disk_mib, DiskMib)
    }

    pub(crate) fn put_user_home(&mut self, row: UserHome) {
        self.user_homes.insert(row.user, row);
    }

    pub(crate) fn remove_user_home(&mut self, user: &UserId) {
        self.user_homes.remove(user);
    }

    pub(crate) fn put_vcluster_bandwidth(&mut self, row: VclusterBandwidth) {
        self.vcluster_bandwidths.insert(row.vcluster, row);
    }

    pub(crate) fn remove_vcluster_bandwidth(&mut self, vcluster: &VclusterId) {
        self.vcluster_bandwidths.remove(vcluster);
    }

    pub(crate) fn put_vnode_resize(&mut self, row: VnodeResize) {
        let vnode = row.vnode;
        self.uncount_vnode(vnode);
        self.vnode_resizes.insert(vnode, row);
        self.count_vnode(vnode);
    }

    pub(crate) fn remove_vnode_resize(&mut self, vnode: &VnodeId) {
        self.uncount_vnode(*vnode);
        self.vnode_resizes.remove(vnode);
        self.count_vnode(*vnode);
    }
}

/// The lower of two limits; none is no limit.
fn lower(one: Option<KbitPerS>, other: Option<KbitPerS>) -> Option<KbitPerS> {
    one.into_iter().chain(other).min()
}
