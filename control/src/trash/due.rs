//! What the leader has to do about the trash.

use super::command::TrashCommand;
use super::{SINCE, gpus, kept};
use crate::command::Command;
use crate::id::{UnixMs, VclusterId};
use crate::model::VclusterWanted;
use crate::model::trash::{Rest, Trashed};
use crate::state::State;

/// Vclusters of one entry at most; the rest follow in the next.
pub(crate) const VCLUSTERS_MAX: usize = 50;

/// What is due at `now`.
#[must_use]
pub fn due(state: &State, now: UnixMs) -> Vec<Command> {
    if state.version() < SINCE {
        return Vec::new();
    }
    let over = over(state, now).next().is_some()
        || kept::over(state, now).next().is_some()
        || gpus::in_the_way(state).next().is_some();
    let empty = over.then_some(TrashCommand::Empty);
    let some = |vclusters: Vec<VclusterId>| Some(vclusters).filter(|them| !them.is_empty());
    let warn =
        some(to_warn(state, now).collect()).map(|vclusters| TrashCommand::Warn { vclusters });
    let release = some(to_release(state, now).collect());
    let release = release.map(|vclusters| TrashCommand::Release { vclusters });
    let commands = empty.into_iter().chain(warn).chain(release);
    commands.map(Command::Trash).collect()
}

/// What has been in the trash for long enough, the first to go first by number. What goes with an account goes when that does.
pub(crate) fn over(state: &State, now: UnixMs) -> impl Iterator<Item = &Trashed> {
    let with_account = move |trashed: &Trashed| {
        let account = state.kept_account(trashed.owner);
        account.is_some_and(|account| trashed.is_with_account() || account.until <= now)
    };
    let trashed = state.trashed.values();
    trashed
        .filter(move |trashed| trashed.until <= now && !state.is_going(trashed.vcluster))
        .filter(move |trashed| !with_account(trashed))
        .take(VCLUSTERS_MAX)
}

/// Vclusters whose owners are to be warned.
pub(crate) fn to_warn(state: &State, now: UnixMs) -> impl Iterator<Item = VclusterId> {
    resting(state, now, |state, rest, now| {
        let policy = state.trash_policy().release;
        rest.release_at.is_none()
            && policy.is_some_and(|policy| rest.since.plus_ms(policy.warn_after_ms()) <= now)
    })
}

/// Vclusters that go into the trash, when their owners were told that they do.
pub(crate) fn to_release(state: &State, now: UnixMs) -> impl Iterator<Item = VclusterId> {
    resting(state, now, |state, rest, now| {
        state.trash_policy().release.is_some() && rest.release_at.is_some_and(|at| at <= now)
    })
}

/// What has GPUs is not released: it would be gone from the trash as soon as somebody wants them. Nor is that of which somebody's disk is being made.
fn resting(
    state: &State,
    now: UnixMs,
    is_due: fn(&State, &Rest, UnixMs) -> bool,
) -> impl Iterator<Item = VclusterId> {
    let rests = state.rests.values();
    rests
        .filter(move |rest| is_due(state, rest, now))
        .map(|rest| rest.vcluster)
        .filter(|id| {
            let row = state.vclusters.get(id);
            row.is_some_and(|row| row.wanted == VclusterWanted::Stopped)
        })
        .filter(|id| !state.has_gpus(*id) && !is_source(state, *id))
        .take(VCLUSTERS_MAX)
}

fn is_source(state: &State, vcluster: VclusterId) -> bool {
    let mut vnodes = state.vnodes_of(vcluster);
    vnodes.any(|vnode| state.copies_from(vnode.id).next().is_some())
}
