//! How the cluster is: each subsystem, each master, each worker, and what is to be done about what is not well. A function of the
//! state and of what was just seen of the machines.

mod masters;
mod subsystems;
#[cfg(test)]
mod tests;
mod upkeep;
mod workers;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{LogIndex, MasterId, UnixMs, WorkerId};
use crate::model::WorkerStatus;
use crate::state::State;
use crate::view::master::{MasterRole, Observed};

pub use masters::MasterHealth;
pub use workers::WorkerHealth;

const DAY_MS: u64 = 24 * 3_600_000;
/// Clocks further apart than this are told.
pub const CLOCK_MS_MAX: u64 = 2_000;

/// How well something is; the worst last.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    Well,
    /// It works, and something about it is worth knowing.
    Note,
    /// It works, and will not for long if nobody looks after it.
    Warning,
    /// It does not work.
    Bad,
}

impl Grade {
    /// As a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }

    /// Whether somebody should do something.
    #[must_use]
    pub fn needs_a_hand(self) -> bool {
        self >= Self::Warning
    }
}

/// What kind of thing something was found of.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "FindingKind")]
pub enum Kind {
    Subsystem,
    Master,
    Worker,
}

impl Kind {
    /// As a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Subsystem => "subsystem",
            Self::Master => "master",
            Self::Worker => "worker",
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Finding {
    pub kind: Kind,
    /// Of which of them.
    pub name: String,
    pub grade: Grade,
    /// Since when it is so, where that is known.
    pub since: Option<UnixMs>,
    /// What is so, as a sentence.
    pub says: String,
    /// What to do, as a sentence; commands stand between backticks.
    pub next: Option<String>,
}

/// A part of the cluster that is no machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SubsystemHealth {
    pub name: String,
    pub grade: Grade,
    pub since: Option<UnixMs>,
    pub says: String,
    pub next: Option<String>,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HealthView {
    /// The worst of all.
    pub grade: Grade,
    /// The entry after which it is so.
    pub index: LogIndex,
    pub leader: Option<String>,
    pub term: u64,
    /// What needs a hand, the worst first.
    pub findings: Vec<Finding>,
    pub subsystems: Vec<SubsystemHealth>,
    pub masters: Vec<MasterHealth>,
    pub workers: Vec<WorkerHealth>,
}

/// Room on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Space {
    pub free_bytes: u64,
    pub bytes: u64,
}

impl Space {
    /// How much is free, in percent.
    #[must_use]
    pub fn free_percent(self) -> u64 {
        let percent = u128::from(self.free_bytes) * 100 / u128::from(self.bytes.max(1));
        u64::try_from(percent).unwrap_or(100).min(100)
    }

    fn grade(self) -> Grade {
        match self.free_percent() {
            0..=4 => Grade::Bad,
            5..=9 => Grade::Warning,
            10.. => Grade::Well,
        }
    }
}

/// What a master tells of its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineFacts {
    /// By its own clock.
    pub at: UnixMs,
    /// Of the disk with its files, where that is one.
    pub disk: Option<Space>,
}

/// A master's machine, as seen from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineSeen {
    pub disk: Option<Space>,
    /// How much its clock is ahead of the one of who looks, in milliseconds.
    pub ahead_ms: i64,
}

impl MachineSeen {
    /// One's own.
    #[must_use]
    pub fn here(facts: MachineFacts) -> Self {
        Self {
            disk: facts.disk,
            ahead_ms: 0,
        }
    }

    /// Another's, whose answer came at `now` and had been on its way for `half_way`.
    #[must_use]
    pub fn from_afar(facts: MachineFacts, now: UnixMs, half_way: Duration) -> Self {
        let way_ms = u64::try_from(half_way.as_millis()).unwrap_or(u64::MAX);
        Self {
            disk: facts.disk,
            ahead_ms: ahead_ms(facts.at.plus_ms(way_ms), now),
        }
    }
}

/// How much a clock is ahead of another.
#[must_use]
pub fn ahead_ms(clock: UnixMs, other: UnixMs) -> i64 {
    let apart = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    if clock >= other {
        apart(clock.since_ms(other))
    } else {
        -apart(other.since_ms(clock))
    }
}

/// What a worker's agent says of itself now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSeen {
    /// By its own clock.
    pub at: UnixMs,
    pub disk_used_bytes: Option<u64>,
    pub gpu_problem: Option<String>,
    /// Whether lxcfs runs there; none if the agent does not tell.
    pub lxcfs: Option<bool>,
}

/// When a certificate of the public listener that is in use ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSeen {
    pub source: String,
    pub until: UnixMs,
    /// Whether the cluster gets the next one by itself.
    pub renews: bool,
    pub fault: Option<String>,
}

/// What is no part of the state.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub now: UnixMs,
    /// The entry after which the state is as it is.
    pub index: LogIndex,
    pub group: Observed,
    pub machines: BTreeMap<MasterId, MachineSeen>,
    /// Of workers that answered.
    pub workers: BTreeMap<WorkerId, WorkerSeen>,
    /// Whether workers were asked at all.
    pub asked_workers: bool,
    /// Of the master that looks.
    pub certificates: Vec<CertificateSeen>,
}

impl Seen {
    fn leads(&self) -> bool {
        self.group.leader.is_some()
    }

    /// A time that has passed, without what changes from one look to the next.
    fn ago(&self, ms: u64) -> UnixMs {
        UnixMs(self.now.minus_ms(ms).0 / 10_000 * 10_000)
    }
}

/// How everything is.
#[must_use]
pub fn show(state: &State, seen: &Seen) -> HealthView {
    let (subsystems, more) = subsystems::show(state, seen);
    let (masters, of_masters) = masters::show(state, seen);
    let (workers, of_workers) = workers::show(state, seen);
    let of_subsystems = subsystems.iter().map(|part| Finding {
        kind: Kind::Subsystem,
        name: part.name.clone(),
        grade: part.grade,
        since: part.since,
        says: part.says.clone(),
        next: part.next.clone(),
    });
    let all = of_subsystems
        .chain(more)
        .chain(of_masters)
        .chain(of_workers);
    let mut findings: Vec<Finding> = all.filter(|found| found.grade.needs_a_hand()).collect();
    findings.sort_by_key(|found| std::cmp::Reverse(found.grade));
    let grades = subsystems.iter().map(|part| part.grade);
    let grades = grades.chain(masters.iter().map(|master| master.grade));
    let grades = grades.chain(workers.iter().map(|worker| worker.grade));
    let leader = seen.group.leader.and_then(|id| state.masters.get(&id));
    HealthView {
        grade: grades.max().unwrap_or(Grade::Well),
        index: seen.index,
        leader: leader.map(|master| master.name.to_string()),
        term: seen.group.term,
        findings,
        subsystems,
        masters,
        workers,
    }
}

/// What is found of one machine, worst grade first.
struct Found<'n> {
    kind: Kind,
    name: &'n str,
    findings: Vec<Finding>,
}

impl<'n> Found<'n> {
    fn of(kind: Kind, name: &'n str) -> Self {
        Self {
            kind,
            name,
            findings: Vec::new(),
        }
    }

    fn add(&mut self, grade: Grade, since: Option<UnixMs>, says: String, next: &str) {
        self.findings.push(Finding {
            kind: self.kind,
            name: self.name.to_owned(),
            grade,
            since,
            says,
            next: (!next.is_empty()).then(|| next.to_owned()),
        });
    }

    fn grade(&self) -> Grade {
        let grades = self.findings.iter().map(|found| found.grade);
        grades.max().unwrap_or(Grade::Well)
    }

    /// Of a disk that runs full.
    fn disk(&mut self, space: Option<Space>) {
        let Some(space) = space.filter(|space| space.grade() != Grade::Well) else {
            return;
        };
        let says = format!("{} % of its disk is free.", space.free_percent());
        self.add(
            space.grade(),
            None,
            says,
            "Make room on it, or give it a larger disk.",
        );
    }

    /// Of a clock that is not the one of who looks.
    fn clock(&mut self, ahead_ms: i64) {
        let apart = ahead_ms.unsigned_abs();
        if apart <= CLOCK_MS_MAX {
            return;
        }
        let way = if ahead_ms > 0 { "ahead" } else { "behind" };
        let says = format!("Its clock is {} s {way}.", apart / 1_000);
        self.add(
            Grade::Warning,
            None,
            says,
            "Let it follow a time server: `timedatectl set-ntp true` there.",
        );
    }
}

/// How soon a certificate ends.
fn ending(until: UnixMs, now: UnixMs) -> Grade {
    match until.since_ms(now) / DAY_MS {
        0..=2 => Grade::Bad,
        3..=13 => Grade::Warning,
        14.. => Grade::Well,
    }
}

/// Whether a master counts as one that answers.
fn answers(role: MasterRole, in_reach: Option<bool>) -> bool {
    match role {
        MasterRole::Leader => true,
        MasterRole::Voter | MasterRole::Learner => in_reach == Some(true),
        MasterRole::Joining | MasterRole::Unknown => false,
    }
}

/// A worker's status as a word.
#[must_use]
pub fn status_word(status: WorkerStatus) -> &'static str {
    match status {
        WorkerStatus::Joined => "joined",
        WorkerStatus::Up => "up",
        WorkerStatus::Down => "lost",
        WorkerStatus::Unadmitted => "unadmitted",
    }
}

/// One or several of something.
fn several(number: usize, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    }
}
