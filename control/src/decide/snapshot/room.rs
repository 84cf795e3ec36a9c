//! Room in the quota for what a schedule takes.

use super::{deleted, of_kind};
use crate::decide::Ground;
use crate::event::Event;
use crate::model::{Snapshot, SnapshotSchedule, SnapshotWhy, Vnode};
use crate::quota::{self, Amounts};
use crate::snapshot::schedule;

/// Where there is no room for one more, the oldest goes now that goes when the new one is there.
pub(super) fn room(
    ground: Ground<'_>,
    of: &SnapshotSchedule,
    vnode: &Vnode,
    taken: &mut usize,
) -> Result<Option<Event>, String> {
    let state = ground.state;
    let more = Amounts::of_snapshots(*taken + 1);
    let Err(refusal) = quota::check(state, vnode.owner, &more) else {
        *taken += 1;
        return Ok(None);
    };
    let earlier = of_kind(state, vnode, SnapshotWhy::Scheduled);
    let earlier: Vec<&Snapshot> = earlier.filter(|other| other.is_taken()).collect();
    let keep = usize::try_from(of.rhythm.keep).unwrap_or(usize::MAX);
    let oldest = earlier.first().filter(|_| earlier.len() >= keep);
    let oldest = oldest.filter(|oldest| !schedule::is_source(state, oldest));
    let exceeds = quota::check(state, vnode.owner, &Amounts::of_snapshots(*taken)).is_err();
    match oldest.filter(|_| !exceeds) {
        Some(oldest) => Ok(Some(deleted(vnode, oldest))),
        None => Err(format!("its owner has no room for it: {refusal}")),
    }
}
