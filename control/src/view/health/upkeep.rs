//! What people look after: mails, drills, how evenly workers are loaded, and requests.

use super::subsystems::part;
use super::{DAY_MS, Grade, SubsystemHealth, several};
use crate::bean;
use crate::id::UnixMs;
use crate::model::drill::Verdict;
use crate::model::mail::{Mail, MailStage};
use crate::state::State;

/// A drill that is older than this is told.
const DRILL_AGE_MS_MAX: u64 = 90 * DAY_MS;
/// Requests that wait for longer than this are told.
const REQUEST_AGE_MS_MAX: u64 = 3 * DAY_MS;

pub(super) fn mails(state: &State) -> SubsystemHealth {
    const NAME: &str = "mails";
    const NEXT: &str =
        "`docklet mail queue` shows them; `docklet mail resend N` sends one once more.";
    let oldest = |mails: &[&Mail]| mails.iter().map(|mail| mail.made_at).min();
    let is_over = |mail: &&Mail| {
        matches!(
            mail.stage,
            MailStage::GivenUp { .. } | MailStage::Unsure { .. }
        )
    };
    let is_late = |mail: &&Mail| matches!(mail.stage, MailStage::Waiting { .. }) && mail.tries > 0;
    let over: Vec<&Mail> = state.mails.values().filter(is_over).collect();
    let late: Vec<&Mail> = state.mails.values().filter(is_late).collect();
    if !over.is_empty() {
        let count = several(over.len(), "is", "are");
        let says = format!("{count} not certainly delivered, and not tried any more.");
        return part(NAME, Grade::Warning, oldest(&over), says, NEXT);
    }
    if let Some(first) = late.first() {
        let count = several(late.len(), "is tried", "are tried");
        let says = format!("{count} again: {}.", first.cause.trim_end_matches('.'));
        return part(NAME, Grade::Warning, oldest(&late), says, NEXT);
    }
    if state.mail_server.is_none() {
        let next = "`docklet mail set --host HOST` names one.";
        return part(
            NAME,
            Grade::Note,
            None,
            "None are sent: no server was named.",
            next,
        );
    }
    let says = format!(
        "{} to be sent.",
        several(state.mails.len(), "waits", "wait")
    );
    part(NAME, Grade::Well, None, says, "")
}

pub(super) fn drills(state: &State, now: UnixMs) -> SubsystemHealth {
    const NAME: &str = "drills";
    if let Some(running) = state.running_drill() {
        return part(
            NAME,
            Grade::Note,
            Some(running.announced_at),
            "One is under way.",
            "",
        );
    }
    let ended = state
        .drills
        .values()
        .rev()
        .find_map(|drill| Some((drill.id, drill.ending.as_ref()?)));
    match ended {
        None => part(
            NAME,
            Grade::Note,
            None,
            "None was ever run: what a loss costs is not known.",
            "`docklet drill leader-loss` finds out, within bounds.",
        ),
        Some((id, ending)) if ending.verdict == Verdict::Failed => {
            let next = format!("`docklet drill show {id}` tells why.");
            part(
                NAME,
                Grade::Warning,
                Some(ending.at),
                format!("The last one, {id}, failed."),
                &next,
            )
        }
        Some((_, ending)) if now.since_ms(ending.at) > DRILL_AGE_MS_MAX => part(
            NAME,
            Grade::Note,
            Some(ending.at),
            "The last one is long ago.",
            "`docklet drill leader-loss` runs one, within bounds.",
        ),
        Some((_, ending)) => part(
            NAME,
            Grade::Well,
            Some(ending.at),
            format!("The last one {}.", ending.verdict.word()),
            "",
        ),
    }
}

pub(super) fn balance(state: &State) -> SubsystemHealth {
    const NAME: &str = "balance of workers";
    let uneven = state
        .rebalance
        .as_ref()
        .and_then(|rebalance| rebalance.uneven_since);
    match uneven {
        Some(since) => part(
            NAME,
            Grade::Note,
            Some(since),
            "Workers are loaded unevenly.",
            "The leader moves vnodes when it has lasted; at once with `docklet rebalance --apply`.",
        ),
        None => part(
            NAME,
            Grade::Well,
            None,
            "Nothing is to be evened out, or nobody wants it.",
            "",
        ),
    }
}

/// What people wait for that only people decide.
pub(super) fn requests(state: &State, now: UnixMs) -> SubsystemHealth {
    const NAME: &str = "requests";
    let accounts = state.applications.values();
    let accounts = accounts.filter(|it| it.declined.is_none());
    let accounts: Vec<UnixMs> = accounts.map(|it| it.asked_at).collect();
    let beans = state.bean_requests.values();
    let beans = beans.filter(|it| it.verdict.is_none() && bean::in_use(state).is_some());
    let beans: Vec<UnixMs> = beans.map(|it| it.asked_at).collect();
    let bugs = state.bugs.values();
    let bugs = bugs.filter(|bug| !bug.closed && bug.answer.is_none());
    let bugs: Vec<UnixMs> = bugs.map(|bug| bug.at).collect();
    let Some(oldest) = accounts.iter().chain(&beans).chain(&bugs).min() else {
        return part(NAME, Grade::Well, None, "None waits.", "");
    };
    let kinds = [
        (
            accounts.len(),
            "for an account",
            "for accounts",
            "`docklet user requests`",
        ),
        (
            beans.len(),
            "for beans",
            "for beans",
            "`docklet beans requests`",
        ),
        (
            bugs.len(),
            "report of something wrong",
            "reports of something wrong",
            "`docklet bug list`",
        ),
    ];
    let open: Vec<_> = kinds.iter().filter(|(count, ..)| *count > 0).collect();
    let says: Vec<String> = open
        .iter()
        .map(|(count, one, many, _)| several(*count, one, many))
        .collect();
    let next: Vec<&str> = open.iter().map(|(.., command)| *command).collect();
    let old = now.since_ms(*oldest) > REQUEST_AGE_MS_MAX;
    let grade = if old { Grade::Warning } else { Grade::Note };
    let says = format!("Waiting: {}.", says.join(", "));
    let next = format!("Decide about them: {}.", next.join(", "));
    part(NAME, grade, Some(*oldest), says, &next)
}
