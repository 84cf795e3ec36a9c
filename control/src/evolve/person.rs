//! People.

use crate::id::UserId;
use crate::model::{Role, User};
use crate::state::State;

pub(super) fn created(state: &mut State, user: User) {
    state.counters.user = state.counters.user.max(user.id.0);
    state.put_user(user);
}

pub(super) fn password_changed(state: &mut State, user: UserId, password_hash: String) {
    if let Some(user) = state.users.get(&user).cloned() {
        state.put_user(User {
            password_hash,
            ..user
        });
    }
}

pub(super) fn role_set(state: &mut State, user: UserId, role: Role) {
    if let Some(user) = state.users.get(&user).cloned() {
        state.put_user(User { role, ..user });
    }
}
