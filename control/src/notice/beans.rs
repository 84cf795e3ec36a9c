//! What the cluster tells of beans: told from what one entry does to them.

use super::news::Moment;
use super::tell::{Telling, Text};
use crate::bean::called;
use crate::bean::event::{BeanEvent, Grant, Taken};
use crate::event::Event;
use crate::id::{GroupId, UserId};
use crate::model::notice::{Severity, To};
use crate::model::{BeanRequest, MicroBeans, PurseOf};
use crate::state::State;

const LINK: &str = "/beans";

/// What people are told of the events of one entry.
pub(crate) fn told_of(moment: Moment<'_>, events: &[Event]) -> Vec<Event> {
    let state = moment.state;
    let mut telling = moment.telling();
    let decided = |event: &Event| matches!(event, Event::Bean(BeanEvent::Decided { .. }));
    let is_decision = events.iter().any(decided);
    for event in events {
        let Event::Bean(event) = event else {
            continue;
        };
        match event {
            BeanEvent::RanLow {
                of,
                balance,
                threshold,
                ..
            } => ran_low(&mut telling, state, *of, (*balance, *threshold)),
            BeanEvent::Requested { request, told } => {
                requested(&mut telling, state, request, told.iter().copied());
            }
            BeanEvent::Decided { request, .. } => verdict(&mut telling, state, request),
            // Whoever asked for them is told of the verdict.
            BeanEvent::Granted { grant, .. } if !is_decision => granted(&mut telling, state, grant),
            BeanEvent::Stopped { about, balance } => {
                let row = state.vclusters.get(&about.vcluster);
                let name = row.map_or_else(String::new, |row| row.name.to_string());
                let text = Text {
                    severity: Severity::Warning,
                    title: format!("Vcluster {name} was stopped: no beans are left"),
                    body: format!(
                        "Your balance is {}. What is on its disks is as it was. Ask for beans, and start it when you have some.",
                        rounded(*balance)
                    ),
                    link: LINK.to_owned(),
                };
                telling.tell(To::User(about.owner), text, true);
            }
            BeanEvent::TakenBack { taken, .. } => taken_back(&mut telling, state, taken),
            BeanEvent::Granted { .. }
            | BeanEvent::Withdrawn { .. }
            | BeanEvent::Set { .. }
            | BeanEvent::Opened { .. }
            | BeanEvent::Closed { .. }
            | BeanEvent::Charged { .. }
            | BeanEvent::TallyBegun { .. }
            | BeanEvent::TallyBehind { .. }
            | BeanEvent::TallyEnded { .. } => {}
        }
    }
    telling.done()
}

/// Of a group its managers are told.
fn ran_low(
    telling: &mut Telling<'_>,
    state: &State,
    of: PurseOf,
    (balance, threshold): (MicroBeans, u64),
) {
    let (whose, people): (String, Vec<UserId>) = match of {
        PurseOf::User(user) => ("You have".to_owned(), vec![user]),
        PurseOf::Group(group) => {
            let whose = format!("Group {} has", called(state, of));
            (whose, managers(state, group))
        }
    };
    let next = match threshold {
        0 => "Nothing new is started, and what runs is stopped after the grace.",
        _ => "What runs goes on. Ask for more in time.",
    };
    for user in people {
        let text = Text {
            severity: Severity::Warning,
            title: format!("{whose} {threshold} beans left, or fewer"),
            body: format!("The balance is {}. {next}", rounded(balance)),
            link: LINK.to_owned(),
        };
        telling.tell(To::User(user), text, true);
    }
}

/// Admins, and whoever else decides.
fn requested(
    telling: &mut Telling<'_>,
    state: &State,
    request: &BeanRequest,
    told: impl Iterator<Item = UserId>,
) {
    let text = Text {
        severity: Severity::Info,
        title: format!(
            "{} asks for {} beans",
            called(state, PurseOf::User(request.user)),
            request.beans
        ),
        body: request.reason.clone(),
        link: LINK.to_owned(),
    };
    let is_admin = |id: &UserId| {
        state
            .users
            .get(id)
            .is_some_and(crate::model::User::is_admin)
    };
    for user in told.filter(|user| *user != request.user && !is_admin(user)) {
        telling.tell(To::User(user), text.clone(), true);
    }
    telling.tell(To::Admins, text, true);
}

fn verdict(telling: &mut Telling<'_>, state: &State, request: &BeanRequest) {
    let Some(verdict) = &request.verdict else {
        return;
    };
    let (beans, word) = (
        request.beans,
        if verdict.given {
            "are yours"
        } else {
            "were not given"
        },
    );
    let by = called(state, PurseOf::User(verdict.by));
    let text = Text {
        severity: Severity::Info,
        title: format!("The {beans} beans that you asked for {word}"),
        body: match verdict.reason.as_str() {
            "" => format!("{by} decided."),
            reason => format!("{by}: {reason}"),
        },
        link: LINK.to_owned(),
    };
    telling.tell(To::User(request.user), text, true);
}

/// Of a group its managers are told.
fn taken_back(telling: &mut Telling<'_>, state: &State, taken: &Taken) {
    let by = called(state, PurseOf::User(taken.by));
    let (whose, people): (String, Vec<UserId>) = match taken.of {
        PurseOf::User(user) => ("your purse".to_owned(), vec![user]),
        PurseOf::Group(group) => {
            let purse = format!("the purse of group {}", called(state, taken.of));
            (purse, managers(state, group))
        }
    };
    for user in people {
        let text = Text {
            severity: Severity::Warning,
            title: format!("{} beans were taken out of {whose}", taken.beans),
            body: format!("{by}: {}", taken.reason),
            link: LINK.to_owned(),
        };
        telling.tell(To::User(user), text, false);
    }
}

fn managers(state: &State, group: GroupId) -> Vec<UserId> {
    let managers = state.groups.get(&group).map(|group| &group.managers);
    managers.into_iter().flatten().copied().collect()
}

fn granted(telling: &mut Telling<'_>, state: &State, grant: &Grant) {
    let PurseOf::User(user) = grant.to else {
        return;
    };
    let by = called(state, PurseOf::User(grant.by));
    let text = Text {
        severity: Severity::Info,
        title: format!("You were given {} beans", grant.beans),
        body: match grant.reason.as_str() {
            "" => format!("By {by}."),
            reason => format!("{by}: {reason}"),
        },
        link: LINK.to_owned(),
    };
    telling.tell(To::User(user), text, false);
}

/// In hundredths, towards zero: as precise as people care for.
fn rounded(beans: MicroBeans) -> String {
    let hundredths = beans.0.unsigned_abs() / 10_000;
    let sign = if beans.0 < 0 && hundredths > 0 {
        "-"
    } else {
        ""
    };
    match hundredths % 100 {
        0 => format!("{sign}{}", hundredths / 100),
        part => format!("{sign}{}.{part:02}", hundredths / 100),
    }
}
