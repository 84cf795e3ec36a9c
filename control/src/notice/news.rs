//! What the cluster tells of itself: one function for each thing that happens, with its text.

use std::collections::BTreeMap;

use super::tell::{Telling, Text};
use crate::calendar::date;
use crate::event::Event;
use crate::id::{LogIndex, UnixMs, UserId, VnodeId, WorkerId};
use crate::model::account::{Application, LoginWay};
use crate::model::notice::{Severity, To};
use crate::model::{Bound, QuotaChange, QuotaItem, Role, Vcluster};
use crate::state::State;

/// From so many open requests for accounts on, another is no mail: who looks at one sees them all.
const REQUESTS_MAILED_MAX: usize = 20;
/// Vnodes that are named in one notice.
const NAMED_MAX: usize = 20;

/// The entry by which something is told, and who is there.
#[derive(Clone, Copy)]
pub(crate) struct Moment<'s> {
    pub(crate) state: &'s State,
    pub(crate) index: LogIndex,
    pub(crate) at: UnixMs,
}

impl<'s> Moment<'s> {
    pub(crate) fn telling(self) -> Telling<'s> {
        Telling::new(self.state, self.index, self.at)
    }

    fn one(self, to: To, text: Text, mail: bool) -> Vec<Event> {
        let mut telling = self.telling();
        telling.tell(to, text, mail);
        telling.done()
    }
}

/// A stranger asks for an account.
pub(crate) fn applied(moment: Moment<'_>, application: &Application) -> Vec<Event> {
    let rows = moment.state.applications.values();
    let open = rows.filter(|row| row.declined.is_none()).count();
    let Application {
        id,
        name,
        profile,
        reason,
        ..
    } = application;
    let (real_name, address) = (&profile.real_name, &profile.mail);
    let text = Text {
        severity: Severity::Info,
        title: format!("{name} asks for an account"),
        body: format!("{real_name}, {address}: {reason}"),
        link: format!("/requests/{id}"),
    };
    moment.one(To::Admins, text, open < REQUESTS_MAILED_MAX)
}

/// They get it; they are there already.
pub(crate) fn approved(moment: Moment<'_>, user: UserId) -> Vec<Event> {
    let known = moment.state.users.get(&user);
    let name = known.map_or_else(String::new, |user| user.name.to_string());
    let with = match moment.state.account_of(user).way {
        LoginWay::Local => "with what you chose when you asked for the account",
        LoginWay::Pam | LoginWay::Oidc => "as you did when you asked for the account",
    };
    let text = Text {
        severity: Severity::Info,
        title: "Your account is ready".to_owned(),
        body: format!("You are called \"{name}\" here. Log in {with}."),
        link: "/".to_owned(),
    };
    moment.one(To::User(user), text, true)
}

/// They do not. There is no account, so there is a mail only.
pub(crate) fn declined(moment: Moment<'_>, application: &Application, reason: &str) -> Vec<Event> {
    let mut telling = moment.telling();
    let name = &application.name;
    let body = format!(
        "You asked for the account \"{name}\". An admin declined: {reason}\n\nYou can ask anew with what is missing."
    );
    let subject = "Your request for an account was declined";
    telling.write(&application.profile.mail, subject, body);
    telling.done()
}

/// The account is locked; until then it was not.
pub(crate) fn locked(moment: Moment<'_>, user: UserId, reason: &str) -> Vec<Event> {
    let text = Text {
        severity: Severity::Warning,
        title: "Your account was locked".to_owned(),
        body: format!("{reason}\n\nWhat you own is as it was. An admin can unlock the account."),
        link: String::new(),
    };
    moment.one(To::User(user), text, true)
}

/// It can be used again.
pub(crate) fn unlocked(moment: Moment<'_>, user: UserId) -> Vec<Event> {
    let text = Text {
        severity: Severity::Info,
        title: "Your account was unlocked".to_owned(),
        body: "You can log in again.".to_owned(),
        link: "/".to_owned(),
    };
    moment.one(To::User(user), text, true)
}

/// Somebody may do more or less than before.
pub(crate) fn role_set(moment: Moment<'_>, user: UserId, role: Role) -> Vec<Event> {
    let may = match role {
        Role::User => "You use your own vclusters.",
        Role::Operator => "You look after masters and workers, and enter nobody's vnodes.",
        Role::Admin => "You see and change everything.",
    };
    let text = Text {
        severity: Severity::Info,
        title: format!("Your role is {} now", role.word()),
        body: may.to_owned(),
        link: "/account".to_owned(),
    };
    moment.one(To::User(user), text, true)
}

/// An admin said what somebody may have.
pub(crate) fn quota_set(moment: Moment<'_>, user: UserId, change: &QuotaChange) -> Vec<Event> {
    let lines = change.iter().map(|(item, bound)| line(*item, *bound));
    let lines: Vec<String> = lines.collect();
    let text = Text {
        severity: Severity::Info,
        title: "Your quota was changed".to_owned(),
        body: lines.join("\n"),
        link: "/".to_owned(),
    };
    moment.one(To::User(user), text, true)
}

fn line(item: QuotaItem, bound: Option<Bound>) -> String {
    let name = item.code();
    match bound {
        Some(Bound::AtMost(most)) => format!("{name}: {most}"),
        Some(Bound::Unlimited) => format!("{name}: without limit"),
        None => format!("{name}: as your groups and the site have it"),
    }
}

/// A vcluster stands still for long, and goes then.
pub(crate) fn will_be_released(telling: &mut Telling<'_>, vcluster: &Vcluster, at: UnixMs) {
    let text = Text {
        severity: Severity::Warning,
        title: format!("Vcluster {} goes on {}", vcluster.name, day(at)),
        body: "It has not been started for long. Start it once to keep it; otherwise it is deleted then, and can be had back from the page of vclusters for a while.".to_owned(),
        link: format!("/vclusters/{}", vcluster.name),
    };
    telling.tell(To::User(vcluster.owner), text, true);
}

/// It has gone, and can be had back until then.
pub(crate) fn released(telling: &mut Telling<'_>, vcluster: &Vcluster, until: UnixMs) {
    let text = Text {
        severity: Severity::Warning,
        title: format!(
            "Vcluster {} was deleted, as nobody started it",
            vcluster.name
        ),
        body: format!(
            "With all files it can be had back until {}: undo it on the page of vclusters.",
            day(until)
        ),
        link: "/vclusters".to_owned(),
    };
    telling.tell(To::User(vcluster.owner), text, true);
}

/// All of its vnodes did nothing for so long.
pub(crate) fn stopped_idle(telling: &mut Telling<'_>, vcluster: &Vcluster, minutes: u64) {
    let span = match minutes {
        1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    };
    let text = Text {
        severity: Severity::Info,
        title: format!("Vcluster {} was stopped", vcluster.name),
        body: format!(
            "Its vnodes did nothing for {span}, which is your quota's idle time. What is on their disks is as it was; start it when you need it."
        ),
        link: format!("/vclusters/{}", vcluster.name),
    };
    telling.tell(To::User(vcluster.owner), text, false);
}

fn day(at: UnixMs) -> String {
    let (year, month, day) = date(at.0 / 86_400_000);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Vnodes began anew because their worker is lost: one notice for each owner.
pub(crate) fn restarted(moment: Moment<'_>, lost: WorkerId, vnodes: &[VnodeId]) -> Vec<Event> {
    let state = moment.state;
    let mut by_owner: BTreeMap<UserId, Vec<String>> = BTreeMap::new();
    for vnode in vnodes.iter().filter_map(|id| state.vnodes.get(id)) {
        let Some(vcluster) = state.vclusters.get(&vnode.vcluster) else {
            continue;
        };
        let name = format!("{}/{}", vcluster.name, vnode.hostname());
        by_owner.entry(vnode.owner).or_default().push(name);
    }
    let mut telling = moment.telling();
    for (owner, names) in by_owner {
        let more = names.len().saturating_sub(NAMED_MAX);
        let mut named = names;
        named.truncate(NAMED_MAX);
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let text = Text {
            severity: Severity::Warning,
            title: "Vnodes of yours began anew on another worker".to_owned(),
            body: format!(
                "{} is lost. What these had written stays behind on it, and they began anew elsewhere: {}{more}.",
                state.worker_called(lost),
                named.join(", "),
            ),
            link: "/vclusters".to_owned(),
        };
        telling.tell(To::User(owner), text, true);
    }
    telling.done()
}
