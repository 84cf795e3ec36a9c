//! Beans: what is particular to them beside the rows in [`crate::model::bean`]. What vnodes use is charged by the readings of
//! their workers, each once; who has none left makes and starts nothing, and after a while what runs is stopped. Since
//! version 3, and only where an admin has turned them on.

pub mod audit;
pub mod command;
pub mod due;
pub mod event;
pub mod formula;
pub mod refusal;
pub(crate) mod warn;

use std::collections::BTreeSet;

use crate::id::UserId;
use crate::model::{BeanRequest, BeanSettings, MicroBeans, PurseOf, User};
use crate::refusal::Refusal;
use crate::state::State;
use refusal::BeanRefusal;

/// How the site uses them, if it does.
#[must_use]
pub fn in_use(state: &State) -> Option<&BeanSettings> {
    let settings = state.bean_settings.as_ref();
    settings.filter(|settings| settings.on)
}

/// What somebody has; nothing while no purse was opened.
#[must_use]
pub fn balance(state: &State, of: PurseOf) -> MicroBeans {
    let purse = state.purses.get(&of);
    purse.map_or(MicroBeans(0), |purse| purse.balance)
}

/// What people call it.
#[must_use]
pub fn called(state: &State, of: PurseOf) -> String {
    match of {
        PurseOf::User(id) => {
            let user = state.users.get(&id);
            user.map_or_else(|| format!("user {id}"), |user| user.name.to_string())
        }
        PurseOf::Group(id) => {
            let group = state.groups.get(&id);
            group.map_or_else(|| format!("group {id}"), |g| format!("group {}", g.name))
        }
    }
}

/// Whether `asker` may see a purse: one's own, those of groups that one manages, admins all.
#[must_use]
pub fn is_shown_to(state: &State, of: PurseOf, asker: &User) -> bool {
    match of {
        PurseOf::User(user) => asker.id == user || asker.is_admin(),
        PurseOf::Group(group) => {
            let group = state.groups.get(&group);
            group.is_some_and(|group| group.is_managed_by(asker))
        }
    }
}

/// Who is told of what becomes of a purse, beside admins.
#[must_use]
pub fn told(state: &State, of: PurseOf) -> BTreeSet<UserId> {
    match of {
        PurseOf::User(user) => BTreeSet::from([user]),
        PurseOf::Group(group) => {
            let managers = state.groups.get(&group).map(|group| &group.managers);
            managers.into_iter().flatten().copied().collect()
        }
    }
}

/// Who may decide about somebody's request, beside admins: the managers of their groups, but nobody about their own.
#[must_use]
pub fn deciders(state: &State, user: UserId) -> BTreeSet<UserId> {
    let groups = state.groups_of(user);
    let managers = groups.flat_map(|group| group.managers.iter().copied());
    managers.filter(|manager| *manager != user).collect()
}

/// Whether `asker` may decide about a request.
#[must_use]
pub fn decides(state: &State, request: &BeanRequest, asker: &User) -> bool {
    asker.is_admin() || deciders(state, request.user).contains(&asker.id)
}

/// Refuses more to whoever has no beans left: vclusters, vnodes, what these may use, ports, and that something runs. Asked by
/// every path that takes more; jobs are to ask it, too.
///
/// # Errors
/// `Spent`.
pub(crate) fn check(state: &State, owner: UserId) -> Result<(), Refusal> {
    let purse = state.purses.get(&PurseOf::User(owner));
    let spent = purse.filter(|purse| in_use(state).is_some() && purse.balance.is_spent());
    match spent {
        None => Ok(()),
        Some(purse) => Err(BeanRefusal::Spent {
            whose: called(state, purse.of),
            balance: purse.balance.to_string(),
        }
        .into()),
    }
}
