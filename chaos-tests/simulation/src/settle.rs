//! When everything is well again.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use docklet_control::id::LogIndex;
use docklet_control::quorum::VOTERS_MAX;
use docklet_raft::{Master, RaftStatus};

use crate::machine::Machine;
use crate::simulation::Simulation;

impl Simulation {
    /// Every master runs and has everything, all follow one leader, clients are done, followers have heard all.
    pub(crate) fn is_settled(&self) -> bool {
        self.unsettled().is_empty()
    }

    /// What is not well yet; empty if all is.
    pub(crate) fn unsettled(&self) -> String {
        let busy = self.crowd.busy.load(Ordering::Relaxed);
        if busy > 0 {
            return format!("{busy} clients wait for an answer");
        }
        let installed = || {
            let machines = self.machines.iter();
            machines.filter(|machine| machine.installed.is_some())
        };
        let masters: Option<Vec<Master>> = installed().map(Machine::master).collect();
        let Some(masters) = masters else {
            return "not all masters run".to_owned();
        };
        let missing = self.missing();
        if !missing.is_empty() {
            return missing;
        }
        let statuses: Vec<RaftStatus> = masters.iter().map(Master::status).collect();
        let first = &statuses[0];
        for status in &statuses {
            if status.leader.is_none() || status.leader != first.leader {
                return format!("master {} follows {:?}", status.id, status.leader);
            }
            if status.applied != first.applied || status.applied != status.last_log {
                return format!(
                    "master {} has applied {} of {} entries",
                    status.id, status.applied, status.last_log
                );
            }
            if status.state_hash != first.state_hash {
                return format!("master {} has another state", status.id);
            }
        }
        let leader = statuses.iter().find(|status| status.role == "leader");
        let Some(leader) = leader else {
            return "nobody leads".to_owned();
        };
        let lags = leader
            .members
            .iter()
            .find(|member| member.matched != Some(leader.last_log));
        if let Some(lags) = lags {
            return format!("master {} is known to have {:?}", lags.id, lags.matched);
        }
        self.followers_behind()
    }

    /// Whether masters, members and machines are the same, and enough of them vote.
    pub(crate) fn is_whole(&self) -> bool {
        self.missing().is_empty()
    }

    /// How far everybody has come, and how far the leader's log reaches; none if not everybody runs.
    pub(crate) fn reached(&self) -> Option<(LogIndex, LogIndex)> {
        let installed = self.machines.iter();
        let installed = installed.filter(|machine| machine.installed.is_some());
        let views: Option<Vec<RaftStatus>> = installed
            .map(|machine| Some(machine.master()?.brief_status()))
            .collect();
        let views = views?;
        let least = views.iter().map(|view| view.applied).min()?;
        let leaders = views.iter().filter(|view| view.role == "leader");
        let leader = leaders.max_by_key(|view| view.term)?;
        Some((least, leader.last_log))
    }

    /// Who is missing, or too many.
    fn missing(&self) -> String {
        let installed = self.machines.iter().filter_map(|machine| machine.installed);
        let installed: BTreeSet<u64> = installed.map(|identity| identity.id).collect();
        let newest = self.oracle.newest();
        let known: BTreeSet<u64> = newest.state.masters.keys().map(|id| id.0).collect();
        let masters = self.machines.iter().filter_map(Machine::master);
        let views: Vec<RaftStatus> = masters.map(|master| master.brief_status()).collect();
        // A leader that was cut off may not know it yet.
        let leaders = views.iter().filter(|view| view.role == "leader");
        let Some(leader) = leaders.max_by_key(|view| view.term) else {
            return "nobody leads".to_owned();
        };
        let votes = |view: &RaftStatus| -> BTreeSet<u64> {
            let voters = view.members.iter().filter(|member| member.voter);
            voters.map(|member| member.id.0).collect()
        };
        if let Some(other) = views.iter().find(|view| votes(view) != votes(leader)) {
            return format!("master {} knows other voters", other.id);
        }
        if views.len() < known.len().div_ceil(2) {
            return format!("{} of {known:?} run", views.len());
        }
        let members: BTreeSet<u64> = leader.members.iter().map(|member| member.id.0).collect();
        let voters = votes(leader).len();
        if installed != known || members != known {
            return format!("installed {installed:?}, masters {known:?}, members {members:?}");
        }
        // Of an even number one stands by; two may both vote.
        if voters + 1 < known.len().min(VOTERS_MAX) || known.len() < self.profile.masters.min(3) {
            return format!("{voters} of {known:?} vote");
        }
        String::new()
    }

    fn followers_behind(&self) -> String {
        let last = self.oracle.last_change();
        let reached = |machine: &&Machine| {
            machine.installed.is_some() && self.observations.reached(machine.place) < last
        };
        match self.machines.iter().find(reached) {
            Some(machine) => format!(
                "a follower of {} has not heard of entry {last}",
                machine.name
            ),
            None => String::new(),
        }
    }
}
