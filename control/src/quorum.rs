//! Who of the masters shall vote, who may go, who may lead: pure functions of the state and of what the leader
//! observes. Raft keeps the membership itself; here is what it should be.
//!
//! A write needs a majority of the voters. Four voters bear the loss of no more of them than three do, so the number
//! is odd wherever possible: it goes 1 -> 3 -> 5 -> 3, each time in one joint change.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::id::MasterId;
use crate::model::{Autopilot, Master};
use crate::refusal::Refusal;
use crate::state::State;

/// More voters make every write slower and help nobody; further masters stay learners and stand by.
pub const VOTERS_MAX: usize = 5;

/// One member of the group, as the leader sees it at a moment. Stamped into entries that are decided by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Seat {
    pub master: MasterId,
    /// Whether it counts for the quorum; else it is a learner.
    pub voter: bool,
    /// Whether it is the leader that looks.
    pub leads: bool,
    /// Milliseconds since it last answered the leader.
    pub silent_ms: u64,
    /// Entries that it lacks.
    pub lag: u64,
    /// For how long it has been in reach and caught up without a break.
    pub steady_ms: u64,
}

impl Seat {
    fn in_reach(&self, policy: Autopilot) -> bool {
        self.leads || self.silent_ms <= policy.contact_ms
    }

    /// Whether it is close enough to the leader to be worth counting on. What the leader measures `steady_ms` by.
    #[must_use]
    pub fn follows_closely(&self, policy: Autopilot) -> bool {
        self.in_reach(policy) && self.lag <= policy.lag_entries
    }

    fn is_ready_to_vote(&self, policy: Autopilot) -> bool {
        !self.voter && self.follows_closely(policy) && self.steady_ms >= policy.steady_ms
    }
}

/// The seats of masters that are members by the log, in the roles that matter.
struct Group<'g> {
    policy: Autopilot,
    /// Voters that stay.
    staying: Vec<&'g Seat>,
    /// Learners that could vote at once, the best first.
    ready: Vec<&'g Seat>,
    /// Whether somebody votes who is to be gone.
    leaving: bool,
}

impl<'g> Group<'g> {
    fn without(state: &State, seats: &'g [Seat], gone: Option<MasterId>) -> Self {
        let policy = state.autopilot();
        let stays =
            |seat: &&Seat| Some(seat.master) != gone && state.masters.contains_key(&seat.master);
        let expected: BTreeSet<MasterId> =
            state.replacements.values().filter_map(|r| r.new).collect();
        let mut ready: Vec<&Seat> = seats
            .iter()
            .filter(stays)
            .filter(|seat| seat.is_ready_to_vote(policy))
            .collect();
        ready.sort_by_key(|seat| (!expected.contains(&seat.master), seat.lag, seat.master));
        let voters = || seats.iter().filter(|seat| seat.voter);
        Self {
            policy,
            staying: voters().filter(stays).collect(),
            leaving: voters().any(|seat| !stays(&seat)),
            ready,
        }
    }

    /// The largest odd number of voters that there could be.
    fn odd(&self) -> usize {
        let all = self.staying.len() + self.ready.len();
        let odd = if all.is_multiple_of(2) {
            all.saturating_sub(1)
        } else {
            all
        };
        odd.min(VOTERS_MAX)
    }

    fn staying_in_reach(&self) -> usize {
        let policy = self.policy;
        self.staying
            .iter()
            .filter(|seat| seat.in_reach(policy))
            .count()
    }

    /// Those that stay, and learners up to `wanted`.
    fn grown_to(&self, wanted: usize) -> BTreeSet<MasterId> {
        let more = wanted.saturating_sub(self.staying.len());
        let joining = self.ready.iter().take(more);
        self.staying
            .iter()
            .chain(joining)
            .map(|seat| seat.master)
            .collect()
    }

    /// Those that stay but for the least useful: first those out of reach, then those that lag.
    fn shrunk_to(&self, wanted: usize) -> BTreeSet<MasterId> {
        let policy = self.policy;
        let mut staying = self.staying.clone();
        staying.sort_by_key(|seat| (!seat.leads, !seat.in_reach(policy), seat.lag, seat.master));
        staying
            .iter()
            .take(wanted)
            .map(|seat| seat.master)
            .collect()
    }
}

/// The voters that there should be; none if those that there are will do.
///
/// Nobody loses the vote but in a step in which somebody leaves: a master that is silent for a moment is not
/// punished. Two voters that both answer stay two, though two bear no loss: each write is on two disks that way.
#[must_use]
pub fn voters_wanted(state: &State, seats: &[Seat]) -> Option<BTreeSet<MasterId>> {
    let group = Group::without(state, seats, None);
    let (now, odd) = (group.staying.len(), group.odd());
    if now == 0 {
        return None;
    }
    let both_answer = now == 2 && group.staying_in_reach() == 2;
    if odd > now {
        return Some(group.grown_to(odd));
    }
    if !group.leaving {
        return None;
    }
    if both_answer || odd == now {
        return Some(group.grown_to(now));
    }
    Some(group.shrunk_to(odd))
}

/// What the leader should propose for the masters' sake.
#[must_use]
pub fn due(state: &State, seats: &[Seat]) -> Option<Command> {
    let policy = state.autopilot();
    let replaced = state.replacements.values().filter_map(|replacement| {
        let new = seats
            .iter()
            .find(|seat| Some(seat.master) == replacement.new)?;
        (new.voter || new.is_ready_to_vote(policy)).then_some(replacement.old)
    });
    let dead = || longest_dead(state, seats);
    replaced
        .chain(dead())
        .find(|master| check_removal(state, seats, *master, false).is_ok())
        .map(|master| Command::RemoveMaster {
            master,
            force: false,
            seats: seats.to_vec(),
        })
}

/// The voter that is dead by the policy, if one waits to take its place and there is a quorum to decide it.
fn longest_dead(state: &State, seats: &[Seat]) -> Option<MasterId> {
    let policy = state.autopilot();
    let after_ms = policy.dead_after_ms?;
    let group = Group::without(state, seats, None);
    if group.ready.is_empty() || group.staying_in_reach() <= group.staying.len() / 2 {
        return None;
    }
    let dead = |seat: &&&Seat| !seat.leads && seat.silent_ms >= after_ms;
    let longest = group
        .staying
        .iter()
        .filter(dead)
        .max_by_key(|seat| seat.silent_ms);
    longest.map(|seat| seat.master)
}

/// Whether a master may be removed.
///
/// # Errors
/// It is unknown or the last one; or, unless `force`, those left would have no quorum or could lose none.
pub fn check_removal(
    state: &State,
    seats: &[Seat],
    master: MasterId,
    force: bool,
) -> Result<(), Refusal> {
    let row = known(state, master)?;
    if state.masters.len() == 1 {
        return Err(Refusal::LastMaster {
            name: row.name.to_string(),
        });
    }
    let votes = seats.iter().any(|seat| seat.voter && seat.master == master);
    let unseen = !seats.iter().any(|seat| seat.voter);
    if force || !(votes || unseen) {
        return Ok(());
    }
    let group = Group::without(state, seats, Some(master));
    let left = group.grown_to(group.odd()).len();
    let silent = group.staying.len() - group.staying_in_reach();
    let needed = left / 2 + 1;
    let in_reach = left - silent;
    let cause = if unseen {
        "it is not known who votes".to_owned()
    } else if in_reach < needed {
        format!("of the {left} voters left {in_reach} would be in reach, and {needed} are needed")
    } else if left.is_multiple_of(2) && silent > 0 {
        format!(
            "{left} voters would be left of which {silent} is not in reach: not one more may fail then"
        )
    } else {
        return Ok(());
    };
    Err(at_risk(format!("removing master \"{}\"", row.name), cause))
}

/// Whether a master may be stopped for a while without taking the quorum with it.
///
/// # Errors
/// It is unknown, or too few of the others answer.
pub fn check_stop(state: &State, seats: &[Seat], master: MasterId) -> Result<(), Refusal> {
    let row = known(state, master)?;
    let policy = state.autopilot();
    let voters: Vec<&Seat> = seats.iter().filter(|seat| seat.voter).collect();
    let others = |seat: &&&Seat| seat.master != master && seat.in_reach(policy);
    let (in_reach, needed) = (voters.iter().filter(others).count(), voters.len() / 2 + 1);
    let votes = voters.iter().any(|seat| seat.master == master);
    if votes && in_reach < needed {
        let cause = format!("of the other voters {in_reach} answer, and {needed} are needed");
        return Err(at_risk(format!("stopping master \"{}\"", row.name), cause));
    }
    Ok(())
}

/// Whether a master could lead at once.
///
/// # Errors
/// It is unknown, has no vote, does not answer or lacks too many entries.
pub fn check_lead(state: &State, seats: &[Seat], master: MasterId) -> Result<(), Refusal> {
    let row = known(state, master)?;
    let policy = state.autopilot();
    let seat = seats.iter().find(|seat| seat.master == master);
    let cause = match seat {
        None => "it is no member of the group yet".to_owned(),
        Some(seat) if !seat.voter => "it is a learner and has no vote yet".to_owned(),
        Some(seat) if !seat.in_reach(policy) => {
            format!("it has not answered for {} ms", seat.silent_ms)
        }
        Some(seat) if seat.lag > policy.lag_entries => format!("it lacks {} entries", seat.lag),
        Some(_) => return Ok(()),
    };
    Err(Refusal::CannotLead {
        name: row.name.to_string(),
        cause,
    })
}

/// Whether a master is in reach, by the policy.
#[must_use]
pub fn in_reach(state: &State, seat: &Seat) -> bool {
    seat.in_reach(state.autopilot())
}

/// Who of the others should lead next, the best first.
#[must_use]
pub fn heirs(policy: Autopilot, seats: &[Seat]) -> Vec<MasterId> {
    let fit = |seat: &&Seat| seat.voter && !seat.leads && seat.follows_closely(policy);
    let mut heirs: Vec<&Seat> = seats.iter().filter(fit).collect();
    heirs.sort_by_key(|seat| (seat.lag, seat.silent_ms, seat.master));
    heirs.iter().map(|seat| seat.master).collect()
}

/// The learner that should vote next, if one is ready.
#[must_use]
pub fn next_voter(state: &State, seats: &[Seat]) -> Option<MasterId> {
    let group = Group::without(state, seats, None);
    group.ready.first().map(|seat| seat.master)
}

/// What an admin should know of the group, one sentence each.
#[must_use]
pub fn warnings(state: &State, seats: &[Seat]) -> Vec<String> {
    let policy = state.autopilot();
    let voters: Vec<&Seat> = seats.iter().filter(|seat| seat.voter).collect();
    let silent: Vec<&str> = voters
        .iter()
        .filter(|seat| !seat.in_reach(policy))
        .filter_map(|seat| state.masters.get(&seat.master))
        .map(|master| master.name.as_str())
        .collect();
    let spare = (voters.len() - silent.len()).checked_sub(voters.len() / 2 + 1);
    let mut warnings = Vec::new();
    match (voters.len(), spare) {
        (0, _) => {}
        (1, _) => warnings.push(
            "One master votes: if it is lost, so is the cluster. Let two more join.".to_owned(),
        ),
        (2, _) => warnings.push(
            "Two masters vote: if either fails nothing can be written. Let one more join."
                .to_owned(),
        ),
        (_, Some(0)) => warnings.push(format!(
            "{} does not answer: if one more voter fails nothing can be written.",
            silent.join(", ")
        )),
        (_, None) => warnings.push(format!(
            "{} do not answer: nothing can be written until a majority is back.",
            silent.join(", ")
        )),
        (_, Some(_)) => {}
    }
    warnings
}

fn known(state: &State, id: MasterId) -> Result<&Master, Refusal> {
    state
        .masters
        .get(&id)
        .ok_or_else(|| Refusal::not_found("master", id))
}

fn at_risk(action: String, cause: String) -> Refusal {
    Refusal::QuorumAtRisk { action, cause }
}
