//! What the leader must do about accounts: those that go are gone as soon as nothing of them is left on any worker, and
//! declined requests are forgotten in time.

use crate::account::command::AccountCommand;
use crate::command::Command;
use crate::id::{UnixMs, UserId};
use crate::model::account::Application;
use crate::state::State;

/// What is due at `now`.
#[must_use]
pub fn due(state: &State, now: UnixMs) -> Vec<Command> {
    let gone = state.leaving_users();
    let gone = gone.filter(|user| is_empty(state, *user));
    let finish = gone.map(|user| AccountCommand::FinishDeletion { user });
    let over = state.applications.values().any(|row| is_over(row, now));
    let forget = over.then_some(AccountCommand::ForgetDeclined);
    finish.chain(forget).map(Command::Account).collect()
}

/// Whether nothing of this person is left that only a worker can take away.
pub(crate) fn is_empty(state: &State, user: UserId) -> bool {
    let vnode = state.vnodes.values().any(|vnode| vnode.owner == user);
    let save = state.image_saves.values().any(|save| save.owner == user);
    !vnode && !save && state.vclusters_of(user).next().is_none()
}

/// Whether a declined request has been kept long enough.
pub(crate) fn is_over(application: &Application, now: UnixMs) -> bool {
    let declined = application.declined.as_ref();
    declined.is_some_and(|verdict| now.since_ms(verdict.at) >= Application::DECLINED_KEPT_MS)
}
