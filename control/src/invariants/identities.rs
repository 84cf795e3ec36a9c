//! What must hold of logins by others' word.

use crate::model::account::LoginWay;
use crate::model::identity::{Holder, Identity};
use crate::state::State;

/// Each is of somebody who is there, or of a request that came by it; and is called after what it is.
pub(super) fn identities_are_of_somebody(state: &State, broken: &mut Vec<String>) {
    for identity in state.identities.values() {
        let held = match identity.holder {
            Holder::User(user) => state.users.contains_key(&user),
            Holder::Application(id) => {
                let application = state.applications.get(&id);
                application.is_some_and(|row| row.way == LoginWay::Oidc)
            }
        };
        let own = Identity::id_of(&identity.issuer, &identity.subject) == identity.id;
        if !held || !own || identity.spent.len() > Identity::SPENT_MAX {
            broken.push(format!("identity {} is not sound", identity.id));
        }
    }
    for application in state.applications.values() {
        let by_provider = application.way == LoginWay::Oidc;
        if by_provider != state.identity_of_application(application.id).is_some() {
            broken.push(format!("request {} is of nobody", application.id));
        }
    }
    for account in state.accounts.values() {
        let identities = state.identities_of(account.user).count();
        let none = account.way == LoginWay::Oidc && identities == 0;
        if none || identities > Identity::PER_USER_MAX {
            broken.push(format!("user {} cannot log in", account.user));
        }
        // What is checked elsewhere must not be checked here, too.
        let user = state.users.get(&account.user);
        let hash = user.is_some_and(|user| !user.password_hash.is_empty());
        if account.way != LoginWay::Local && hash {
            broken.push(format!("user {} has two passwords", account.user));
        }
    }
}
