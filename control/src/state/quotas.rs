//! Quotas, and the sums of what people have: kept in step with the tables, so that deciding costs the same however much
//! there is.

use super::State;
use crate::id::{GroupId, UserId, VnodeId};
use crate::model::{
    Group, GroupQuota, GroupShare, HomeUsual, ImageTitle, UserQuota, Vnode, VnodeWanted,
};
use crate::name::Name;
use crate::quota::Amounts;

impl State {
    /// What a person has: what is in the tables, stopped or waiting or on its way out.
    #[must_use]
    pub fn amounts_of(&self, user: UserId) -> Amounts {
        self.lookup.amounts.get(&user).copied().unwrap_or_default()
    }

    /// Groups that a person is in, the eldest first.
    pub fn groups_of(&self, user: UserId) -> impl Iterator<Item = &Group> {
        let range = (user, GroupId(0))..=(user, GroupId(u64::MAX));
        let ids = self.lookup.groups_by_member.range(range);
        ids.filter_map(|(_, id)| self.groups.get(id))
    }

    /// All vnodes of a person, those on their way out included: each has an address in its owner's segment.
    pub fn vnodes_of_person(&self, owner: UserId) -> impl Iterator<Item = &Vnode> {
        let network = self.network_of(owner).into_iter();
        let ids = network.flat_map(|network| network.addresses.values());
        ids.filter_map(|id| self.vnodes.get(id))
    }

    /// Images by the names that a person has for them.
    pub fn image_titles_of(&self, owner: UserId) -> impl Iterator<Item = &ImageTitle> {
        let titles = self.image_titles.range((owner, Name::LEAST)..);
        let own = titles.take_while(move |((of, _), _)| *of == owner);
        own.map(|(_, title)| title)
    }

    /// What a home holds for which nothing else was said.
    #[must_use]
    pub fn usual_home(&self) -> HomeUsual {
        self.usual_home.unwrap_or(HomeUsual::DEFAULT)
    }

    pub(crate) fn put_user_quota(&mut self, row: UserQuota) {
        self.user_quotas.insert(row.user, row);
    }

    pub(crate) fn remove_user_quota(&mut self, user: &UserId) {
        self.user_quotas.remove(user);
    }

    pub(crate) fn put_group_quota(&mut self, row: GroupQuota) {
        self.group_quotas.insert(row.group, row);
    }

    pub(crate) fn remove_group_quota(&mut self, group: &GroupId) {
        self.group_quotas.remove(group);
    }

    pub(crate) fn put_group_share(&mut self, row: GroupShare) {
        self.group_shares.insert(row.key(), row);
    }

    pub(crate) fn remove_group_share(&mut self, key: &(GroupId, UserId)) {
        self.group_shares.remove(key);
    }

    /// Takes a vnode out of its owner's sum, before it or what it wishes becomes another.
    pub(super) fn uncount_vnode(&mut self, id: VnodeId) {
        if let Some((owner, takes)) = self.taken_by(id) {
            self.set_amounts(owner, self.amounts_of(owner).minus(takes));
        }
    }

    /// Puts it there, if it is there to be counted.
    pub(super) fn count_vnode(&mut self, id: VnodeId) {
        if let Some((owner, takes)) = self.taken_by(id) {
            self.set_amounts(owner, self.amounts_of(owner).plus(takes));
        }
    }

    pub(super) fn uncount_port(&mut self, owner: UserId) {
        self.set_amounts(owner, self.amounts_of(owner).minus(Amounts::PORT));
    }

    pub(super) fn count_port(&mut self, owner: UserId) {
        self.set_amounts(owner, self.amounts_of(owner).plus(Amounts::PORT));
    }

    fn taken_by(&self, id: VnodeId) -> Option<(UserId, Amounts)> {
        let vnode = self.vnodes.get(&id)?;
        let vnode = Some(vnode).filter(|vnode| self.is_counted(vnode.vcluster))?;
        let takes = Amounts::of_vnode(self.promised_to(vnode), self.wishes_of(id));
        Some((vnode.owner, takes.plus(self.snapshots_counted(vnode))))
    }

    /// Snapshots of a vnode that are a part of what its owner has: those that are there or are to be taken. What a restore leaves
    /// is none of them, as restoring takes nothing, nor is what is in the trash or goes with its vnode.
    pub(crate) fn snapshots_counted(&self, vnode: &Vnode) -> Amounts {
        if vnode.wanted == VnodeWanted::Removed {
            return Amounts::default();
        }
        let shown = self.shown_snapshots_of(vnode.id);
        Amounts::of_snapshots(shown.filter(|snapshot| snapshot.is_counted()).count())
    }

    fn set_amounts(&mut self, owner: UserId, amounts: Amounts) {
        if amounts == Amounts::default() {
            self.lookup.amounts.remove(&owner);
        } else {
            self.lookup.amounts.insert(owner, amounts);
        }
    }
}
