//! How workers are.

use serde::{Deserialize, Serialize};

use super::{Finding, Found, Grade, Kind, Seen, Space, WorkerSeen, ahead_ms, several};
use crate::id::UnixMs;
use crate::model::{Worker, WorkerStatus};
use crate::state::State;
use crate::view::certificate::{self, CertificateView, Left};

/// One worker. What nobody tells is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct WorkerHealth {
    pub name: String,
    pub grade: Grade,
    pub status: WorkerStatus,
    pub status_since: UnixMs,
    /// Why it takes nothing new; none while it does.
    pub cordon: Option<String>,
    pub vnodes: usize,
    pub agent: String,
    pub kernel: String,
    pub liblxc: String,
    /// CRIU's version, or what it lacks for vnodes to move while they run; none if it never said.
    pub moves: Option<Result<String, String>>,
    pub lxcfs: Option<bool>,
    pub disk: Option<Space>,
    /// How much its clock is ahead of that of the master that looks; what its figures are late counts as behind.
    pub clock_ahead_ms: Option<i64>,
    /// Whether it tells what is in use.
    pub measures: Option<bool>,
}

pub(super) fn show(state: &State, seen: &Seen) -> (Vec<WorkerHealth>, Vec<Finding>) {
    let mut findings = Vec::new();
    let workers = state.workers.values().map(|worker| {
        let (health, found) = one(state, seen, worker);
        findings.extend(found);
        health
    });
    (workers.collect(), findings)
}

fn one(state: &State, seen: &Seen, worker: &Worker) -> (WorkerHealth, Vec<Finding>) {
    let told = seen.workers.get(&worker.id);
    let up = worker.status == WorkerStatus::Up;
    let vnodes = state.vnodes_on(worker.id).count();
    let traits = state.worker_traits.get(&worker.id);
    let cordon = traits.and_then(|traits| traits.cordon.as_ref());
    let moves = state.checkpointing.get(&worker.id);
    let disk = told.and_then(|told| room(worker, told));
    let clock = told.map(|told| ahead_ms(told.at, seen.now));
    let mut found = Found::of(Kind::Worker, worker.name.as_str());
    status(&mut found, worker, vnodes);
    if let Some(cordon) = cordon {
        let says = format!("It takes nothing new: {}.", reason(&cordon.reason));
        let next = format!(
            "When that is over: `docklet worker uncordon {}`.",
            worker.name
        );
        found.add(Grade::Note, None, says, &next);
    }
    if up && seen.asked_workers && told.is_none() {
        let says = "Its data port does not answer: terminals, files and figures of its vnodes do not come.".to_owned();
        let next = format!("See that masters reach {} on it.", worker.data_addr);
        found.add(Grade::Warning, None, says, &next);
    }
    if let Some(told) = told {
        abilities(&mut found, told);
    }
    found.disk(disk);
    if let Some(ahead) = clock {
        found.clock(ahead);
    }
    if let Some(held) = certificate::of_worker(state, worker) {
        own_certificate(&mut found, worker, &held, seen.now);
    }
    if let Some(Err(lacks)) = moves.map(|moves| &moves.able) {
        let says = format!("Vnodes that move from or to it are stopped meanwhile: {lacks}.");
        found.add(
            Grade::Note,
            None,
            says,
            "See what it lacks: `docklet worker doctor` there.",
        );
    }
    let health = WorkerHealth {
        name: worker.name.to_string(),
        grade: found.grade(),
        status: worker.status,
        status_since: worker.status_since,
        cordon: cordon.map(|cordon| cordon.reason.clone()),
        vnodes,
        agent: worker.facts.agent.clone(),
        kernel: worker.facts.kernel.clone(),
        liblxc: worker.facts.liblxc.clone(),
        moves: moves.map(|moves| moves.able.clone()),
        lxcfs: told.and_then(|told| told.lxcfs),
        disk,
        clock_ahead_ms: clock,
        measures: (up && seen.asked_workers).then_some(told.is_some()),
    };
    (health, found.findings)
}

/// It renews itself while a third of its life is left.
fn own_certificate(found: &mut Found<'_>, worker: &Worker, held: &CertificateView, now: UnixMs) {
    match held.left(now) {
        Left::Enough => {}
        Left::Little => {
            let says = "Its certificate ends soon and was not renewed.".to_owned();
            let next = "Its log says why: see that it runs and reaches the masters.";
            found.add(Grade::Warning, None, says, next);
        }
        Left::Nothing => {
            let says = "Its certificate has ended: masters and other workers refuse it.".to_owned();
            let next = format!(
                "Let it join again as the same worker: `docklet worker readmit {}`.",
                worker.name
            );
            found.add(Grade::Bad, Some(held.ends_at), says, &next);
        }
    }
}

fn reason(text: &str) -> &str {
    if text.is_empty() {
        "an admin said so"
    } else {
        text.trim_end_matches('.')
    }
}

fn status(found: &mut Found<'_>, worker: &Worker, vnodes: usize) {
    let since = Some(worker.status_since);
    match worker.status {
        WorkerStatus::Up => {}
        WorkerStatus::Joined => found.add(
            Grade::Warning,
            since,
            "It has joined and was never seen.".to_owned(),
            "Start its agent: `docklet agent run --dir DIR` there.",
        ),
        WorkerStatus::Down => {
            let held = match vnodes {
                0 => "It holds no vnodes".to_owned(),
                held => format!("{} on it may well be running", several(held, "vnode", "vnodes")),
            };
            let next = "See whether it runs there and reaches the masters, and start it: `docklet agent run --dir DIR`.";
            found.add(Grade::Bad, since, format!("Its agent is lost. {held}."), next);
        }
        WorkerStatus::Unadmitted => found.add(
            Grade::Bad,
            since,
            "It is known from a backup, and its certificate is of the cluster that was backed up.".to_owned(),
            "Let it join again under its name: `docklet token create --role agent` here, `docklet agent join TOKEN` there.",
        ),
    }
}

fn abilities(found: &mut Found<'_>, told: &WorkerSeen) {
    if let Some(problem) = &told.gpu_problem {
        let says = format!("Its GPUs are offered to nobody: {problem}.");
        found.add(
            Grade::Warning,
            None,
            says,
            "See what its driver says: `docklet worker gpus`.",
        );
    }
    if told.lxcfs == Some(false) {
        let says =
            "Its vnodes see the memory and processors of the whole machine: lxcfs does not run."
                .to_owned();
        found.add(
            Grade::Note,
            None,
            says,
            "Start the service lxcfs there: `systemctl start lxcfs`.",
        );
    }
}

fn room(worker: &Worker, told: &WorkerSeen) -> Option<Space> {
    let bytes = worker.facts.capacity.disk_mib.0.saturating_mul(1 << 20);
    let used = told.disk_used_bytes?;
    (bytes > 0).then(|| Space {
        free_bytes: bytes.saturating_sub(used),
        bytes,
    })
}
