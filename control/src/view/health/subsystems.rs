//! How what is no machine is: the group of masters, versions, workers and vnodes as a whole, backups, certificates.

use super::upkeep;
use super::{DAY_MS, Finding, Grade, Kind, Seen, SubsystemHealth, ending, several};
use crate::id::UnixMs;
use crate::model::{Vnode, VnodeSeen, VnodeWanted, WorkerStatus};
use crate::state::State;
use crate::{quorum, version};

/// A backup that is older than this is told.
const BACKUP_AGE_MS_MAX: u64 = 7 * DAY_MS;
/// A vnode that waits for longer than this is told.
const WAIT_MS_MAX: u64 = 30_000;

/// One after another, and what more there is to say of them.
pub(super) fn show(state: &State, seen: &Seen) -> (Vec<SubsystemHealth>, Vec<Finding>) {
    let more = quorum::warnings(state, &seen.group.seats);
    let more = more.into_iter().map(|says| Finding {
        kind: Kind::Subsystem,
        name: "group of masters".to_owned(),
        grade: Grade::Warning,
        since: None,
        says,
        next: Some("A master joins with `docklet token create --role master` here and `docklet master join TOKEN` there.".to_owned()),
    });
    let more: Vec<Finding> = more.collect();
    let parts = vec![
        group(seen, &more),
        versions(state),
        workers(state),
        vnodes(state, seen.now),
        backups(state, seen.now),
        certificates(state, seen),
        upkeep::mails(state),
        upkeep::drills(state, seen.now),
        upkeep::balance(state),
        upkeep::requests(state, seen.now),
    ];
    let more = if seen.leads() { more } else { Vec::new() };
    // The first of them is what the group itself says.
    (parts, more.into_iter().skip(1).collect())
}

pub(super) fn part(
    name: &str,
    grade: Grade,
    since: Option<UnixMs>,
    says: impl Into<String>,
    next: &str,
) -> SubsystemHealth {
    SubsystemHealth {
        name: name.to_owned(),
        grade,
        since,
        says: says.into(),
        next: (!next.is_empty()).then(|| next.to_owned()),
    }
}

fn group(seen: &Seen, warnings: &[Finding]) -> SubsystemHealth {
    const NAME: &str = "group of masters";
    if !seen.leads() {
        let next = "An election takes less than a second. If this lasts, start masters until most of them run: `docklet master run --dir DIR`.";
        return part(
            NAME,
            Grade::Bad,
            None,
            "Nobody leads: nothing can be changed. Vnodes go on.",
            next,
        );
    }
    match warnings.first() {
        Some(first) => part(
            NAME,
            first.grade,
            None,
            first.says.clone(),
            first.next.as_deref().unwrap_or_default(),
        ),
        None => {
            let voters = seen.group.seats.iter().filter(|seat| seat.voter).count();
            let says = format!(
                "{} vote, and one more may fail.",
                several(voters, "master", "masters")
            );
            part(NAME, Grade::Well, None, says, "")
        }
    }
}

fn versions(state: &State) -> SubsystemHealth {
    const NAME: &str = "version";
    match version::warning(state) {
        Some(warning) => part(
            NAME,
            Grade::Warning,
            None,
            warning,
            "`docklet master list` shows who knows what.",
        ),
        None => part(
            NAME,
            Grade::Well,
            None,
            format!("The cluster's version is {}.", state.version()),
            "",
        ),
    }
}

fn workers(state: &State) -> SubsystemHealth {
    const NAME: &str = "workers";
    let all = state.workers.len();
    let up = state
        .workers
        .values()
        .filter(|worker| worker.status == WorkerStatus::Up)
        .count();
    match (all, up) {
        (0, _) => part(
            NAME,
            Grade::Warning,
            None,
            "There are none: no vnode can run.",
            "`docklet token create --role agent` here, `docklet agent join TOKEN` there.",
        ),
        (_, 0) => part(
            NAME,
            Grade::Bad,
            None,
            "None is in touch: nothing can be started.",
            "Start their agents: `docklet agent run --dir DIR` there.",
        ),
        (all, up) => {
            let grade = if up < all { Grade::Note } else { Grade::Well };
            part(NAME, grade, None, format!("{up} of {all} in touch."), "")
        }
    }
}

fn vnodes(state: &State, now: UnixMs) -> SubsystemHealth {
    const NAME: &str = "vnodes";
    const NEXT: &str = "`docklet explain VC` tells what each waits for, and what would help.";
    let is_wanted =
        |vnode: &&Vnode| vnode.wanted == VnodeWanted::Running && !state.is_trashed(vnode.vcluster);
    let waits = |vnode: &&Vnode| now.since_ms(vnode.seen_at) > WAIT_MS_MAX;
    let waiting: Vec<&Vnode> = state
        .unplaced_vnodes()
        .filter(is_wanted)
        .filter(waits)
        .collect();
    let failed: Vec<&Vnode> = state
        .vnodes
        .values()
        .filter(is_wanted)
        .filter(|vnode| matches!(vnode.seen, VnodeSeen::Failed { .. }))
        .collect();
    let since = waiting
        .iter()
        .chain(&failed)
        .map(|vnode| vnode.seen_at)
        .min();
    let waiting_says = || {
        format!(
            "{} for a worker that can take it",
            several(waiting.len(), "vnode waits", "vnodes wait")
        )
    };
    let failed_says = || {
        several(
            failed.len(),
            "vnode failed and is tried again",
            "vnodes failed and are tried again",
        )
    };
    match (waiting.len(), failed.len()) {
        (0, 0) => part(
            NAME,
            Grade::Well,
            None,
            format!("{} as wanted, or on the way.", state.vnodes.len()),
            "",
        ),
        (_, 0) => part(
            NAME,
            Grade::Warning,
            since,
            format!("{}.", waiting_says()),
            NEXT,
        ),
        (0, _) => part(
            NAME,
            Grade::Warning,
            since,
            format!("{}.", failed_says()),
            NEXT,
        ),
        (_, _) => part(
            NAME,
            Grade::Warning,
            since,
            format!("{}, and {}.", waiting_says(), failed_says()),
            NEXT,
        ),
    }
}

fn backups(state: &State, now: UnixMs) -> SubsystemHealth {
    const NAME: &str = "backups";
    const NEXT: &str = "`docklet backup FILE` takes one while everything goes on.";
    match &state.last_backup {
        None => part(NAME, Grade::Warning, None, "None was ever taken.", NEXT),
        Some(last) if now.since_ms(last.at) > BACKUP_AGE_MS_MAX => {
            let days = now.since_ms(last.at) / DAY_MS;
            part(
                NAME,
                Grade::Warning,
                Some(last.at),
                format!("The last one is {days} days old."),
                NEXT,
            )
        }
        Some(last) => part(
            NAME,
            Grade::Well,
            Some(last.at),
            "The last one is not old.",
            "",
        ),
    }
}

fn certificates(state: &State, seen: &Seen) -> SubsystemHealth {
    const NAME: &str = "public certificates";
    if let Some(failure) = state.acme.as_ref().and_then(|acme| acme.failure.as_ref()) {
        let grade = seen.certificates.iter().filter(|it| it.source == "acme");
        let grade = grade
            .map(|it| ending(it.until, seen.now))
            .max()
            .unwrap_or(Grade::Warning);
        let says = format!(
            "The next one did not come, tried {}: {}.",
            several(as_count(failure.tries), "time", "times"),
            failure.cause.trim_end_matches('.')
        );
        let next = "It is tried again by itself; at once with `docklet tls acme renew`.";
        return part(
            NAME,
            grade.max(Grade::Warning),
            Some(failure.at),
            says,
            next,
        );
    }
    if let Some(faulty) = seen.certificates.iter().find(|it| it.fault.is_some()) {
        let fault = faulty.fault.as_deref().unwrap_or_default();
        let says = format!(
            "A given one is not in use: {}.",
            fault.trim_end_matches('.')
        );
        return part(
            NAME,
            Grade::Warning,
            None,
            says,
            "Put a good one in its place: it is seen within seconds. `docklet tls show` tells more.",
        );
    }
    let first = seen
        .certificates
        .iter()
        .filter(|it| it.source != "own")
        .min_by_key(|it| it.until);
    match first.or(seen.certificates.first()) {
        Some(it) if ending(it.until, seen.now) != Grade::Well => {
            let next = if it.renews {
                "The next one comes by itself; `docklet tls show` tells when."
            } else {
                "Put the next one in its place: it is seen within seconds."
            };
            part(
                NAME,
                ending(it.until, seen.now),
                None,
                "The one in use ends soon.",
                next,
            )
        }
        Some(it) if it.source == "own" => {
            let next = "For certificates that browsers know: `docklet tls acme set`.";
            part(
                NAME,
                Grade::Well,
                None,
                "The cluster's own authority vouches for it: browsers must have been told of that.",
                next,
            )
        }
        Some(_) => part(NAME, Grade::Well, None, "Those in use do not end soon.", ""),
        None => part(
            NAME,
            Grade::Well,
            None,
            "The cluster's own authority vouches for it.",
            "",
        ),
    }
}

fn as_count(tries: u32) -> usize {
    usize::try_from(tries).unwrap_or(usize::MAX)
}
