//! Who belongs to the group: the leader adds every master that the log knows as a learner, gives and takes votes as
//! [`quorum`] wants them, and takes out those that the log knows no more.
//!
//! The log is the truth and this follows it: whatever a crash interrupts, the next look finds and finishes.

pub mod group;
mod machine;
pub mod removal;
pub mod seats;
mod transfer;

use std::collections::BTreeSet;
use std::time::Duration;

use docklet_control::id::{LogIndex, MasterId, RequestId};
use docklet_control::quorum::{self, Seat};
use docklet_control::{Actor, Command};
use openraft::ChangeMembers;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::raft::Precondition;

use self::removal::Remove;
use crate::fault::RaftFault;
use crate::master::Master;
use crate::store::Frozen;
use crate::types::{MasterAddress, Membership, Types};

/// How often the leader looks, if nothing changes before.
const TICK: Duration = Duration::from_millis(100);
/// A change that finds no quorum for so long is looked at anew.
const CHANGE_DEADLINE: Duration = Duration::from_secs(5);

/// Runs until aborted.
pub async fn run(master: Master) {
    let mut states = master.watch();
    loop {
        tend(&master).await;
        // Only who is a member matters here, not every entry.
        let masters = states.borrow_and_update().state.masters.clone();
        let news = states.wait_for(|frozen| !frozen.state.masters.ptr_eq(&masters));
        if let Ok(Err(_)) = tokio::time::timeout(TICK, news).await {
            return;
        }
    }
}

/// Looks once, and does the next thing that is to be done.
async fn tend(master: &Master) {
    let seats = master.seats();
    let frozen = master.local();
    let membership = master.membership();
    if seats.is_empty() || !knows_members(&frozen, &membership) {
        return;
    }
    if let Some(change) = next_change(&frozen, &membership, &seats) {
        let told = format!("{change}");
        match change_members(master, &membership, change).await {
            Ok(()) => tracing::info!(change = told, "members changed"),
            Err(fault) => tracing::debug!(change = told, %fault, "members not changed yet"),
        }
        return;
    }
    if let Some(Command::RemoveMaster { master: gone, .. }) = quorum::due(&frozen.state, &seats) {
        remove_due(master, gone).await;
    }
}

async fn remove_due(master: &Master, gone: MasterId) {
    let ask = Remove {
        actor: Actor::Duty,
        request: RequestId::issued(master.local().index, rand::random()),
        master: gone,
        force: false,
    };
    match master.decide_removal(&ask).await {
        Ok(Ok(_)) => tracing::info!(master = %gone, "removed: another takes its place"),
        Ok(Err(refusal)) => tracing::warn!(master = %gone, %refusal, "not removed"),
        Err(fault) => tracing::info!(master = %gone, %fault, "not removed yet"),
    }
}

/// Whether the state is as new as the membership. A leader that has not applied all that it holds may know members
/// by Raft whose joining is yet to be applied; it must not take them for removed.
fn knows_members(frozen: &Frozen, membership: &Membership) -> bool {
    let changed_at = membership.log_id().map_or(0, |log_id| log_id.index());
    frozen.state.settings.is_some() && frozen.index >= LogIndex(changed_at)
}

type Change = ChangeMembers<u64, MasterAddress>;

/// The next step from the members that there are to those that there should be.
fn next_change(frozen: &Frozen, membership: &Membership, seats: &[Seat]) -> Option<Change> {
    let members = membership.membership();
    let configs = members.get_joint_config();
    if let [_, .., last] = &configs[..] {
        // Somebody else began this step and could not end it.
        return Some(ChangeMembers::ReplaceAllVoters(last.clone()));
    }
    let voters: BTreeSet<u64> = members.voter_ids().collect();
    let wanted = quorum::voters_wanted(&frozen.state, seats);
    let wanted: Option<BTreeSet<u64>> = wanted.map(|ids| ids.iter().map(|id| id.0).collect());
    if let Some(wanted) = wanted.filter(|wanted| *wanted != voters) {
        return Some(ChangeMembers::ReplaceAllVoters(wanted));
    }
    let known = |id: &u64| frozen.state.masters.contains_key(&MasterId(*id));
    let gone: BTreeSet<u64> = members
        .nodes()
        .map(|(id, _)| *id)
        .filter(|id| !known(id))
        .collect();
    if !gone.is_empty() && gone.is_disjoint(&voters) {
        return Some(ChangeMembers::RemoveNodes(gone));
    }
    let masters = frozen.state.masters.values();
    let new = masters.filter(|master| members.get_node(&master.id.0).is_none());
    let address = |addr: &String| MasterAddress(addr.clone());
    let new = new.map(|master| (master.id.0, address(&master.cluster_addr)));
    let new: std::collections::BTreeMap<_, _> = new.collect();
    (!new.is_empty()).then_some(ChangeMembers::AddNodes(new))
}

/// Makes a change if the members are still those that it was decided by. Who loses the vote stays a learner.
async fn change_members(
    master: &Master,
    membership: &Membership,
    change: Change,
) -> Result<(), RaftFault> {
    let unchanged = Precondition::<Types>::LastMembershipLogId {
        last_membership_log_id: *membership.log_id(),
    };
    let changing = master
        .inner
        .raft
        .change_membership_if(change, true, [unchanged]);
    match tokio::time::timeout(CHANGE_DEADLINE, changing).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(RaftFault::Raft(error.to_string())),
        Err(_) => Err(RaftFault::NoLeader(5_000)),
    }
}

impl Master {
    /// The members, as the last entry about them says.
    fn membership(&self) -> Membership {
        let metrics = self.inner.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        (*metrics.membership_config).clone()
    }

    /// Waits until a majority has recorded that this master is no member any more.
    async fn is_out(&self, id: MasterId) {
        let mut metrics = self.inner.raft.server_metrics();
        loop {
            {
                let now = metrics.borrow_watched();
                let (last, committed) = (&now.membership_config, &now.committed_membership_config);
                let member = last.membership().get_node(&id.0).is_some();
                if !member && last.log_id() == committed.log_id() {
                    return;
                }
            }
            if metrics.changed().await.is_err() {
                // Raft has stopped: whatever waits here ends by itself.
                return std::future::pending().await;
            }
        }
    }
}
