//! A single master goes on from a state alone: restored from a backup, or left over when the others were lost.

use super::{Decision, Ground, socket_address};
use crate::drill::event::DrillEvent;
use crate::event::Event;
use crate::generation;
use crate::id::{LogIndex, MasterId};
use crate::model::drill::{DrillAbort, DrillEnding, DrillFigures, DrillReason, Verdict};
use crate::model::receipt::Subject;
use crate::model::{ClusterId, Lineage, Master, Settings, WorkerStatus};
use crate::name::Name;
use crate::refusal::Refusal;

/// What the first master of the new cluster is.
pub(super) struct NewMaster<'e> {
    pub(super) name: &'e str,
    pub(super) cluster_addr: &'e str,
    pub(super) public_addr: &'e str,
}

pub(super) fn restore(
    ground: Ground<'_>,
    cluster: ClusterId,
    last: LogIndex,
    new: &NewMaster<'_>,
) -> Result<Decision, Refusal> {
    let old = begun(ground, last)?;
    if old.cluster == cluster {
        return Err(Refusal::Malformed {
            what: "cluster id".to_owned(),
            cause: "it is that of the cluster which the backup is of".to_owned(),
        });
    }
    socket_address("cluster_addr", new.cluster_addr)?;
    socket_address("public_addr", new.public_addr)?;
    let master = Master {
        id: MasterId(ground.index.0),
        name: Name::parse("master", new.name)?,
        cluster_addr: new.cluster_addr.to_owned(),
        public_addr: new.public_addr.to_owned(),
        joined_at: ground.entry.at,
    };
    let mut events = vec![Event::ClusterRestored {
        lineage: lineage(ground, last, Some(old.cluster)),
        settings: Settings {
            cluster,
            ..old.clone()
        },
        counters: generation::counters(ground.state.counters),
    }];
    events.extend(masters_but(ground, None));
    events.push(Event::MasterJoined {
        master: master.clone(),
    });
    events.extend(what_ends(ground));
    // Their certificates are of the old cluster's authority.
    let workers = ground.state.workers.keys();
    events.extend(workers.map(|worker| Event::WorkerMarked {
        worker: *worker,
        status: WorkerStatus::Unadmitted,
    }));
    Ok(Decision::new(Subject::Master(Box::new(master)), events))
}

pub(super) fn recover(
    ground: Ground<'_>,
    master: MasterId,
    last: LogIndex,
) -> Result<Decision, Refusal> {
    begun(ground, last)?;
    let survivor = ground.state.masters.get(&master);
    let survivor = survivor.ok_or_else(|| Refusal::not_found("master", master))?;
    let mut events = vec![Event::ClusterRecovered {
        lineage: lineage(ground, last, None),
        master,
        counters: generation::counters(ground.state.counters),
    }];
    events.extend(masters_but(ground, Some(master)));
    events.extend(what_ends(ground));
    Ok(Decision::new(
        Subject::Master(Box::new(survivor.clone())),
        events,
    ))
}

/// The settings of a cluster that is there, if this entry begins the generation after `last`. Nobody can put such an
/// entry into a log.
fn begun(ground: Ground<'_>, last: LogIndex) -> Result<&Settings, Refusal> {
    if ground.index != generation::next(last) || last.0 == 0 {
        return Err(Refusal::OnlyOffline {
            action: ground.entry.command.name().to_owned(),
        });
    }
    ground
        .state
        .settings
        .as_ref()
        .ok_or(Refusal::ClusterMissing)
}

fn lineage(ground: Ground<'_>, last: LogIndex, from: Option<ClusterId>) -> Lineage {
    Lineage {
        begun: ground.index,
        at: ground.entry.at,
        last,
        from,
    }
}

/// All masters go but this one, and nobody replaces anybody any more.
fn masters_but(ground: Ground<'_>, kept: Option<MasterId>) -> impl Iterator<Item = Event> {
    let state = ground.state;
    let replaced = state.replacements.keys();
    let replaced = replaced.map(|old| Event::MasterReplacementForgotten { old: *old });
    let gone = state.masters.values().filter(move |m| Some(m.id) != kept);
    let gone = gone.map(|master| Event::MasterRemoved {
        master: master.id,
        name: master.name.clone(),
    });
    replaced.chain(gone)
}

/// What an entry that is lost may have ended already: whoever was logged out must not be in again, an invitation that
/// was used must not admit once more. And a drill of masters that are gone.
fn what_ends(ground: Ground<'_>) -> impl Iterator<Item = Event> {
    let state = ground.state;
    let tokens = state.join_tokens.keys();
    let tokens = tokens.map(|id| Event::JoinTokenForgotten { id: *id });
    let sessions = state.sessions.values().map(|session| Event::SessionClosed {
        id: session.id,
        user: session.user,
    });
    tokens.chain(sessions).chain(drill_ended(ground))
}

fn drill_ended(ground: Ground<'_>) -> Option<Event> {
    let drill = ground.state.running_drill()?;
    let cause = DrillAbort::Unwell {
        cause: "the cluster began anew with one master".to_owned(),
    };
    let ending = DrillEnding {
        at: ground.entry.at,
        verdict: Verdict::Aborted,
        reasons: vec![DrillReason::Aborted(cause)],
        figures: DrillFigures::default(),
        checks: Vec::new(),
        gone: Vec::new(),
    };
    Some(Event::Drill(DrillEvent::Ended {
        drill: drill.id,
        ending: Box::new(ending),
    }))
}
