//! What else than vclusters is in the trash, and what is kept for it.

use imbl::{OrdMap, OrdSet};

use super::State;
use crate::id::{Digest, LogIndex, UnixMs, UserId, VnodeId};
use crate::model::Snapshot;
use crate::model::kept::Kept;

/// Derived from the rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lookup {
    by_owner: OrdSet<(UserId, LogIndex)>,
    by_end: OrdSet<(UnixMs, LogIndex)>,
    digests: OrdSet<(Digest, LogIndex)>,
    snapshots: OrdSet<(Snapshotted, LogIndex)>,
    accounts: OrdMap<UserId, LogIndex>,
}

/// Key of a snapshot.
type Snapshotted = (VnodeId, LogIndex);

impl State {
    /// What one person has in the trash, the first that was deleted first.
    pub fn kept_of(&self, owner: UserId) -> impl DoubleEndedIterator<Item = &Kept> {
        let all = (owner, LogIndex(0))..=(owner, LogIndex(u64::MAX));
        let numbers = self.lookup.kept.by_owner.range(all);
        numbers.filter_map(|(_, number)| self.kept.get(number))
    }

    /// What has been there for long enough at `now`, the first to go first.
    pub fn kept_ending_by(&self, now: UnixMs) -> impl Iterator<Item = &Kept> {
        let over = self.lookup.kept.by_end.range(..=(now, LogIndex(u64::MAX)));
        over.filter_map(|(_, number)| self.kept.get(number))
    }

    /// What in the trash means a blob.
    pub fn kept_with(&self, digest: Digest) -> impl Iterator<Item = &Kept> {
        let all = (digest, LogIndex(0))..=(digest, LogIndex(u64::MAX));
        let numbers = self.lookup.kept.digests.range(all);
        numbers.filter_map(|(_, number)| self.kept.get(number))
    }

    /// Blobs that something in the trash means.
    pub fn kept_digests(&self) -> impl Iterator<Item = Digest> + '_ {
        let digests = self.lookup.kept.digests.iter();
        digests.map(|(digest, _)| *digest)
    }

    /// As what a snapshot is in the trash; none if it is not.
    #[must_use]
    pub fn kept_as(&self, snapshot: (VnodeId, LogIndex)) -> Option<LogIndex> {
        let all = (snapshot, LogIndex(0))..=(snapshot, LogIndex(u64::MAX));
        let found = self.lookup.kept.snapshots.range(all).next();
        found.map(|(_, number)| *number)
    }

    /// An account as it is in the trash.
    #[must_use]
    pub fn kept_account(&self, user: UserId) -> Option<&Kept> {
        self.kept.get(self.lookup.kept.accounts.get(&user)?)
    }

    /// Snapshots of a vnode that are not in the trash, the oldest first.
    pub fn shown_snapshots_of(&self, vnode: VnodeId) -> impl Iterator<Item = &Snapshot> {
        let all = self.snapshots_of(vnode);
        all.filter(|snapshot| self.kept_as(snapshot.key()).is_none())
    }

    /// Whether some other name in the trash means a blob than those of `owner`.
    #[must_use]
    pub fn is_kept_by_others(&self, owner: UserId, digest: Digest) -> bool {
        self.kept_with(digest).any(|kept| kept.owner != owner)
    }

    pub(crate) fn put_kept(&mut self, kept: Kept) {
        self.remove_kept(&kept.number);
        let number = kept.number;
        let lookup = &mut self.lookup.kept;
        lookup.by_owner.insert((kept.owner, number));
        lookup.by_end.insert((kept.until, number));
        let digests = kept.digests().map(|digest| (digest, number));
        lookup.digests.extend(digests);
        if let Some(account) = kept.account() {
            lookup.accounts.insert(account.user, number);
        }
        for key in kept.snapshots() {
            self.counted_otherwise(*key, |all| all.insert((*key, number)));
        }
        self.kept.insert(number, kept);
    }

    pub(crate) fn remove_kept(&mut self, number: &LogIndex) {
        let Some(kept) = self.kept.remove(number) else {
            return;
        };
        let lookup = &mut self.lookup.kept;
        lookup.by_owner.remove(&(kept.owner, *number));
        lookup.by_end.remove(&(kept.until, *number));
        if let Some(account) = kept.account() {
            lookup.accounts.remove(&account.user);
        }
        for digest in kept.digests() {
            lookup.digests.remove(&(digest, *number));
        }
        for key in kept.snapshots() {
            self.counted_otherwise(*key, |all| all.remove(&(*key, *number)));
        }
    }

    /// What is in the trash is no part of what its owner has.
    fn counted_otherwise<T>(
        &mut self,
        snapshot: Snapshotted,
        change: impl FnOnce(&mut OrdSet<(Snapshotted, LogIndex)>) -> T,
    ) {
        self.uncount_vnode(snapshot.0);
        change(&mut self.lookup.kept.snapshots);
        self.count_vnode(snapshot.0);
    }
}
