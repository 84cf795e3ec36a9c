//! What people found wrong: anybody says it, admins answer.

use super::super::Ground;
use super::{lines, said};
use crate::event::Event;
use crate::id::{BugId, UserId};
use crate::model::Bug;
use crate::model::bug::BugAnswer;
use crate::model::notice::{Severity, To};
use crate::notice::bug::{BugCommand, BugEvent};
use crate::notice::event::NoticeEvent;
use crate::notice::refusal::NoticeRefusal;
use crate::notice::tell::Text;
use crate::refusal::Refusal;

pub(super) fn decide(ground: Ground<'_>, command: &BugCommand) -> Result<Vec<Event>, Refusal> {
    match command {
        BugCommand::Report { text } => report(ground, text),
        BugCommand::Answer { bug, text, close } => answer(ground, *bug, text.as_deref(), *close),
        BugCommand::Forget { bug } => Ok(vec![forgotten(found(ground, *bug)?)]),
    }
}

fn event(event: BugEvent) -> Event {
    Event::Notice(NoticeEvent::Bug(event))
}

fn check(text: &str) -> Result<(), Refusal> {
    said("text", text)?;
    lines("text", text, Bug::TEXT_LEN_MAX)
}

fn report(ground: Ground<'_>, text: &str) -> Result<Vec<Event>, Refusal> {
    let (state, asker) = (ground.state, ground.asker()?);
    check(text)?;
    let open = state.bugs_of(asker.id).filter(|bug| !bug.closed).count();
    let most = Bug::OPEN_PER_USER_MAX;
    if open >= most {
        let open = most as u64;
        return Err(NoticeRefusal::TooManyBugs { open }.into());
    }
    let mut events = room(ground)?;
    let bug = Bug {
        id: BugId(ground.index.0),
        by: Some(asker.id),
        text: text.trim().to_owned(),
        at: ground.entry.at,
        answer: None,
        closed: false,
    };
    let told = Text {
        severity: Severity::Info,
        title: format!("{} found something wrong", asker.name),
        body: bug.text.clone(),
        link: format!("/bugs#bug-{}", bug.id),
    };
    events.push(event(BugEvent::Reported { bug }));
    let mut telling = ground.moment().telling();
    telling.tell(To::Admins, told, true);
    events.extend(telling.done());
    Ok(events)
}

fn room(ground: Ground<'_>) -> Result<Vec<Event>, Refusal> {
    let bugs = &ground.state.bugs;
    if bugs.len() < Bug::KEPT_MAX {
        return Ok(Vec::new());
    }
    let most = Bug::KEPT_MAX;
    let closed = bugs.values().find(|bug| bug.closed);
    let closed = closed.ok_or_else(|| Refusal::Exhausted {
        what: "bug report".to_owned(),
        scope: format!("the {most} of this cluster"),
    })?;
    Ok(vec![forgotten(closed)])
}

fn forgotten(bug: &Bug) -> Event {
    event(BugEvent::Forgotten {
        bug: bug.id,
        by: bug.by,
    })
}

fn found(ground: Ground<'_>, id: BugId) -> Result<&Bug, Refusal> {
    let bug = ground.state.bugs.get(&id);
    bug.ok_or_else(|| Refusal::not_found("bug report", id))
}

fn answer(
    ground: Ground<'_>,
    id: BugId,
    text: Option<&str>,
    close: bool,
) -> Result<Vec<Event>, Refusal> {
    let asker = ground.asker()?;
    let bug = found(ground, id)?;
    if let Some(text) = text {
        check(text)?;
    }
    let answer = text.map(|text| BugAnswer {
        by: asker.id,
        name: asker.name.to_string(),
        text: text.trim().to_owned(),
        at: ground.entry.at,
    });
    let closed = close || bug.closed;
    if answer.is_none() && closed == bug.closed {
        return Ok(Vec::new());
    }
    let told = bug.by.filter(|by| *by != asker.id);
    let told = told.map(|by| (by, news(id, answer.as_ref(), closed)));
    let mut events = vec![event(BugEvent::Answered {
        bug: id,
        by: bug.by,
        answer,
        closed,
    })];
    events.extend(
        told.into_iter()
            .flat_map(|(by, text)| tell(ground, by, text)),
    );
    Ok(events)
}

fn news(id: BugId, answer: Option<&BugAnswer>, closed: bool) -> Text {
    let title = if closed {
        format!("Your bug report {id} was closed")
    } else {
        format!("Your bug report {id} was answered")
    };
    let body = answer.map(|answer| format!("{}: {}", answer.name, answer.text));
    Text {
        severity: Severity::Info,
        title,
        body: body.unwrap_or_default(),
        link: format!("/bugs#bug-{id}"),
    }
}

fn tell(ground: Ground<'_>, by: UserId, text: Text) -> Vec<Event> {
    let mut telling = ground.moment().telling();
    telling.tell(To::User(by), text, true);
    telling.done()
}
