//! Which masters belong to the cluster, as far as this worker knows: who was removed is let in no more, at the data port
//! as little as at the other end of the link. Ids are indices of entries: whoever is missing among the masters of a
//! newer state was removed, and who is newer than the state may have joined since.

use std::collections::BTreeSet;

use docklet_control::assignment::Assignment;
use docklet_control::id::{LogIndex, MasterId};
use docklet_link::identity::{Identity, PeerRole};
use tokio::sync::watch;

/// The members as of the newest assignment. Clones are the same.
#[derive(Clone, Default)]
pub struct Members(watch::Sender<Known>);

#[derive(Clone, Debug, Default)]
struct Known {
    index: LogIndex,
    masters: BTreeSet<MasterId>,
}

impl Known {
    fn was_removed(&self, peer: &Identity) -> bool {
        // An assignment from before ids were told says nothing of anybody.
        peer.role == PeerRole::Master
            && !self.masters.is_empty()
            && peer.id <= self.index.0
            && !self.masters.contains(&MasterId(peer.id))
    }
}

impl Members {
    /// What this assignment says holds from now on.
    pub fn learn(&self, assignment: &Assignment) {
        self.0.send_replace(Known {
            index: assignment.index,
            masters: assignment.master_ids.iter().copied().collect(),
        });
    }

    /// Whether this peer is a master that was removed.
    #[must_use]
    pub fn was_removed(&self, peer: &Identity) -> bool {
        self.0.borrow().was_removed(peer)
    }

    /// Waits until this peer is removed.
    pub async fn removal_of(&self, peer: Option<Identity>) {
        let mut known = self.0.subscribe();
        let Some(peer) = peer else {
            return std::future::pending().await;
        };
        if known
            .wait_for(|known| known.was_removed(&peer))
            .await
            .is_err()
        {
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use docklet_control::State;
    use docklet_control::assignment::assignment;
    use docklet_control::id::WorkerId;

    fn members(index: u64, masters: &[u64]) -> Members {
        let members = Members::default();
        let mut assignment = assignment(&State::default(), WorkerId(5), LogIndex(index));
        assignment.master_ids = masters.iter().map(|id| MasterId(*id)).collect();
        members.learn(&assignment);
        members
    }

    fn peer(role: PeerRole, id: u64) -> Identity {
        Identity {
            role,
            id,
            cluster: [1; 16],
        }
    }

    #[test]
    fn whoever_is_missing_in_a_newer_state_was_removed() {
        let members = members(100, &[1, 40, 90]);
        let removed = |id| members.was_removed(&peer(PeerRole::Master, id));
        assert!(!removed(1) && !removed(40) && !removed(90));
        assert!(removed(39) && removed(100));
        assert!(!removed(101), "it may have joined since");
        assert!(
            !members.was_removed(&peer(PeerRole::Agent, 39)),
            "agents are another matter"
        );
    }

    #[test]
    fn without_any_knowledge_everybody_with_a_certificate_is_let_in() {
        assert!(!Members::default().was_removed(&peer(PeerRole::Master, 3)));
        assert!(!members(100, &[]).was_removed(&peer(PeerRole::Master, 3)));
    }
}
