//! Who asks for beans, and what becomes of it. One of each person waits at a time, and each is decided once.

use super::{event, given, in_use};
use crate::bean::event::BeanEvent;
use crate::bean::refusal::BeanRefusal;
use crate::bean::{called, deciders, decides};
use crate::decide::{Decision, Ground, group, in_range, plain_text};
use crate::event::Event;
use crate::id::LogIndex;
use crate::model::{BeanRequest, BeanVerdict, PurseOf, User};
use crate::permit;
use crate::refusal::Refusal;

pub(super) fn ask(ground: Ground<'_>, beans: u64, reason: &str) -> Result<Decision, Refusal> {
    let state = ground.state;
    let asker = permit::person(state, ground.entry.actor)?;
    in_use(state)?;
    in_range("request", beans, BeanRequest::BEANS_RANGE, "beans")?;
    check_reason(reason, "whoever decides wants to know what for")?;
    let known = state.bean_requests.get(&asker.id);
    if let Some(open) = known.filter(|request| request.verdict.is_none()) {
        return Err(BeanRefusal::Pending {
            number: open.number.0,
            beans: open.beans,
        }
        .into());
    }
    let mut told = deciders(state, asker.id);
    told.insert(asker.id);
    Ok(Decision::quiet(vec![event(BeanEvent::Requested {
        request: BeanRequest {
            user: asker.id,
            number: ground.index,
            beans,
            reason: reason.to_owned(),
            asked_at: ground.entry.at,
            verdict: None,
        },
        told,
    })]))
}

/// There must be one.
pub(super) fn check_reason(reason: &str, why: &str) -> Result<(), Refusal> {
    plain_text("reason", reason, BeanRequest::REASON_LEN_MAX)?;
    if reason.trim().is_empty() {
        return Err(Refusal::Malformed {
            what: "reason".to_owned(),
            cause: format!("it is empty, and {why}"),
        });
    }
    Ok(())
}

/// One's own, as long as nobody has decided.
pub(super) fn withdraw(ground: Ground<'_>, number: LogIndex) -> Result<Decision, Refusal> {
    let state = ground.state;
    let asker = permit::person(state, ground.entry.actor)?;
    let request = state.bean_request(number);
    let own = request.filter(|request| request.user == asker.id);
    let own = own.ok_or_else(|| Refusal::not_found("request for beans", number))?;
    if let Some(verdict) = &own.verdict {
        return Err(decided_already(ground, number, verdict));
    }
    let mut told = deciders(state, asker.id);
    told.insert(asker.id);
    Ok(Decision::quiet(vec![event(BeanEvent::Withdrawn {
        request: own.clone(),
        told,
    })]))
}

fn decided_already(ground: Ground<'_>, number: LogIndex, verdict: &BeanVerdict) -> Refusal {
    let word = if verdict.given {
        "approved"
    } else {
        "declined"
    };
    BeanRefusal::Decided {
        number: number.0,
        verdict: word.to_owned(),
        by: called(ground.state, PurseOf::User(verdict.by)),
    }
    .into()
}

/// The request, if the asker may decide about it and nobody has. To whom it is nothing it looks as if it were not there.
fn open<'e>(
    ground: Ground<'e>,
    asker: &User,
    number: LogIndex,
) -> Result<&'e BeanRequest, Refusal> {
    let state = ground.state;
    let request = state.bean_request(number);
    let shown =
        request.filter(|request| request.user == asker.id || decides(state, request, asker));
    let request = shown.ok_or_else(|| Refusal::not_found("request for beans", number))?;
    if !decides(state, request, asker) {
        return Err(Refusal::NotPermitted {
            action: "decide about your own request".to_owned(),
            needed: "a manager of a group that you are in, or the role admin".to_owned(),
        });
    }
    match &request.verdict {
        None => Ok(request),
        Some(verdict) => Err(decided_already(ground, number, verdict)),
    }
}

fn decided(ground: Ground<'_>, request: &BeanRequest, by: &User, given: bool, why: &str) -> Event {
    let mut told = deciders(ground.state, request.user);
    told.extend([request.user, by.id]);
    let verdict = BeanVerdict {
        by: by.id,
        at: ground.entry.at,
        given,
        reason: why.to_owned(),
    };
    event(BeanEvent::Decided {
        request: BeanRequest {
            verdict: Some(verdict),
            ..request.clone()
        },
        told,
    })
}

/// Of a group whoever asked must be in it. Whether the asker may take of its purse, the table has said.
pub(super) fn approve(
    ground: Ground<'_>,
    number: LogIndex,
    from: Option<&str>,
    reason: &str,
) -> Result<Decision, Refusal> {
    in_use(ground.state)?;
    let asker = permit::person(ground.state, ground.entry.actor)?;
    let request = open(ground, asker, number)?;
    let from = from.map(|text| group::named(ground, text)).transpose()?;
    if let Some(group) = from.filter(|group| !group.members.contains(&request.user)) {
        let group = group.name.to_string();
        return Err(BeanRefusal::NotToGroups { group }.into());
    }
    let to = PurseOf::User(request.user);
    let mut decision = given(ground, to, from, request.beans, reason)?;
    let decided = decided(ground, request, asker, true, reason);
    decision.events.insert(0, decided);
    Ok(decision)
}

pub(super) fn decline(
    ground: Ground<'_>,
    number: LogIndex,
    reason: &str,
) -> Result<Decision, Refusal> {
    let asker = permit::person(ground.state, ground.entry.actor)?;
    plain_text("reason", reason, BeanRequest::REASON_LEN_MAX)?;
    let request = open(ground, asker, number)?;
    let decided = decided(ground, request, asker, false, reason);
    Ok(Decision::quiet(vec![decided]))
}
