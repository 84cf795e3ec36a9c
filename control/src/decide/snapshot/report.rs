//! What workers report of snapshots and restores.

use super::{TEXT_LEN_MAX, deleted, of_kind, restore_seen};
use crate::decide::{Decision, Ground, one_by_one, plain_text};
use crate::event::{Event, VnodeRef};
use crate::id::WorkerId;
use crate::model::{RestoreSeen, Snapshot, SnapshotRestore, SnapshotSeen, SnapshotWhy, Vnode};
use crate::refusal::Refusal;
use crate::report::{SnapshotReport, SnapshotTold};
use crate::snapshot::event::SnapshotEvent;
use crate::snapshot::schedule;
use crate::state::State;

/// Says nothing about what was let go meanwhile, or is of another placement.
pub(super) fn report(
    ground: Ground<'_>,
    worker: WorkerId,
    reports: &[SnapshotReport],
) -> Result<Decision, Refusal> {
    for report in reports {
        if let SnapshotTold::Failed { cause } | SnapshotTold::NotRestored { cause } = &report.told {
            plain_text("a report's text", cause, TEXT_LEN_MAX)?;
        }
    }
    Ok(one_by_one(ground, reports, |state, report| {
        report_one(ground, state, worker, report)
    }))
}

fn report_one(
    ground: Ground<'_>,
    state: &State,
    worker: WorkerId,
    report: &SnapshotReport,
) -> Vec<Event> {
    let Some(vnode) = state.vnodes.get(&report.vnode) else {
        return Vec::new();
    };
    let here = vnode.placement.filter(|placed| placed.worker == worker);
    let Some(epoch) = here.map(|placed| placed.epoch) else {
        return Vec::new();
    };
    let snapshot = state.snapshots.get(&(vnode.id, report.number));
    let snapshot = snapshot.filter(|snapshot| snapshot.epoch == epoch);
    let restore = state.snapshot_restores.get(&vnode.id);
    let restore =
        restore.filter(|r| r.is_wanted() && (r.number, r.epoch) == (report.number, epoch));
    let at = ground.entry.at;
    match (&report.told, snapshot, restore) {
        (
            SnapshotTold::Taken {
                disk_mib,
                used_bytes,
                still_us,
            },
            Some(snapshot),
            _,
        ) => {
            let seen = SnapshotSeen::Taken {
                at,
                disk_mib: *disk_mib,
                used_bytes: *used_bytes,
                still_us: *still_us,
            };
            taken(state, vnode, snapshot, seen)
        }
        (SnapshotTold::Failed { cause }, Some(snapshot), _) if !snapshot.is_failed() => {
            let cause = cause.clone();
            vec![seen(vnode, snapshot, SnapshotSeen::Failed { cause })]
        }
        (SnapshotTold::Restored, _, Some(restore)) => {
            vec![ended(vnode, restore, RestoreSeen::Done { at })]
        }
        (SnapshotTold::NotRestored { cause }, snapshot, Some(restore)) => {
            let cause = cause.clone();
            // What was to be kept of before is what is still there.
            let left = snapshot.filter(|left| !left.is_taken());
            let left = left.map(|left| deleted(vnode, left));
            let ended = ended(vnode, restore, RestoreSeen::Failed { cause });
            left.into_iter().chain([ended]).collect()
        }
        (
            SnapshotTold::Taken { .. }
            | SnapshotTold::Failed { .. }
            | SnapshotTold::Restored
            | SnapshotTold::NotRestored { .. },
            _,
            _,
        ) => Vec::new(),
    }
}

/// What was on a worker that has the vnode no more.
pub(in super::super) fn lost(state: &State, vnode: &Vnode, cause: &str) -> Vec<Event> {
    let gone = state
        .snapshots_of(vnode.id)
        .filter(|snapshot| !snapshot.is_failed());
    let cause = || cause.to_owned();
    let gone = gone.map(|snapshot| seen(vnode, snapshot, SnapshotSeen::Failed { cause: cause() }));
    let restore = state.snapshot_restores.get(&vnode.id);
    let restore = restore.filter(|restore| restore.is_wanted());
    let ended = restore.map(|r| ended(vnode, r, RestoreSeen::Failed { cause: cause() }));
    gone.chain(ended).collect()
}

fn seen(vnode: &Vnode, snapshot: &Snapshot, seen: SnapshotSeen) -> Event {
    Event::Snapshot(SnapshotEvent::Seen {
        about: VnodeRef::from(vnode),
        number: snapshot.number,
        seen,
    })
}

fn ended(vnode: &Vnode, restore: &SnapshotRestore, seen: RestoreSeen) -> Event {
    let restore = SnapshotRestore {
        seen,
        ..restore.clone()
    };
    restore_seen(vnode, restore)
}

/// With one more that its schedule took, the oldest of those go that are too many.
fn taken(state: &State, vnode: &Vnode, snapshot: &Snapshot, now: SnapshotSeen) -> Vec<Event> {
    if snapshot.seen != SnapshotSeen::Wanted {
        return Vec::new();
    }
    let mut events = vec![seen(vnode, snapshot, now)];
    let schedule = state.snapshot_schedules.get(&vnode.vcluster);
    if let Some(schedule) = schedule.filter(|_| snapshot.why == SnapshotWhy::Scheduled) {
        let keep = usize::try_from(schedule.rhythm.keep).unwrap_or(usize::MAX);
        let earlier = of_kind(state, vnode, SnapshotWhy::Scheduled);
        let earlier: Vec<&Snapshot> = earlier.filter(|other| other.is_taken()).collect();
        let surplus = (earlier.len() + 1).saturating_sub(keep);
        let spare = earlier.into_iter().take(surplus);
        let spare = spare.filter(|other| !schedule::is_source(state, other));
        events.extend(spare.map(|other| deleted(vnode, other)));
    }
    events
}
