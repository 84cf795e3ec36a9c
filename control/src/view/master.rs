//! Masters as an admin sees them: what the log knows of each, and what the leader observes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{LogIndex, MasterId, UnixMs};
use crate::model::{Autopilot, ClusterVersion, Master};
use crate::quorum::{self, Seat};
use crate::state::State;
use crate::version;

/// What a master tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterFacts {
    /// Of the program that it runs.
    pub version: String,
    /// When its certificate ends; none if it cannot tell.
    pub certificate_expires_at: Option<UnixMs>,
    /// Last entry in its state.
    pub applied: LogIndex,
}

/// The group at a moment, as the leader sees it; without seats where no leader answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    pub term: u64,
    pub leader: Option<MasterId>,
    /// Last entry of the leader's log.
    pub last_log: LogIndex,
    pub seats: Vec<Seat>,
    /// Of those that answered.
    pub facts: BTreeMap<MasterId, MasterFacts>,
    /// Whether the state of each is the leader's, where the two could be compared.
    pub state_agrees: BTreeMap<MasterId, bool>,
}

/// What a master is in the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MasterRole {
    Leader,
    Voter,
    Learner,
    /// It has joined and is not in the group yet.
    Joining,
    /// No leader tells.
    Unknown,
}

impl MasterRole {
    /// As a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Voter => "voter",
            Self::Learner => "learner",
            Self::Joining => "joining",
            Self::Unknown => "unknown",
        }
    }
}

/// One master as it is shown. What no leader tells is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MasterView {
    pub id: MasterId,
    pub name: String,
    pub role: MasterRole,
    pub cluster_addr: String,
    pub public_addr: String,
    pub joined_at: UnixMs,
    pub in_reach: Option<bool>,
    /// Milliseconds since it last answered the leader.
    pub silent_ms: Option<u64>,
    /// Entries that it lacks.
    pub lag: Option<u64>,
    pub applied: Option<LogIndex>,
    pub version: Option<String>,
    /// The newest version of the cluster that its program knows.
    #[serde(default = "first")]
    pub knows: ClusterVersion,
    pub certificate_expires_at: Option<UnixMs>,
    /// Whether its state is the leader's.
    pub state_agrees: Option<bool>,
    /// Whether an admin wants another in its place.
    pub to_be_replaced: bool,
    /// The one that takes its place, once it has joined.
    pub replaced_by: Option<MasterId>,
}

/// All masters as they are shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct GroupView {
    pub leader: Option<MasterId>,
    pub term: u64,
    pub last_log: LogIndex,
    pub masters: Vec<MasterView>,
    /// What an admin should know, one sentence each.
    pub warnings: Vec<String>,
    pub autopilot: Autopilot,
    /// What all of them write.
    #[serde(default = "first")]
    pub cluster_version: ClusterVersion,
}

/// What a master that tells nothing of versions knows.
fn first() -> ClusterVersion {
    ClusterVersion::FIRST
}

/// The masters, by id.
#[must_use]
pub fn group(state: &State, observed: &Observed) -> GroupView {
    let mut warnings = quorum::warnings(state, &observed.seats);
    warnings.extend(version::warning(state));
    if observed.leader.is_none() {
        warnings.push("Nobody leads at the moment: what is shown may be old.".to_owned());
    }
    for (master, _) in observed.state_agrees.iter().filter(|(_, agrees)| !**agrees) {
        let name = state.masters.get(master).map(|master| &master.name);
        warnings.extend(name.map(|name| format!("The state of {name} is not that of the others.")));
    }
    GroupView {
        leader: observed.leader,
        term: observed.term,
        last_log: observed.last_log,
        masters: state
            .masters
            .values()
            .map(|m| show(state, observed, m))
            .collect(),
        warnings,
        autopilot: state.autopilot(),
        cluster_version: state.version(),
    }
}

fn show(state: &State, observed: &Observed, master: &Master) -> MasterView {
    let seat = observed.seats.iter().find(|seat| seat.master == master.id);
    let facts = observed.facts.get(&master.id);
    let replacement = state.replacements.get(&master.id);
    MasterView {
        id: master.id,
        name: master.name.to_string(),
        role: role(observed, seat, master.id),
        cluster_addr: master.cluster_addr.clone(),
        public_addr: master.public_addr.clone(),
        joined_at: master.joined_at,
        in_reach: seat.map(|seat| quorum::in_reach(state, seat)),
        silent_ms: seat.map(|seat| seat.silent_ms),
        lag: seat.map(|seat| seat.lag),
        applied: facts.map(|facts| facts.applied),
        version: facts
            .map(|facts| facts.version.clone())
            .or_else(|| state.programs.get(&master.id).map(|said| said.name.clone())),
        knows: version::known_by(state, master),
        certificate_expires_at: facts.and_then(|facts| facts.certificate_expires_at),
        state_agrees: observed.state_agrees.get(&master.id).copied(),
        to_be_replaced: replacement.is_some(),
        replaced_by: replacement.and_then(|replacement| replacement.new),
    }
}

fn role(observed: &Observed, seat: Option<&Seat>, id: MasterId) -> MasterRole {
    match seat {
        _ if observed.leader == Some(id) => MasterRole::Leader,
        Some(seat) if seat.voter => MasterRole::Voter,
        Some(_) => MasterRole::Learner,
        None if observed.seats.is_empty() => MasterRole::Unknown,
        None => MasterRole::Joining,
    }
}
