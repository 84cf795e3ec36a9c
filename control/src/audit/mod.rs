//! The audit trail: one line for what somebody asked of the cluster and what came of it, each with a hash over all before.
//! Made while entries are applied, so every master has the same; only the hash of the last line is in the state.
//! Since version 3 (ADR 0032).

mod about;
pub mod chain;
pub mod command;
pub mod event;
mod kind;
pub mod record;
pub mod tried;

use std::collections::BTreeMap;

use crate::account::command::AccountCommand;
use crate::command::{Actor, Command, Entry};
use crate::event::Event;
use crate::id::LogIndex;
use crate::model::audit::AuditHead;
use crate::model::{ClusterVersion, Outcome};
use crate::refusal::Refusal;
use crate::state::State;

use about::About;
use chain::Line;
use command::AuditCommand;
use record::{NOTED, Record, Who};

/// The version from which on there is a trail.
pub const SINCE: ClusterVersion = ClusterVersion(3);

/// The line that an entry leaves in the trail, which would come after what `state` has, and the end of the trail then. What
/// workers report of themselves, and duties that come to nothing, leave none.
pub(crate) fn line(
    state: &State,
    index: LogIndex,
    entry: &Entry,
    outcome: &Outcome,
    events: &[Event],
) -> Option<(Line, AuditHead)> {
    let by_itself = entry.actor == Actor::Duty && events.is_empty();
    let told = !matches!(entry.actor, Actor::Worker(_)) && entry.command.leaves_receipt();
    if state.version() < SINCE || by_itself || !told {
        return None;
    }
    let head = state.audit_head.unwrap_or_default();
    let record = record(state, head.records + 1, index, entry, outcome, events);
    let line = Line::after(&head, &record);
    let head = AuditHead {
        records: record.number,
        index,
        hash: line.hash,
    };
    Some((line, head))
}

/// What kind of event it is, and what it is about by the names of `state`.
pub(crate) fn about(state: &State, event: &Event) -> (String, Vec<String>) {
    let mut about = About::in_state(state);
    about.add(event);
    let (things, ..) = about.told();
    (kind::of(event), things)
}

fn record(
    state: &State,
    number: u64,
    index: LogIndex,
    entry: &Entry,
    outcome: &Outcome,
    events: &[Event],
) -> Record {
    let mut about = About::in_state(state);
    let mut effects: BTreeMap<String, u32> = BTreeMap::new();
    for event in events {
        about.add(event);
        *effects.entry(kind::of(event)).or_default() += 1;
    }
    let (mut from, login) = match entry.actor {
        Actor::Login { number, from, .. } => (Some(from), Some(number)),
        Actor::User(_) | Actor::Worker(_) | Actor::Door(_) | Actor::Duty => (None, None),
    };
    if let Command::Account(AccountCommand::OpenLogin(new)) = &entry.command {
        from = new.from.parse().ok();
    }
    if let (Command::Audit(entered), Outcome::Refused(Refusal::NotLoggedIn)) =
        (&entry.command, outcome)
    {
        // They went in without a quorum, and their login ended before it was told.
        if let Some(vnode) = entered.vnode() {
            about.entered(vnode);
        }
    }
    let refused = match outcome {
        Outcome::Accepted(_) => None,
        Outcome::Refused(refusal) => Some(refusal.code().to_owned()),
    };
    let token = login.and_then(|number| state.login_numbered(number)?.token.as_ref());
    let (things, more_things, owners) = about.told();
    let mut record = Record {
        number,
        index,
        at: entry.at,
        who: Who::of(state, entry.actor),
        from,
        login,
        token: token.map(|token| token.name.clone()),
        command: entry.command.name().to_owned(),
        refused,
        things,
        more_things,
        effects,
        owners,
    };
    if let Command::Audit(AuditCommand::NoteRefused(tried)) = &entry.command
        && record.refused.is_none()
    {
        // It is told as if they had come as far as an entry.
        if let Some(by) = tried.by {
            record.who = Who::of(state, Actor::User(by));
        }
        record.from = Some(tried.from);
        record.command.clone_from(&tried.what);
        record.refused = Some(tried.code.clone());
        record.effects.insert(NOTED.to_owned(), tried.times);
    }
    record
}
