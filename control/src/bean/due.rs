//! What the leader must do about beans: everybody has a purse, and what runs without beans for too long is stopped.

use std::collections::BTreeSet;

use super::in_use;
use crate::bean::command::BeanCommand;
use crate::command::Command;
use crate::id::{UnixMs, UserId};
use crate::model::{BeanSettings, PurseOf, Vcluster, VclusterWanted};
use crate::state::State;

/// Vclusters stopped in one go; the rest follow at once.
const STOPPED_MAX: usize = 50;

/// What is due at `now`.
#[must_use]
pub fn due(state: &State, now: UnixMs) -> Vec<Command> {
    let Some(settings) = in_use(state) else {
        return Vec::new();
    };
    let missing = state.purses.len() < state.users.len() + state.groups.len();
    let open = missing.then_some(BeanCommand::OpenPurses);
    let stop = to_stop(state, settings, now);
    let stop = stop.map(|row| BeanCommand::Stop { vcluster: row.id });
    open.into_iter().chain(stop).map(Command::Bean).collect()
}

/// The newest first: what somebody has had running for longest is stopped last. Jobs, once there are any, are to come before all
/// vclusters.
fn to_stop<'s>(
    state: &'s State,
    settings: &BeanSettings,
    now: UnixMs,
) -> impl Iterator<Item = &'s Vcluster> + use<'s> {
    let spent = state.spent_purses();
    let over: BTreeSet<UserId> = spent
        .filter(|of| is_over(state, settings, *of, now))
        .filter_map(|of| match of {
            PurseOf::User(user) => Some(user),
            PurseOf::Group(_) => None,
        })
        .collect();
    let any = !over.is_empty();
    let vclusters = any.then(|| state.vclusters.values().rev());
    let running = vclusters.into_iter().flatten();
    let running = running.filter(|row| row.wanted == VclusterWanted::Running);
    running
        .filter(move |row| over.contains(&row.owner))
        .take(STOPPED_MAX)
}

/// Whether a purse has been empty for longer than what runs may go on.
pub(crate) fn is_over(state: &State, settings: &BeanSettings, of: PurseOf, now: UnixMs) -> bool {
    let purse = state.purses.get(&of);
    let since = purse.and_then(|purse| purse.spent_since);
    since.is_some_and(|since| now.since_ms(since) >= settings.grace_ms)
}
