//! Who votes: the leader adds every master that the log knows as a learner, and promotes those that have caught up,
//! so that the number of voters is odd. It goes from one to three in one joint change and never rests at two.

pub mod seats;
mod transfer;

use std::collections::BTreeSet;
use std::time::Duration;

use docklet_control::id::MasterId;
use openraft::ChangeMembers;

use crate::master::Master;
use crate::status::{MemberStatus, RaftStatus};
use crate::types::MasterAddress;

/// How often the leader looks.
const TICK: Duration = Duration::from_millis(200);
/// A learner has caught up if it lacks at most this many entries.
const LAG_MAX: u64 = 100;

/// Runs until aborted.
pub async fn run(master: Master) {
    loop {
        tokio::time::sleep(TICK).await;
        if master.is_leader() {
            add_learners(&master).await;
            promote(&master).await;
        }
    }
}

async fn add_learners(master: &Master) {
    let members: BTreeSet<MasterId> = master.brief_status().members.iter().map(|m| m.id).collect();
    for known in master.local().state.masters.values() {
        if members.contains(&known.id) {
            continue;
        }
        let address = MasterAddress(known.cluster_addr.clone());
        let added = master
            .inner
            .raft
            .add_learner(known.id.0, address, false)
            .await;
        match added {
            Ok(_) => tracing::info!(master = %known.id, "added as learner"),
            Err(error) => tracing::debug!(%error, "learner not added yet"),
        }
    }
}

async fn promote(master: &Master) {
    let Some(voters) = voters_wanted(&master.brief_status()) else {
        return;
    };
    let ids: BTreeSet<u64> = voters.iter().map(|id| id.0).collect();
    let members = ChangeMembers::AddVoterIds(ids.clone());
    match master.inner.raft.change_membership(members, true).await {
        Ok(_) => tracing::info!(voters = ?ids, "promoted"),
        Err(error) => tracing::debug!(%error, "not promoted yet"),
    }
}

/// The voters that there should be; none if those that there are will do.
fn voters_wanted(status: &RaftStatus) -> Option<BTreeSet<MasterId>> {
    let caught_up = |member: &&MemberStatus| {
        let matched = member.matched.map_or(0, |index| index.0);
        !member.voter && status.last_log.0.saturating_sub(matched) <= LAG_MAX
    };
    let voters: BTreeSet<MasterId> = ids(status.members.iter().filter(|member| member.voter));
    let ready: BTreeSet<MasterId> = ids(status.members.iter().filter(caught_up));
    // The largest odd number that does not exceed all that could vote.
    let room = (voters.len() + ready.len()).div_ceil(2) * 2 - 1;
    let more = room.saturating_sub(voters.len());
    (more > 0 && !voters.is_empty()).then(|| {
        voters
            .iter()
            .copied()
            .chain(ready.into_iter().take(more))
            .collect()
    })
}

fn ids<'m>(members: impl Iterator<Item = &'m MemberStatus>) -> BTreeSet<MasterId> {
    members.map(|member| member.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use docklet_control::id::LogIndex;

    /// Members as `(id, voter, matched)`.
    fn status(members: &[(u64, bool, u64)]) -> RaftStatus {
        let members = members.iter().map(|(id, voter, matched)| MemberStatus {
            id: MasterId(*id),
            cluster_addr: String::new(),
            voter: *voter,
            matched: Some(LogIndex(*matched)),
            heard_ms_ago: Some(1),
        });
        RaftStatus {
            id: MasterId(1),
            role: "leader".to_owned(),
            term: 1,
            leader: Some(MasterId(1)),
            members: members.collect(),
            last_log: LogIndex(1_000),
            applied: LogIndex(1_000),
            state_hash: String::new(),
        }
    }

    #[test]
    fn voters_go_from_one_to_three_at_once_and_never_to_two() {
        let wanted = |members: &[(u64, bool, u64)]| {
            voters_wanted(&status(members))
                .map(|ids| ids.into_iter().map(|id| id.0).collect::<Vec<_>>())
        };
        assert_eq!(wanted(&[(1, true, 1_000)]), None);
        assert_eq!(wanted(&[(1, true, 1_000), (5, false, 1_000)]), None);
        assert_eq!(
            wanted(&[(1, true, 1_000), (5, false, 990), (6, false, 950)]),
            Some(vec![1, 5, 6])
        );
        assert_eq!(
            wanted(&[(1, true, 1_000), (5, false, 990), (6, false, 10)]),
            None,
            "a learner that lags is not counted"
        );
        assert_eq!(
            wanted(&[(1, true, 9), (5, true, 9), (6, true, 9), (8, false, 1_000)]),
            None
        );
    }
}
