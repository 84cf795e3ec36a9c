//! What a worker lacks, in words.

use crate::model::WorkerStatus;
use crate::place::{Dimension, Obstacle};
use crate::state::State;

/// Every worker with what it lacks.
pub(crate) fn no_worker(state: &State, obstacles: &[Obstacle]) -> String {
    if state.workers.is_empty() {
        return "there is no worker yet: join one with `docklet agent join`".to_owned();
    }
    let lines: Vec<String> = obstacles
        .iter()
        .map(|obstacle| {
            let name = state.worker_called(obstacle.worker);
            let lacks = obstacle.lacks.iter().map(|lacks| lack(state, lacks));
            let lacks: Vec<String> = lacks.collect();
            format!("{name}: {}", lacks.join(", "))
        })
        .collect();
    lines.join("; ")
}

pub(crate) fn lack(state: &State, dimension: &Dimension) -> String {
    match dimension {
        Dimension::Status(WorkerStatus::Down) => "out of touch".to_owned(),
        Dimension::Status(WorkerStatus::Unadmitted) => "must join again".to_owned(),
        Dimension::Status(WorkerStatus::Joined | WorkerStatus::Up) => {
            "not connected yet".to_owned()
        }
        Dimension::Cpu { wanted, free } => format!("wants {wanted} m of CPU, {free} m free"),
        Dimension::Memory { wanted, free } => {
            format!("wants {wanted} MiB of memory, {free} MiB free")
        }
        Dimension::Disk { wanted, free } => format!("wants {wanted} MiB of disk, {free} MiB free"),
        Dimension::Gpus {
            wanted,
            model,
            fitting,
            free,
        } => {
            let gpus = if *wanted == 1 { "GPU" } else { "GPUs" };
            let (kind, of) = match model {
                Some(model) => (format!(" \"{model}\""), " of this kind"),
                None => (String::new(), ""),
            };
            let has = match (*fitting, *free) {
                (0, _) => format!("has none{of}"),
                (_, 0) => format!("has {fitting}{of}, all given away"),
                _ => format!("has {fitting}{of}, {free} free"),
            };
            format!("wants {wanted} {gpus}{kind}, {has}")
        }
        Dimension::Snapshot { on } => {
            let worker = state.worker_called(*on);
            format!("has not the snapshot of which the disk is made, {worker} has")
        }
        Dimension::Cordoned { reason } if reason.is_empty() => "takes nothing new".to_owned(),
        Dimension::Cordoned { reason } => format!("takes nothing new ({reason})"),
        Dimension::Label { key, wanted, has } => match has {
            Some(has) => format!("has the label {key}={has}, not {wanted}"),
            None => format!("has not the label {key}={wanted}"),
        },
        Dimension::PerWorker { most } => {
            format!("has {most} vnodes of this vcluster, as many as it may")
        }
    }
}
