//! Who else says who people are, and as whom.

use crate::id::{LogIndex, UnixMs, UserId};
use crate::identity::event::IdentityEvent;
use crate::model::account::Account;
use crate::model::identity::{Holder, Identity, LoginDoors};
use crate::state::State;

pub(super) fn evolve(state: &mut State, at: UnixMs, event: IdentityEvent) {
    match event {
        IdentityEvent::ProviderSet { provider } => {
            doors(state, |doors| doors.provider = provider.map(|row| *row));
        }
        IdentityEvent::PamSet { pam } => doors(state, |doors| doors.pam = pam),
        IdentityEvent::Welcomed { account } => {
            if state.users.contains_key(&account.user) {
                state.put_account(account);
            }
        }
        IdentityEvent::Connected { identity } => {
            let there = match identity.holder {
                Holder::User(user) => state.users.contains_key(&user),
                Holder::Application(application) => state.applications.contains_key(&application),
            };
            if there {
                state.put_identity(identity);
            }
        }
        IdentityEvent::Used {
            identity,
            ticket,
            until,
            ..
        } => {
            if let Some(mut row) = state.identities.get(&identity).cloned() {
                let spent = row.spent.into_iter();
                row.spent = spent.filter(|(_, until)| *until > at).collect();
                row.spent.insert(ticket, until);
                state.put_identity(row);
            }
        }
        IdentityEvent::Disconnected { identity, .. } => state.remove_identity(&identity),
        IdentityEvent::WaySet { user, way } => {
            if state.users.contains_key(&user) {
                let account = state.account_of(user);
                state.put_account(Account { way, ..account });
            }
        }
    }
}

/// What nobody uses has no row.
fn doors(state: &mut State, with: impl FnOnce(&mut LoginDoors)) {
    let mut doors = state.login_doors.clone().unwrap_or_default();
    with(&mut doors);
    state.login_doors = (doors != LoginDoors::default()).then_some(doors);
}

/// Who asked by logging in is who was meant.
pub(super) fn approved(state: &mut State, application: LogIndex, user: UserId) {
    if let Some(identity) = state.identity_of_application(application).cloned()
        && state.users.contains_key(&user)
    {
        state.put_identity(Identity {
            holder: Holder::User(user),
            ..identity
        });
    }
}

pub(super) fn application_gone(state: &mut State, application: LogIndex) {
    let id = state.identity_of_application(application).map(|row| row.id);
    if let Some(id) = id {
        state.remove_identity(&id);
    }
}

pub(super) fn left(state: &mut State, user: UserId) {
    let ids: Vec<_> = state.identities_of(user).map(|row| row.id).collect();
    for id in ids {
        state.remove_identity(&id);
    }
}
