//! What the leader has to do about shared terminals.

use super::command::TerminalCommand;
use super::{SINCE, good};
use crate::command::Command;
use crate::id::UnixMs;
use crate::model::Share;
use crate::state::State;

/// Shares that one entry ends at most; the rest follow in the next.
const SHARES_MAX: usize = 500;

/// What is due at `now`.
#[must_use]
pub fn due(state: &State, now: UnixMs) -> Option<Command> {
    let any = state.version() >= SINCE && over(state, now).next().is_some();
    any.then_some(Command::Terminal(TerminalCommand::Forget))
}

/// Shares that are good for nothing any more.
pub(crate) fn over(state: &State, now: UnixMs) -> impl Iterator<Item = &Share> {
    let shares = state.shares.values();
    shares
        .filter(move |share| good(state, share, now).is_none())
        .take(SHARES_MAX)
}
