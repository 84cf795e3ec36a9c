//! Who belongs to the cluster and who did once. Ids are indices of entries and never reused: whoever is not among the
//! members of a state that is newer than its id was removed, for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use docklet_control::id::MasterId;
use docklet_link::LinkFault;
use docklet_link::identity::{Identity, PeerRole};
use docklet_link::listener::{Deny, Handler, handler};
use serde::{Deserialize, Serialize};

use crate::master::Master;
use crate::store::Frozen;
use crate::types::MasterAddress;
use crate::wire;
use crate::world::Dial;

/// Asking another master may take this long.
const ASK_DEADLINE: Duration = Duration::from_secs(3);
/// A master looks this often whether a leader talks to it, and else asks the others whether it was removed. One that
/// leads asks those that have not answered it for so long.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// What a master knows of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    Member,
    Removed,
    /// It may be a member: this master has not come far enough to tell.
    Unknown,
}

impl Standing {
    /// The standing of `peer` after this state.
    pub fn of(peer: &Identity, frozen: &Frozen) -> Self {
        let state = &frozen.state;
        let member = match peer.role {
            PeerRole::Master => state.masters.keys().any(|id| id.0 == peer.id),
            PeerRole::Agent => state.workers.keys().any(|id| id.0 == peer.id),
        };
        if member {
            Self::Member
        } else if state.settings.is_some() && peer.id <= frozen.index.0 {
            Self::Removed
        } else {
            Self::Unknown
        }
    }
}

impl Master {
    /// Refuses peers that were removed, and cuts their connections as soon as they are.
    #[must_use]
    pub fn deny(&self) -> Deny {
        let view = self.inner.view.clone();
        Deny::new(self.inner.removals.subscribe(), move |peer| {
            Standing::of(peer, &view.frozen()) == Standing::Removed
        })
    }

    /// Waits until this master was removed from the cluster: it has applied the entry that says so, or was away
    /// meanwhile and hears of it from another.
    pub async fn removed(&self) {
        let own = self.inner.identity;
        let mut states = self.watch();
        loop {
            let is_out = |frozen: &Frozen| Standing::of(&own, frozen) == Standing::Removed;
            let out = async { states.wait_for(is_out).await.map(|_| ()) };
            match tokio::time::timeout(ASK_EVERY, out).await {
                Ok(Ok(())) => return,
                // Raft has stopped.
                Ok(Err(_)) => return std::future::pending().await,
                Err(_) => {}
            }
            let asked = if self.is_led().await {
                self.silent_members()
            } else {
                self.other_members()
            };
            if say_removed(self.inner.links.dial().as_ref(), asked).await {
                return;
            }
        }
    }

    /// Members that do not answer this master although it leads. One of them may have gone on without it and whoever
    /// follows it: such a group of old masters ends when it hears so.
    fn silent_members(&self) -> BTreeMap<u64, MasterAddress> {
        if !self.is_leader() {
            return BTreeMap::new();
        }
        let heard = |ms: u64| Duration::from_millis(ms) < ASK_EVERY;
        let answer: BTreeSet<MasterId> = self
            .status()
            .members
            .into_iter()
            .filter(|member| member.heard_ms_ago.is_some_and(heard))
            .map(|member| member.id)
            .collect();
        let mut silent = self.other_members();
        silent.retain(|id, _| !answer.contains(&MasterId(*id)));
        silent
    }

    /// Whether there is a leader that talks to this master. That one was heard of once says nothing.
    async fn is_led(&self) -> bool {
        let answered: Result<(), _> = self.call_leader(wire::PING, &(), ASK_DEADLINE).await;
        self.is_leader() || answered.is_ok()
    }

    /// The door at which a peer asks whether it is still a member.
    pub(crate) fn standing_door(&self) -> Handler {
        let view = self.inner.view.clone();
        handler(move |peer, mut channel| {
            let standing = peer.map(|peer| Standing::of(&peer, &view.frozen()));
            async move {
                let answer = standing.unwrap_or(Standing::Unknown);
                if let Err(fault) = channel.send(&answer).await {
                    tracing::debug!(%fault, "a peer did not wait to hear of its standing");
                }
            }
        })
    }
}

/// Whether one of these masters says that this one was removed.
async fn say_removed(dial: &dyn Dial, asked: BTreeMap<u64, MasterAddress>) -> bool {
    let asked = asked.into_values().map(async |address| {
        let asking = tokio::time::timeout(ASK_DEADLINE, dial.standing(&address.0));
        let late = |_| LinkFault::Deadline(3_000);
        let answer = asking.await.unwrap_or_else(|elapsed| Err(late(elapsed)));
        if let Err(fault) = &answer {
            tracing::debug!(addr = address.0, %fault, "cannot ask whether this master is a member");
        }
        matches!(answer, Ok(Standing::Removed))
    });
    futures_util::future::join_all(asked).await.contains(&true)
}

/// Tells the doors whenever somebody was removed, until aborted.
pub async fn tell_removals(master: Master) {
    let mut states = master.watch();
    let mut before = states.borrow_and_update().state.clone();
    while states.changed().await.is_ok() {
        let after = states.borrow_and_update().state.clone();
        let same = before.masters.ptr_eq(&after.masters) && before.workers.ptr_eq(&after.workers);
        if !same {
            let gone = before
                .masters
                .keys()
                .any(|id| !after.masters.contains_key(id))
                || before
                    .workers
                    .keys()
                    .any(|id| !after.workers.contains_key(id));
            if gone {
                master.inner.removals.send_replace(());
            }
        }
        before = after;
    }
}
