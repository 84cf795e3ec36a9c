//! Snapshots of vnodes: finding them, and rows that come and go.

use crate::id::{LogIndex, UnixMs, VclusterId, VnodeId};
use crate::model::{
    Snapshot, SnapshotCopy, SnapshotRestore, SnapshotSave, SnapshotSchedule, VnodeWanted,
};
use crate::state::State;

impl State {
    /// Snapshots of a vnode, the oldest first.
    pub fn snapshots_of(&self, vnode: VnodeId) -> impl Iterator<Item = &Snapshot> {
        let all = (vnode, LogIndex(0))..=(vnode, LogIndex(u64::MAX));
        self.snapshots.range(all).map(|(_, snapshot)| snapshot)
    }

    /// Snapshots whose time is over at `now`, the first to end first.
    pub fn snapshots_expiring_by(&self, now: UnixMs) -> impl Iterator<Item = &Snapshot> {
        let over = ..=(now, VnodeId(u64::MAX), LogIndex(u64::MAX));
        let found = self.lookup.snapshots_by_expiry.range(over);
        found.filter_map(|(_, vnode, number)| self.snapshots.get(&(*vnode, *number)))
    }

    /// Disks that are being made of a vnode's snapshots, of vnodes that stay. There are few at a time.
    pub fn copies_from(&self, vnode: VnodeId) -> impl Iterator<Item = &SnapshotCopy> {
        let stays = |copy: &&SnapshotCopy| {
            let vnode = self.vnodes.get(&copy.vnode);
            vnode.is_some_and(|vnode| vnode.wanted != VnodeWanted::Removed)
        };
        let copies = self.snapshot_copies.values();
        copies.filter(move |copy| copy.from == vnode).filter(stays)
    }

    /// What the disk of a vnode is being made of, as `lab/host-0@friday`; none if it is made of nothing.
    #[must_use]
    pub fn copied_for(&self, vnode: VnodeId) -> Option<String> {
        let copy = self.snapshot_copies.get(&vnode)?;
        let from = self.vnodes.get(&copy.from)?;
        let vcluster = &self.vclusters.get(&from.vcluster)?.name;
        Some(format!("{vcluster}/{}@{}", from.hostname(), copy.name))
    }

    /// Disks that are being made of a snapshot; of one that failed nothing can be made.
    pub fn copies_of<'s>(
        &'s self,
        of: &Snapshot,
    ) -> impl Iterator<Item = &'s SnapshotCopy> + use<'s> {
        let number = Some(of.number).filter(|_| of.is_taken());
        let copies = self.copies_from(of.vnode);
        copies.filter(move |copy| Some(copy.snapshot) == number)
    }

    pub(crate) fn put_snapshot(&mut self, snapshot: Snapshot) {
        let key = snapshot.key();
        self.remove_snapshot(&key);
        self.uncount_vnode(key.0);
        if let Some(at) = snapshot.expires_at {
            self.lookup.snapshots_by_expiry.insert((at, key.0, key.1));
        }
        self.snapshots.insert(key, snapshot);
        self.count_vnode(key.0);
    }

    pub(crate) fn remove_snapshot(&mut self, key: &(VnodeId, LogIndex)) {
        self.uncount_vnode(key.0);
        if let Some(snapshot) = self.snapshots.remove(key)
            && let Some(at) = snapshot.expires_at
        {
            self.lookup.snapshots_by_expiry.remove(&(at, key.0, key.1));
        }
        self.count_vnode(key.0);
    }

    pub(crate) fn put_snapshot_restore(&mut self, restore: SnapshotRestore) {
        self.snapshot_restores.insert(restore.vnode, restore);
    }

    pub(crate) fn remove_snapshot_restore(&mut self, vnode: &VnodeId) {
        self.snapshot_restores.remove(vnode);
    }

    pub(crate) fn put_snapshot_schedule(&mut self, schedule: SnapshotSchedule) {
        self.snapshot_schedules.insert(schedule.vcluster, schedule);
    }

    pub(crate) fn remove_snapshot_schedule(&mut self, vcluster: &VclusterId) {
        self.snapshot_schedules.remove(vcluster);
    }

    pub(crate) fn put_snapshot_save(&mut self, save: SnapshotSave) {
        self.snapshot_saves.insert(save.vnode, save);
    }

    pub(crate) fn remove_snapshot_save(&mut self, vnode: &VnodeId) {
        self.snapshot_saves.remove(vnode);
    }

    pub(crate) fn put_snapshot_copy(&mut self, copy: SnapshotCopy) {
        self.snapshot_copies.insert(copy.vnode, copy);
    }

    pub(crate) fn remove_snapshot_copy(&mut self, vnode: &VnodeId) {
        self.snapshot_copies.remove(vnode);
    }
}
