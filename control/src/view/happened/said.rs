//! Sentences of events whose kind says too little.

use crate::audit::event::AuditEvent;
use crate::drain::event::DrainEvent;
use crate::event::Event;
use crate::model::{
    DrainStage, MoveEnd, VclusterWanted, VnodeSeen, VnodeWanted, WorkerStatus, WorkerTraits,
};
use crate::moves::event::MoveEvent;
use crate::schedule::event::ScheduleEvent;
use crate::state::State;
use crate::view::explain::words;

pub(super) const LOGGED_IN: &str = "logged in";

/// What a kind does not say.
pub(super) fn detail(state: &State, event: &Event) -> Option<String> {
    of_vnode(state, event)
        .or_else(|| of_move(state, event))
        .or_else(|| of_worker(event))
        .or_else(|| of_intent(event))
        .or_else(|| of_other(state, event))
}

fn of_vnode(state: &State, event: &Event) -> Option<String> {
    if let Event::VnodePlaced { placement, .. } = event {
        return Some(format!(
            "placed on {}",
            state.worker_called(placement.worker)
        ));
    }
    if let Event::VnodeUnplaceable { obstacles, .. } = event {
        return Some(format!("waits: {}", words::no_worker(state, obstacles)));
    }
    if let Event::VnodeSeen { seen, .. } = event {
        return Some(match seen {
            VnodeSeen::Pending => "waits for its worker".to_owned(),
            VnodeSeen::Preparing { step } => format!("prepared: {step}"),
            VnodeSeen::Running => "runs".to_owned(),
            VnodeSeen::Stopped => "stands still".to_owned(),
            VnodeSeen::Failed { step, cause } => format!("failed to {step}: {cause}"),
        });
    }
    if let Event::VnodeWantedChanged { wanted, .. } = event {
        let word = match wanted {
            VnodeWanted::Running => "is to run",
            VnodeWanted::Stopped => "is to stop",
            VnodeWanted::Removed => "is to go",
        };
        return Some(word.to_owned());
    }
    if let Event::PortAdded { port } = event {
        return Some(format!(
            "port {} opened to the outside as {}",
            port.number, port.public
        ));
    }
    if let Event::PortRemoved { .. } = event {
        return Some("a port closed".to_owned());
    }
    None
}

fn of_other(state: &State, event: &Event) -> Option<String> {
    if let Event::VclusterWantedChanged { wanted, .. } = event {
        let word = match wanted {
            VclusterWanted::Running => "is to run",
            VclusterWanted::Stopped => "is to stop",
            VclusterWanted::Deleted => "is to go",
        };
        return Some(word.to_owned());
    }
    if let Event::RoleSet { role, .. } = event {
        return Some(format!("has the role {}", role.word()));
    }
    if let Event::SessionOpened { .. } = event {
        return Some(LOGGED_IN.to_owned());
    }
    if let Event::SessionClosed { .. } = event {
        return Some("a login ended".to_owned());
    }
    if let Event::VersionRaised { .. } = event {
        return Some(format!("version {} from now on", state.version()));
    }
    None
}

fn of_move(state: &State, event: &Event) -> Option<String> {
    let Event::Moved(event) = event else {
        return None;
    };
    let called = |worker| state.worker_called(worker);
    match event {
        MoveEvent::Begun { began, .. } => Some(format!(
            "is to move from {} to {}, {}",
            called(began.from),
            called(began.to),
            began.way.word()
        )),
        MoveEvent::Copied { .. } => Some("is being copied".to_owned()),
        MoveEvent::Switching { ran: true, .. } => {
            Some("copied; stands still for the last of it".to_owned())
        }
        MoveEvent::Switching { ran: false, .. } => Some("copied".to_owned()),
        MoveEvent::WayChanged { way, cause, .. } => {
            Some(format!("moves another way, {}: {cause}", way.word()))
        }
        MoveEvent::Placed { placement, .. } => {
            Some(format!("placed on {}", called(placement.worker)))
        }
        MoveEvent::Returning { cause, .. } => Some(format!("did not start there: {cause}")),
        MoveEvent::PlacedBack { placement, .. } => {
            Some(format!("placed back on {}", called(placement.worker)))
        }
        MoveEvent::Ended { end, .. } => Some(match end {
            MoveEnd::Moved => "moved".to_owned(),
            MoveEnd::Failed { cause } => format!("did not move: {cause}"),
            MoveEnd::Cancelled => "stays where it is".to_owned(),
        }),
        MoveEvent::CheckpointingReported { .. } => None,
    }
}

fn of_worker(event: &Event) -> Option<String> {
    if let Event::WorkerMarked { status, .. } = event {
        let word = match status {
            WorkerStatus::Joined => "joined",
            WorkerStatus::Up => "in touch",
            WorkerStatus::Down => "lost",
            WorkerStatus::Unadmitted => "must join again",
        };
        return Some(word.to_owned());
    }
    if let Event::Schedule(ScheduleEvent::WorkerDescribed { traits }) = event {
        return Some(described(traits));
    }
    if let Event::Drain(event) = event {
        let word = match event {
            DrainEvent::Begun { .. } => "is being emptied",
            DrainEvent::Came { to, .. } => drained(*to),
        };
        return Some(word.to_owned());
    }
    None
}

fn described(traits: &WorkerTraits) -> String {
    let labels = traits.labels.iter();
    let labels: Vec<String> = labels
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let takes = match traits.cordon {
        Some(_) => "takes nothing new",
        None => "takes what comes",
    };
    match labels.join(", ") {
        none if none.is_empty() => takes.to_owned(),
        labels => format!("{takes}; labels {labels}"),
    }
}

fn drained(stage: DrainStage) -> &'static str {
    match stage {
        DrainStage::Draining => "is being emptied",
        DrainStage::Drained => "emptied",
        DrainStage::Late => "not emptied in time",
        DrainStage::Aborted => "is emptied no further",
        DrainStage::Restoring => "gets back what was moved away",
        DrainStage::Restored => "has back what was moved away",
    }
}

/// What is told before it is done.
fn of_intent(event: &Event) -> Option<String> {
    let Event::Audit(event) = event else {
        return None;
    };
    let word = match event {
        AuditEvent::FilesRead { .. } => "is to be read",
        AuditEvent::FilesWritten { .. } => "is to be written",
        AuditEvent::FilesDeleted { .. } => "is to be deleted",
        AuditEvent::FilesMoved { .. } => "is to be moved",
        AuditEvent::LeaderChosen { .. } => "is to lead",
        AuditEvent::MasterDrained { .. } => "is to be made safe to stop",
        AuditEvent::TerminalOpened { .. }
        | AuditEvent::ProgramRun { .. }
        | AuditEvent::PortForwarded { .. }
        | AuditEvent::Refused { .. } => return None,
    };
    Some(word.to_owned())
}
