//! What a master answers to [`crate::StoreClient`]: proposals and reads that it forwards to whoever leads.

use std::time::Duration;

use docklet_control::name::Name;

use crate::fault::{ProposeFault, RaftFault};
use crate::master::Master;
use crate::wire;

/// A call is worked on for at most this long, whatever its sender allows.
const DEADLINE_MAX: Duration = Duration::from_secs(30);

fn bounded(deadline_ms: u64) -> Duration {
    Duration::from_millis(deadline_ms).min(DEADLINE_MAX)
}

/// Puts a command into the log, through whoever leads.
pub async fn propose(master: &Master, through: wire::ProposeThrough) -> wire::Proposed {
    let wire::ProposeThrough { ask, deadline_ms } = through;
    let proposed = master
        .propose(ask.actor, ask.request, ask.command, bounded(deadline_ms))
        .await;
    match proposed {
        Ok(receipt) => wire::Proposed::Accepted(receipt),
        // That the request is too old is an answer: to ask again would bring the same.
        Err(
            ProposeFault::Refused(refusal) | ProposeFault::Unknown(RaftFault::Forgotten(refusal)),
        ) => wire::Proposed::Refused(refusal),
        Err(ProposeFault::Unknown(fault)) => wire::Proposed::Unknown(fault.to_string()),
    }
}

/// Finds an account by its name.
///
/// # Errors
/// No quorum confirmed in time what is current.
pub async fn read_user(master: &Master, ask: wire::ReadUser) -> Result<wire::UserRead, String> {
    let frozen = if ask.linearizable {
        let read = master.read(bounded(ask.deadline_ms)).await;
        read.map_err(|fault| fault.to_string())?
    } else {
        master.local()
    };
    let name = Name::parse("user", &ask.name).map_err(|refusal| refusal.to_string())?;
    Ok(wire::UserRead {
        user: frozen.state.user_named(&name).cloned(),
        index: frozen.index,
    })
}
