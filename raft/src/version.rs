//! What this master's program knows: told to the cluster, which waits for the last of its masters before it writes
//! anything new. A program that knows less than what was agreed on takes no part.

use std::time::Duration;

use docklet_control::id::RequestId;
use docklet_control::model::Program;
use docklet_control::{Actor, Refusal, version};

use crate::fault::ProposeFault;
use crate::master::Master;

/// A report is given up after this, and made anew.
const REPORT_DEADLINE: Duration = Duration::from_secs(5);
/// When nobody took the report, it is made again after this.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Says what program this is whenever the state says otherwise, until aborted.
pub async fn report(master: Master) {
    let program = master.inner.program.clone();
    let mut states = master.watch();
    loop {
        let news = states.wait_for(|frozen| version::to_report(&frozen.state, &program).is_some());
        if news.await.is_err() {
            return;
        }
        match report_once(&master, &program).await {
            Ok(()) => {}
            Err(ProposeFault::Refused(refusal @ Refusal::ProgramTooOld { .. })) => {
                return master.inner.view.refuse(refusal);
            }
            Err(fault) => {
                tracing::debug!(%fault, "nobody knows yet what this program knows");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

async fn report_once(master: &Master, program: &Program) -> Result<(), ProposeFault> {
    let frozen = master.local();
    let Some(command) = version::to_report(&frozen.state, program) else {
        return Ok(());
    };
    let actor = Actor::Door(master.id());
    let request = RequestId::issued(frozen.index, rand::random());
    let receipt = master
        .propose(actor, request, command, REPORT_DEADLINE)
        .await?;
    let seen = master.wait_applied(receipt.index, REPORT_DEADLINE).await;
    seen.map(|_| ()).map_err(ProposeFault::Unknown)
}
