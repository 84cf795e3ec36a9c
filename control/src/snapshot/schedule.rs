//! Snapshots that come and go by themselves: a pure function of the state and the time.

use super::command::SnapshotCommand;
use crate::calendar::date;
use crate::command::Command;
use crate::id::{UnixMs, VclusterId};
use crate::model::{Snapshot, SnapshotSchedule, VclusterWanted};
use crate::state::State;

/// Vclusters of which one entry takes snapshots; the others follow in the next.
const VCLUSTERS_MAX: usize = 50;
/// Snapshots that one entry lets go.
pub(crate) const EXPIRED_MAX: usize = 1_000;

/// What is due at `now`. A time that passed while nobody led is due once, however often it passed.
#[must_use]
pub fn due(state: &State, now: UnixMs) -> Vec<Command> {
    let schedules = state.snapshot_schedules.values();
    let due = schedules.filter(|schedule| is_due(state, schedule, now));
    let vclusters: Vec<VclusterId> = due.map(|s| s.vcluster).take(VCLUSTERS_MAX).collect();
    let take = (!vclusters.is_empty()).then_some(SnapshotCommand::TakeScheduled { vclusters });
    let over = expired(state, now).next().is_some();
    let expire = over.then_some(SnapshotCommand::Expire);
    let commands = take.into_iter().chain(expire);
    commands.map(Command::Snapshot).collect()
}

/// Whether a vcluster's time has come. What stands still does not change: its time comes when it runs again.
pub(crate) fn is_due(state: &State, schedule: &SnapshotSchedule, now: UnixMs) -> bool {
    let vcluster = state.vclusters.get(&schedule.vcluster);
    schedule.next_at <= now && vcluster.is_some_and(|v| v.wanted == VclusterWanted::Running)
}

/// Snapshots whose time is over, the first to end first. One that is being restored or copied stays until that is done, one in the trash
/// as long as it can be had back.
pub(crate) fn expired(state: &State, now: UnixMs) -> impl Iterator<Item = &Snapshot> {
    let over = state.snapshots_expiring_by(now);
    over.filter(|snapshot| !is_source(state, snapshot) && state.kept_as(snapshot.key()).is_none())
}

/// Whether it has to stay: somebody's disk is being made of it, or a restore leaves it.
pub(crate) fn is_source(state: &State, snapshot: &Snapshot) -> bool {
    is_of_restore(state, snapshot) || state.copies_of(snapshot).next().is_some()
}

/// Whether its vnode is being put back to it, or it is what that leaves.
pub(crate) fn is_of_restore(state: &State, snapshot: &Snapshot) -> bool {
    let restore = state.snapshot_restores.get(&snapshot.vnode);
    let restore = restore.filter(|restore| restore.is_wanted());
    restore.is_some_and(|restore| {
        restore.snapshot == snapshot.number || restore.number == snapshot.number
    })
}

/// What one is called that a schedule takes: by the day and minute at which it was due, of UTC.
#[must_use]
pub fn name_at(at: UnixMs) -> String {
    let minutes = at.0 / 60_000;
    let (year, month, day) = date(minutes / 1_440);
    let (hour, minute) = (minutes / 60 % 24, minutes % 60);
    format!("auto-{year:04}{month:02}{day:02}-{hour:02}{minute:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheduled_ones_are_called_by_their_minute() {
        for (at, name) in [
            (0, "auto-19700101-0000"),
            (951_825_540_000, "auto-20000229-1159"),
            (1_795_744_800_000, "auto-20261127-0200"),
            (4_107_542_399_000, "auto-21000228-2359"),
        ] {
            assert_eq!(name_at(UnixMs(at)), name);
        }
    }
}
