//! What people may do beyond using their own things: given and taken by admins. Since version 3.
//!
//! It holds at once and on every door, since all of them ask the state. Who is demoted stays logged in, as what they are now.

use super::{Decision, Ground};
use crate::event::Event;
use crate::model::account::Standing;
use crate::model::receipt::Subject;
use crate::model::{Role, User};
use crate::name::Name;
use crate::notice::news;
use crate::refusal::Refusal;
use crate::state::State;

pub(super) fn set(ground: Ground<'_>, user: &str, role: Role) -> Result<Decision, Refusal> {
    let user = named(ground.state, user)?;
    if user.is_admin() && role != Role::Admin {
        refuse_last(ground.state, user)?;
    }
    let set = Event::RoleSet {
        user: user.id,
        role,
    };
    let news = user.role != role;
    let mut events: Vec<Event> = news.then_some(set).into_iter().collect();
    if news && ground.asker()?.id != user.id {
        events.extend(news::role_set(ground.moment(), user.id, role));
    }
    Ok(Decision::new(Subject::User(user.id), events))
}

/// Who is locked or leaves gives no roles.
fn refuse_last(state: &State, user: &User) -> Result<(), Refusal> {
    let mut others = state.users.values().filter(|other| other.id != user.id);
    let acts = |id| state.account_of(id).standing == Standing::Active;
    if others.any(|other| other.is_admin() && acts(other.id)) {
        return Ok(());
    }
    Err(Refusal::LastAdmin {
        name: user.name.to_string(),
    })
}

pub(super) fn named<'s>(state: &'s State, text: &str) -> Result<&'s User, Refusal> {
    let name = Name::parse("user", text)?;
    let user = state.user_named(&name);
    user.ok_or_else(|| Refusal::not_found("user", &name))
}
