//! Newcomers: somebody whom the provider or PAM knows and nobody here does. By name or mail address they come into nobody's
//! account: the same name is a name that is not free.

use super::super::account::{refuse_unfree, request};
use super::super::{Decision, Ground, person};
use super::{check_seen, connected, event, identity_of};
use crate::account::refusal::AccountRefusal;
use crate::event::Event;
use crate::group::event::GroupEvent;
use crate::id::UserId;
use crate::identity::command::{Seen, Wish};
use crate::identity::event::IdentityEvent;
use crate::identity::refusal::IdentityRefusal;
use crate::model::account::{Account, Application, LoginWay, Profile};
use crate::model::identity::{Holder, Newcomers};
use crate::model::receipt::Subject;
use crate::model::{Group, Role};
use crate::name::Name;
use crate::refusal::Refusal;

/// Longest name of a person that is kept, in bytes; what a provider says is cut, not refused.
const REAL_NAME_LEN_MAX: usize = 200;

pub(super) fn by_provider(
    ground: Ground<'_>,
    seen: &Seen,
    wish: &Wish,
) -> Result<Decision, Refusal> {
    let provider = check_seen(ground, seen)?;
    if let Some(row) = identity_of(ground.state, seen) {
        return match row.holder {
            // They are here already.
            Holder::User(user) => Ok(Decision::new(Subject::User(user), Vec::new())),
            Holder::Application(id) => Err(standing(ground.state.applications.get(&id))),
        };
    }
    if provider.newcomers == Newcomers::Refused {
        return Err(IdentityRefusal::NewcomersRefused {
            label: provider.label.clone(),
        }
        .into());
    }
    let mail = if seen.mail_verified {
        seen.mail.as_str()
    } else {
        ""
    };
    let newcomer = Newcomer::of(ground, wish, mail, LoginWay::Oidc)?;
    let reason = format!("first login by {}", provider.label);
    let mut made = newcomer.made(ground, &provider.newcomers, reason)?;
    let holder = match made.subject {
        Subject::User(user) => Holder::User(user),
        Subject::None
        | Subject::Vcluster(_)
        | Subject::Master(_)
        | Subject::Worker(_)
        | Subject::Drill(_)
        | Subject::Moves(_) => Holder::Application(ground.index),
    };
    let identity = connected(ground, seen, holder);
    made.events
        .push(event(IdentityEvent::Connected { identity }));
    Ok(made)
}

pub(super) fn by_pam(ground: Ground<'_>, wish: &Wish) -> Result<Decision, Refusal> {
    let pam = ground.state.pam().ok_or(IdentityRefusal::PamOff)?;
    let name = Name::parse("user", &wish.name)?;
    if let Some(user) = ground.state.user_named(&name) {
        return match ground.state.account_of(user.id).way {
            LoginWay::Pam => Ok(Decision::new(Subject::User(user.id), Vec::new())),
            LoginWay::Local | LoginWay::Oidc => Err(Refusal::CredentialsWrong),
        };
    }
    let asked = ground.state.application_named(&name);
    if let Some(row) = asked.filter(|row| row.way == LoginWay::Pam) {
        return Err(standing(Some(row)));
    }
    if pam.newcomers == Newcomers::Refused {
        return Err(IdentityRefusal::NewcomersRefused {
            label: "PAM".to_owned(),
        }
        .into());
    }
    let newcomer = Newcomer::of(ground, wish, "", LoginWay::Pam)?;
    newcomer.made(ground, &pam.newcomers, "first login by PAM".to_owned())
}

fn standing(application: Option<&Application>) -> Refusal {
    let declined = application.and_then(|row| row.declined.as_ref());
    match declined {
        None => AccountRefusal::ApplicationWaits.into(),
        Some(verdict) => AccountRefusal::ApplicationDeclined {
            reason: verdict.reason.clone(),
        }
        .into(),
    }
}

/// Whoever is let in, or asks to be.
struct Newcomer {
    name: Name,
    profile: Profile,
    way: LoginWay,
}

impl Newcomer {
    fn of(ground: Ground<'_>, wish: &Wish, mail: &str, way: LoginWay) -> Result<Self, Refusal> {
        let name = Name::parse("user", &wish.name)?;
        refuse_unfree(ground.state, &name)?;
        let plain: String = wish.real_name.chars().filter(|c| !c.is_control()).collect();
        let mut real_name = plain.trim().to_owned();
        while real_name.len() > REAL_NAME_LEN_MAX {
            real_name.pop();
        }
        if real_name.is_empty() {
            real_name = name.to_string();
        }
        let profile = Profile {
            real_name,
            mail: mail.to_owned(),
            affiliation: String::new(),
        };
        Ok(Self { name, profile, way })
    }

    fn made(
        self,
        ground: Ground<'_>,
        newcomers: &Newcomers,
        reason: String,
    ) -> Result<Decision, Refusal> {
        let Newcomers::Active { group } = newcomers else {
            let application = Application {
                id: ground.index,
                name: self.name,
                password_hash: String::new(),
                profile: self.profile,
                reason,
                asked_at: ground.entry.at,
                declined: None,
                way: self.way,
            };
            return request(ground, application);
        };
        let made = person::create_user(ground, self.name.as_str(), Role::User, "")?;
        let mut events = made.events;
        if let Subject::User(user) = made.subject {
            let account = Account {
                way: self.way,
                profile: self.profile,
                ..Account::plain(user)
            };
            events.push(event(IdentityEvent::Welcomed { account }));
            events.extend(
                group
                    .as_ref()
                    .map(|name| joins(ground, name, user))
                    .transpose()?,
            );
        }
        Ok(Decision::new(made.subject, events))
    }
}

fn joins(ground: Ground<'_>, name: &Name, user: UserId) -> Result<Event, Refusal> {
    let group = ground.state.group_named(name);
    let full = |group: &&Group| group.members.len() >= Group::MEMBERS_MAX;
    let gone = || IdentityRefusal::GroupGone {
        group: name.to_string(),
    };
    let group = group.ok_or_else(gone)?;
    if full(&group) {
        return Err(Refusal::Exhausted {
            what: "place".to_owned(),
            scope: format!("group {name}"),
        });
    }
    let mut group = group.clone();
    group.members.insert(user);
    let left = std::collections::BTreeSet::new();
    Ok(Event::Group(GroupEvent::Formed { group, left }))
}
