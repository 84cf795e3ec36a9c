//! Removing a master: the leader decides by what it observes, and if it is itself the one that goes, hands leadership
//! over first.

use std::collections::BTreeSet;
use std::time::Duration;

use docklet_control::id::{MasterId, RequestId};
use docklet_control::model::Receipt;
use docklet_control::quorum::{self, Seat};
use docklet_control::{Actor, Command, Refusal};
use openraft::ChangeMembers;
use serde::{Deserialize, Serialize};

use super::{change_members, knows_members};
use crate::fault::{ProposeFault, RaftFault};
use crate::forward::ATTEMPT_DEADLINE;
use crate::master::{Master, try_out};
use crate::wire;

/// Asks the leader to remove a master.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Remove {
    pub actor: Actor,
    pub request: RequestId,
    pub master: MasterId,
    pub force: bool,
}

fn accepted(receipt: Receipt) -> Result<Receipt, Refusal> {
    match receipt.accepted() {
        Ok(_) => Ok(receipt),
        Err(refusal) => Err(refusal.clone()),
    }
}

impl Master {
    /// Removes a master for ever, and waits until it is no member any more.
    ///
    /// # Errors
    /// A refusal; or no answer in time, and then the same request id may be used to find out.
    pub async fn remove_master(
        &self,
        actor: Actor,
        request: RequestId,
        master: MasterId,
        force: bool,
        deadline: Duration,
    ) -> Result<Receipt, ProposeFault> {
        let ask = Remove {
            actor,
            request,
            master,
            force,
        };
        let removed = self.until(deadline, || self.ask_to_remove(&ask)).await;
        Ok(removed.map_err(ProposeFault::Unknown)??)
    }

    async fn ask_to_remove(&self, ask: &Remove) -> Result<Result<Receipt, Refusal>, RaftFault> {
        if ask.master == self.inner.id
            && let Some(receipt) = self.local().state.receipt_of(ask.request)
        {
            // It was this master itself, and nobody talks to it any more.
            return Ok(accepted(receipt.clone()));
        }
        if self.is_leader() {
            return self.remove_here(ask).await;
        }
        let deadline = ATTEMPT_DEADLINE;
        self.call_leader(wire::REMOVE_MASTER, ask, deadline).await
    }

    /// On the leader: removes a master, and waits until it is no member any more.
    pub(crate) async fn remove_here(
        &self,
        ask: &Remove,
    ) -> Result<Result<Receipt, Refusal>, RaftFault> {
        let removing = async {
            let removed = self.decide_removal(ask).await?;
            if removed.is_ok() {
                self.is_out(ask.master).await;
            }
            Ok(removed)
        };
        let late = |_| RaftFault::Raft("the members did not change in time".to_owned());
        tokio::time::timeout(ATTEMPT_DEADLINE, removing)
            .await
            .map_err(late)?
    }

    /// One at a time, so that each is decided by what the one before left. Asked again, the answer is the same.
    pub(super) async fn decide_removal(
        &self,
        ask: &Remove,
    ) -> Result<Result<Receipt, Refusal>, RaftFault> {
        let _turn = self.inner.removing.lock().await;
        let known = self.local().state.receipt_of(ask.request).cloned();
        if let Some(receipt) = known {
            return Ok(accepted(receipt));
        }
        if !knows_members(&self.local(), &self.membership()) {
            return Err(RaftFault::Raft("this leader has just begun".to_owned()));
        }
        let (propose, seats) = match self.allowed(ask).await {
            Ok(allowed) => allowed,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if ask.master == self.inner.id {
            self.step_aside(&seats).await?;
            return Err(RaftFault::Raft("the next leader is to be asked".to_owned()));
        }
        Ok(accepted(self.propose_here(&propose).await?))
    }

    /// The entry, and what the leader observed for it; or the refusal, which leaves no entry.
    async fn allowed(&self, ask: &Remove) -> Result<(wire::Propose, Vec<Seat>), Refusal> {
        let propose = |seats: &[Seat]| wire::Propose {
            actor: ask.actor,
            request: ask.request,
            command: Command::RemoveMaster {
                master: ask.master,
                force: ask.force,
                seats: seats.to_vec(),
            },
        };
        let refused = |seats: &[Seat]| try_out(&self.local(), &propose(seats), self.now());
        let seats = self.look_patiently(refused).await?;
        Ok((propose(&seats), seats))
    }

    /// Hands leadership over; where nobody else votes, to a learner that gets the vote for that.
    async fn step_aside(&self, seats: &[Seat]) -> Result<(), RaftFault> {
        let policy = self.local().state.autopilot();
        if quorum::heirs(policy, seats).is_empty() {
            let membership = self.membership();
            let mut voters: BTreeSet<u64> = membership.membership().voter_ids().collect();
            let learner = quorum::next_voter(&self.local().state, seats);
            voters.extend(learner.map(|id| id.0));
            change_members(self, &membership, ChangeMembers::ReplaceAllVoters(voters)).await?;
        }
        if self.hand_over().await {
            return Ok(());
        }
        Err(RaftFault::Raft(
            "nobody took the leadership over".to_owned(),
        ))
    }
}
