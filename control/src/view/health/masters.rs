//! How masters are.

use serde::{Deserialize, Serialize};

use super::{Finding, Found, Grade, Kind, MachineSeen, Seen, Space, answers, ending};
use crate::id::{LogIndex, UnixMs};
use crate::state::State;
use crate::view::master::{self, GroupView, MasterRole, MasterView};

/// One master. What nobody tells is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MasterHealth {
    pub name: String,
    pub grade: Grade,
    pub role: MasterRole,
    pub answers: bool,
    /// Since when it does not answer.
    pub silent_since: Option<UnixMs>,
    /// Last entry in its state.
    pub applied: Option<LogIndex>,
    /// Entries that it lacks.
    pub lag: Option<u64>,
    pub state_agrees: Option<bool>,
    pub version: Option<String>,
    pub disk: Option<Space>,
    /// How much its clock is ahead of the one of the master that looks.
    pub clock_ahead_ms: Option<i64>,
    pub certificate_ends_at: Option<UnixMs>,
}

pub(super) fn show(state: &State, seen: &Seen) -> (Vec<MasterHealth>, Vec<Finding>) {
    let group = master::group(state, &seen.group);
    let mut findings = Vec::new();
    let masters = group.masters.iter().map(|master| {
        let (health, found) = one(state, seen, &group, master);
        findings.extend(found);
        health
    });
    (masters.collect(), findings)
}

fn one(
    state: &State,
    seen: &Seen,
    group: &GroupView,
    master: &MasterView,
) -> (MasterHealth, Vec<Finding>) {
    let machine: Option<&MachineSeen> = seen.machines.get(&master.id);
    let answers = answers(master.role, master.in_reach);
    let silent_since = master.silent_ms.filter(|_| !answers).map(|ms| seen.ago(ms));
    let mut found = Found::of(Kind::Master, &master.name);
    if seen.leads() && !answers {
        silent(&mut found, master, silent_since);
    }
    if master.state_agrees == Some(false) {
        let says =
            "Its state is not that of the others: it takes no part until it has taken theirs."
                .to_owned();
        let next = "It takes theirs by itself. If this lasts, let another take its place: `docklet master replace NAME`.";
        found.add(Grade::Bad, None, says, &named(next, master));
    }
    let lag_max = state.autopilot().lag_entries;
    if let Some(lag) = master.lag.filter(|lag| answers && *lag > lag_max) {
        let says = format!("It lacks {lag} entries.");
        found.add(
            Grade::Warning,
            None,
            says,
            "It catches up by itself. If this lasts, look at its disk and its network.",
        );
    }
    if let Some(version) = master
        .version
        .as_ref()
        .filter(|version| Some(*version) != newest(group))
    {
        let says = format!("It runs Docklet {version}, others a newer one.");
        found.add(
            Grade::Warning,
            None,
            says,
            "Put the newer program there and start it again.",
        );
    }
    if let Some(machine) = machine {
        found.disk(machine.disk);
        found.clock(machine.ahead_ms);
    }
    if let Some(until) = master.certificate_expires_at {
        let next =
            "It renews itself, and this one did not: its log and `docklet tls show` say why.";
        let says = "The certificate by which the others know it ends soon.".to_owned();
        found.add(ending(until, seen.now), None, says, &named(next, master));
    }
    let health = MasterHealth {
        name: master.name.clone(),
        grade: found.grade(),
        role: master.role,
        answers,
        silent_since,
        applied: master.applied,
        lag: master.lag,
        state_agrees: master.state_agrees,
        version: master.version.clone(),
        disk: machine.and_then(|machine| machine.disk),
        clock_ahead_ms: machine.map(|machine| machine.ahead_ms),
        certificate_ends_at: master.certificate_expires_at,
    };
    (health, found.findings)
}

fn silent(found: &mut Found<'_>, master: &MasterView, since: Option<UnixMs>) {
    let (says, next) = match master.role {
        MasterRole::Joining => (
            "It has joined and is no member of the group yet.",
            "Start it: `docklet master run --dir DIR` there.",
        ),
        MasterRole::Leader | MasterRole::Voter | MasterRole::Learner | MasterRole::Unknown => (
            "It does not answer the leader.",
            "See whether it runs there and start it: `docklet master run --dir DIR`. If its machine is gone for good, let another take its place: `docklet master replace NAME`.",
        ),
    };
    found.add(Grade::Bad, since, says.to_owned(), &named(next, master));
}

fn named(next: &str, master: &MasterView) -> String {
    next.replace("NAME", &master.name)
}

/// Of the programs that masters run: numbers are compared as numbers.
fn newest(group: &GroupView) -> Option<&String> {
    let parts = |version: &&String| -> Vec<u64> {
        let parts = version.split(['.', '-', '+']);
        parts.map_while(|part| part.parse().ok()).collect()
    };
    let versions = group.masters.iter();
    let versions = versions.filter_map(|master| master.version.as_ref());
    versions.max_by_key(parts)
}
