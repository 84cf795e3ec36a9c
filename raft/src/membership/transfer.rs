//! Handing leadership over. While a transfer is under way nobody accepts writes: so the next leader is asked first
//! whether it is there, and a transfer that nobody takes is taken back.

use std::time::Duration;

use docklet_control::id::MasterId;
use docklet_control::quorum::{self, Seat};
use docklet_control::{Actor, Refusal, permit};

use crate::fault::{ProposeFault, RaftFault};
use crate::forward::ATTEMPT_DEADLINE;
use crate::master::Master;
use crate::wire;

/// A master that does not answer a question within this time will not take over quickly either.
const ASK_DEADLINE: Duration = Duration::from_millis(100);
/// An election with the others' consent is a matter of two round trips and two syncs; then it is taken back.
const TRANSFER_DEADLINE: Duration = Duration::from_millis(500);
/// So many are tried before this master leads on.
const HEIRS_MAX: usize = 3;

impl Master {
    /// Hands leadership to whoever follows most closely. Answers whether this master leads no more. Keep the doors
    /// open meanwhile: the new leader asks this master too, and what comes in is passed on.
    pub async fn hand_over(&self) -> bool {
        let policy = self.local().state.autopilot();
        let heirs = quorum::heirs(policy, &self.seats());
        for heir in heirs.into_iter().take(HEIRS_MAX) {
            if self.is_leader() && self.transfer_to(heir).await {
                break;
            }
        }
        !self.is_leader()
    }

    /// Lets `next` lead, whoever leads now.
    ///
    /// # Errors
    /// It cannot lead, or the asker may not ask.
    pub async fn transfer(
        &self,
        actor: Actor,
        next: MasterId,
        deadline: Duration,
    ) -> Result<(), ProposeFault> {
        permit::operator(&self.local().state, actor, "transfer leadership")?;
        let asked = self.until(deadline, || self.ask_leader(wire::TRANSFER_TO, next));
        Ok(asked.await.map_err(ProposeFault::Unknown)??)
    }

    /// Makes a master safe to stop: it does not lead, and the others are a quorum without it.
    ///
    /// # Errors
    /// They are not, or the asker may not ask.
    pub async fn drain(
        &self,
        actor: Actor,
        master: MasterId,
        deadline: Duration,
    ) -> Result<(), ProposeFault> {
        permit::operator(&self.local().state, actor, "drain a master")?;
        let asked = self.until(deadline, || self.ask_leader(wire::DRAIN, master));
        Ok(asked.await.map_err(ProposeFault::Unknown)??)
    }

    async fn ask_leader(
        &self,
        method: u8,
        master: MasterId,
    ) -> Result<Result<(), Refusal>, RaftFault> {
        match method {
            wire::DRAIN if self.is_leader() => self.drain_here(master).await,
            _ if self.is_leader() => self.transfer_here(master).await,
            _ => self.call_leader(method, &master, ATTEMPT_DEADLINE).await,
        }
    }

    /// On the leader: lets `next` lead. Done also if it leads already.
    pub(crate) async fn transfer_here(
        &self,
        next: MasterId,
    ) -> Result<Result<(), Refusal>, RaftFault> {
        let refused = |seats: &[Seat]| quorum::check_lead(&self.local().state, seats, next).err();
        if let Err(refusal) = self.look_patiently(refused).await {
            return Ok(Err(refusal));
        }
        if next == self.inner.id || self.transfer_to(next).await {
            return Ok(Ok(()));
        }
        Err(RaftFault::Raft(format!("master {next} did not take over")))
    }

    /// On the leader: makes sure that `master` can be stopped. If it is itself that one, another leads then.
    pub(crate) async fn drain_here(
        &self,
        master: MasterId,
    ) -> Result<Result<(), Refusal>, RaftFault> {
        let refused = |seats: &[Seat]| quorum::check_stop(&self.local().state, seats, master).err();
        if let Err(refusal) = self.look_patiently(refused).await {
            return Ok(Err(refusal));
        }
        if master != self.inner.id || self.hand_over().await {
            return Ok(Ok(()));
        }
        Err(RaftFault::Raft(
            "nobody took the leadership over".to_owned(),
        ))
    }

    /// Tries to let `next` lead; answers whether another leads now.
    async fn transfer_to(&self, next: MasterId) -> bool {
        let Some(address) = self.other_members().remove(&next.0) else {
            return false;
        };
        let lines = self.inner.links.to(next.0, &address);
        let there: Result<(), _> = lines.votes.call(wire::PING, &(), ASK_DEADLINE).await;
        if let Err(fault) = there {
            tracing::warn!(master = %next, %fault, "would not take over");
            return false;
        }
        let raft = &self.inner.raft;
        if let Err(error) = raft.trigger().transfer_leader(next.0).await {
            tracing::warn!(%error, "leadership cannot be handed over");
            return false;
        }
        let own = self.inner.id.0;
        let moved = self.leader_changes(|leader| leader.is_some_and(|id| id != own));
        if tokio::time::timeout(TRANSFER_DEADLINE, moved).await.is_ok() {
            tracing::info!(master = %next, "leadership handed over");
            return true;
        }
        // It takes no writes until there is a leader of a new term.
        tracing::warn!(master = %next, "did not take over in time; leadership is taken back");
        if let Err(error) = raft.trigger().elect(false).await {
            tracing::warn!(%error, "leadership cannot be taken back");
        }
        false
    }
}
