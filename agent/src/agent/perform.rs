//! Performing acts, on threads of their own.

use std::sync::Arc;

use docklet_control::model::VnodeSeen;
use tokio::sync::Semaphore;

use super::keeping::Kept;
use crate::host::{Act, Host};

/// Performs acts in order, each as soon as it is allowed; at the first failure says which step it was.
pub(super) async fn perform_all<H: Host>(
    host: Arc<H>,
    turns: Arc<Semaphore>,
    acts: Vec<Act>,
    mut kept: Option<Kept>,
) -> Result<(), VnodeSeen> {
    // The semaphore is never closed.
    let _turn = turns.acquire().await;
    for act in acts {
        if let Some(kept) = &mut kept {
            let allowed = kept.allows(&act).await;
            allowed.map_err(|fault| failed((act.step(), fault.full_text())))?;
        }
        perform(host.clone(), act).await.map_err(failed)?;
    }
    Ok(())
}

fn failed((step, cause): (&'static str, String)) -> VnodeSeen {
    tracing::warn!(step, cause, "act failed");
    VnodeSeen::Failed {
        step: step.to_owned(),
        // Enough for people; the whole is in the agent's own log.
        cause: cause.chars().take(800).collect(),
    }
}

pub(super) async fn perform<H: Host>(host: Arc<H>, act: Act) -> Result<(), (&'static str, String)> {
    let (step, begun) = (act.step(), std::time::Instant::now());
    let acted = tokio::task::spawn_blocking(move || host.act(&act)).await;
    tracing::debug!(step, took = ?begun.elapsed(), "act");
    match acted {
        Ok(Ok(())) => Ok(()),
        Ok(Err(fault)) => Err((step, fault.full_text())),
        Err(error) => Err((step, error.to_string())),
    }
}
