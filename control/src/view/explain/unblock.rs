//! What would let a vnode be where it shall be.

use super::{Lack, Verdict};
use crate::lost;
use crate::model::{User, Vnode, VnodeWanted, WorkerStatus};
use crate::place::{Board, Dimension};
use crate::state::State;
use crate::view::explain::holders;
use crate::view::vcluster::Phase;

/// Sentences, what is nearest first; never none.
pub(super) fn of(
    board: &Board,
    asker: &User,
    vnode: &Vnode,
    phase: Phase,
    workers: &[Verdict],
) -> Vec<String> {
    let waits = vnode.placement.is_none() && vnode.wanted == VnodeWanted::Running;
    if !waits {
        let again = phase == Phase::Unknown && lost::is_restartable(board.state(), vnode);
        return vec![of_placed(phase, again)];
    }
    if workers.is_empty() {
        return vec!["Join a worker: `docklet agent join` on it.".to_owned()];
    }
    if workers.iter().any(|worker| worker.place.is_some()) {
        return vec!["Nothing: a worker is about to take it.".to_owned()];
    }
    let mut found = smaller(board.state(), asker, vnode, workers);
    let mut near: Vec<&Verdict> = workers.iter().collect();
    near.sort_by_key(|worker| worker.lacks.len());
    found.extend(near.into_iter().map(|worker| {
        let needs = worker.lacks.iter().map(|lack| need(asker, worker, lack));
        let needs: Vec<String> = needs.collect();
        format!("{} takes it once {}.", worker.worker, needs.join(", and "))
    }));
    found.push("Another worker with enough of all joins: `docklet agent join` on it.".to_owned());
    found
}

fn of_placed(phase: Phase, begins_anew: bool) -> String {
    match phase {
        Phase::Unknown if begins_anew => "Nothing: it begins anew where there is room.",
        Phase::Running => "Nothing is needed.",
        Phase::Pending | Phase::Starting => "Nothing: its worker is at it.",
        Phase::Stopping | Phase::Removing => "Nothing: its worker ends it.",
        Phase::Stopped => "Start its vcluster: `docklet vc start`.",
        Phase::Failed => "Its worker tries again by itself; what failed is told above.",
        Phase::Unknown => "Its worker's agent gets in touch again: what runs there runs on.",
    }
    .to_owned()
}

/// What would fit as it is, of workers that lack nothing but CPU and memory.
fn smaller(state: &State, asker: &User, vnode: &Vnode, workers: &[Verdict]) -> Vec<String> {
    let Some(name) = holders::vcluster_called(state, asker, vnode.vcluster) else {
        return Vec::new();
    };
    let fitting = workers.iter().filter_map(|worker| {
        let lacks = worker.lacks.iter().map(|lack| fitting(&lack.dimension));
        let options: String = lacks.collect::<Option<String>>()?;
        let fits = &worker.worker;
        Some(format!(
            "It asks for no more than fits on {fits} now: `docklet vc resize {name}{options}`."
        ))
    });
    fitting.collect()
}

/// The option by which a vcluster asks for what is free; none if that would not do.
fn fitting(dimension: &Dimension) -> Option<String> {
    match dimension {
        Dimension::Cpu { free, .. } if *free > 0 => Some(format!(" --cpu-milli {free}")),
        Dimension::Memory { free, .. } if *free > 0 => Some(format!(" --memory-mib {free}")),
        Dimension::Cpu { .. }
        | Dimension::Memory { .. }
        | Dimension::Status(_)
        | Dimension::Disk { .. }
        | Dimension::Gpus { .. }
        | Dimension::Snapshot { .. }
        | Dimension::Cordoned { .. }
        | Dimension::Label { .. }
        | Dimension::PerWorker { .. } => None,
    }
}

fn need(asker: &User, worker: &Verdict, lack: &Lack) -> String {
    let name = &worker.worker;
    let more = |wanted: u64, free: u64, unit: &str| {
        if let Some(most) = lack.most.filter(|most| wanted > *most) {
            return format!("it has more than {most} {unit} to promise in all");
        }
        let short = wanted.saturating_sub(free);
        let own = lack.holders.iter().find(|holder| holder.amount >= short);
        let example = own.map_or_else(String::new, |holder| {
            format!(", as when {} lets go of it", holder.who)
        });
        format!("{short} {unit} more are free{example}")
    };
    match &lack.dimension {
        Dimension::Status(WorkerStatus::Down) => "its agent is in touch again".to_owned(),
        Dimension::Status(WorkerStatus::Unadmitted) => "it has joined again".to_owned(),
        Dimension::Status(WorkerStatus::Joined | WorkerStatus::Up) => "its agent runs".to_owned(),
        Dimension::Cpu { wanted, free } => more(*wanted, *free, "m of CPU"),
        Dimension::Memory { wanted, free } => more(*wanted, *free, "MiB of memory"),
        Dimension::Disk { wanted, free } => more(*wanted, *free, "MiB of disk"),
        Dimension::Gpus { wanted, free, .. } => more((*wanted).into(), (*free).into(), "such GPUs"),
        Dimension::Snapshot { .. } => "it has the snapshot".to_owned(),
        Dimension::Cordoned { .. } if asker.operates() => {
            format!("`docklet worker uncordon {name}` is run")
        }
        Dimension::Cordoned { .. } => "an admin lets it take vnodes again".to_owned(),
        Dimension::Label { key, wanted, .. } if asker.operates() => {
            format!(
                "`docklet worker label {name} {key}={wanted}` is run or the vcluster does not ask for it"
            )
        }
        Dimension::Label { key, .. } => format!("the vcluster does not ask for {key}"),
        Dimension::PerWorker { most } => {
            format!("more than {most} vnodes may be on one worker, or one of them goes")
        }
    }
}
