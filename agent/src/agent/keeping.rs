//! An assignment is brought to the disk beside the first acts on it: those that make files of a vnode, and nothing else. Whatever
//! cannot be taken back waits: an agent that comes after a crash must not know less than what this one did.

use docklet_control::assignment::Assignment;
use tokio::sync::watch;

use super::Agent;
use crate::fault::AgentFault;
use crate::host::{Act, Host};

/// Whether an assignment is on the disk, once that is known.
#[derive(Clone)]
pub(super) struct Kept(watch::Receiver<Option<bool>>);

impl Kept {
    /// Begins to write it.
    pub(super) fn begin(write: impl FnOnce() -> Result<(), AgentFault> + Send + 'static) -> Self {
        let (tell, told) = watch::channel(None);
        tokio::task::spawn_blocking(move || {
            let written = write();
            if let Err(fault) = &written {
                tracing::error!(%fault, "assignment not kept, it is not acted upon");
            }
            tell.send_replace(Some(written.is_ok()));
        });
        Self(told)
    }

    async fn wait(&mut self) -> bool {
        let known = self.0.wait_for(Option::is_some).await;
        known.is_ok_and(|kept| *kept == Some(true))
    }

    /// Waits until this act may be done.
    ///
    /// # Errors
    /// It must not be done.
    pub(super) async fn allows(&mut self, act: &Act) -> Result<(), AgentFault> {
        if matches!(act, Act::Prepare(_)) || self.wait().await {
            return Ok(());
        }
        Err(AgentFault::NotReady(
            "what is assigned could not be stored".to_owned(),
        ))
    }
}

/// An assignment that is being written.
pub(super) struct Keeping {
    pub(super) kept: Kept,
    /// What was wanted before.
    before: Option<Assignment>,
}

impl<H: Host> Agent<H> {
    /// Follows an assignment from here on, unless it turns out that it cannot be kept. One is written after the other.
    pub(super) async fn take(&mut self, assignment: Assignment, keep: impl Fn(Assignment) -> Kept) {
        self.settle_keeping().await;
        let kept = keep(assignment.clone());
        self.sight.forget();
        self.lease.assign(&assignment);
        let before = self.wanted.replace(assignment);
        self.keeping = Some(Keeping { kept, before });
    }

    /// Waits until the assignment that is followed is on the disk. If it cannot be, answers no, and the one before is followed again.
    pub(super) async fn settle_keeping(&mut self) -> bool {
        let Some(Keeping { mut kept, before }) = self.keeping.take() else {
            return true;
        };
        let well = kept.wait().await;
        if well {
            self.assign_tallies();
        } else {
            self.sight.forget();
            self.wanted = before;
            if let Some(wanted) = &self.wanted {
                self.lease.assign(wanted);
            }
        }
        well
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use docklet_control::id::VnodeId;

    fn kept(write: Result<(), AgentFault>) -> Kept {
        Kept::begin(|| write)
    }

    fn failed() -> AgentFault {
        AgentFault::NotReady("the disk is full".to_owned())
    }

    #[tokio::test]
    async fn what_cannot_be_taken_back_waits_until_the_assignment_is_on_the_disk() {
        let (tell, told) = watch::channel(None);
        let mut kept = Kept(told);
        let remove = Act::Remove(VnodeId(7));
        let waits = tokio::time::timeout(std::time::Duration::ZERO, kept.allows(&remove)).await;
        assert!(waits.is_err());
        tell.send_replace(Some(true));
        assert!(kept.allows(&remove).await.is_ok());
    }

    #[tokio::test]
    async fn nothing_is_done_about_an_assignment_that_cannot_be_kept() {
        let remove = Act::Remove(VnodeId(7));
        assert!(kept(Err(failed())).allows(&remove).await.is_err());
        assert!(kept(Ok(())).allows(&remove).await.is_ok());
    }
}
