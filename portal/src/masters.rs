//! What pages and programs may do with masters, by the same way: find the one that is meant, ask, wait.

use docklet_control::audit::command::AuditCommand;
use docklet_control::id::{MasterId, SecretHash};
use docklet_control::model::{JoinRole, Receipt};
use docklet_control::{Command, Refusal, State, audit, permit};
use docklet_link::identity::PeerRole;
use docklet_link::{JoinSecret, authority};

use crate::asker::{Asker, WRITE_DEADLINE, propose};
use crate::problem::Problem;
use crate::serve::Portal;

/// The master with this name or number.
pub(crate) fn meant(state: &State, text: &str) -> Result<MasterId, Refusal> {
    let found = state.master_meant(text).map(|master| master.id);
    found.ok_or_else(|| Refusal::not_found("master", text.escape_debug()))
}

/// Removes a master.
pub(crate) async fn remove(
    portal: &Portal,
    asker: &Asker,
    name: &str,
    force: bool,
) -> Result<Receipt, Problem> {
    let (actor, request) = (asker.actor(), asker.request());
    permit::operator(&asker.frozen.state, actor, "remove masters")?;
    let known = asker.frozen.state.receipt_of(request).cloned();
    let done = |receipt: &Receipt| receipt.actor == actor && receipt.accepted().is_ok();
    if let Some(receipt) = known.filter(done) {
        // Asked again after it was done: nothing has this name any more.
        return Ok(receipt);
    }
    let id = meant(&asker.frozen.state, name)?;
    let removal = portal
        .master
        .remove_master(actor, request, id, force, WRITE_DEADLINE);
    Ok(removal.await?)
}

/// Lets a master lead.
pub(crate) async fn transfer(portal: &Portal, asker: &Asker, name: &str) -> Result<(), Problem> {
    permit::operator(&asker.frozen.state, asker.actor(), "choose who leads")?;
    let id = meant(&asker.frozen.state, name)?;
    note(
        portal,
        asker,
        AuditCommand::TransferLeadership { master: id },
    )
    .await?;
    Ok(portal
        .master
        .transfer(asker.actor(), id, WRITE_DEADLINE)
        .await?)
}

/// Makes a master safe to stop.
pub(crate) async fn drain(portal: &Portal, asker: &Asker, name: &str) -> Result<(), Problem> {
    permit::operator(&asker.frozen.state, asker.actor(), "choose who leads")?;
    let id = meant(&asker.frozen.state, name)?;
    note(portal, asker, AuditCommand::DrainMaster { master: id }).await?;
    Ok(portal
        .master
        .drain(asker.actor(), id, WRITE_DEADLINE)
        .await?)
}

/// Who leads is Raft's and no entry of ours: the trail is told before.
async fn note(portal: &Portal, asker: &Asker, command: AuditCommand) -> Result<(), Problem> {
    if asker.frozen.state.version() >= audit::SINCE {
        propose(portal, asker, Command::Audit(command)).await?;
    }
    Ok(())
}

/// A new join token and what the log knows of it. The secret itself is stored nowhere.
pub(crate) fn invitation(
    portal: &Portal,
    asker: &Asker,
    role: JoinRole,
) -> (JoinSecret, SecretHash) {
    let masters = asker.frozen.state.masters.values();
    let addrs = masters.map(|master| master.cluster_addr.clone()).collect();
    let role = match role {
        JoinRole::Master => PeerRole::Master,
        JoinRole::Agent => PeerRole::Agent,
    };
    let fingerprint = authority::fingerprint(&portal.credentials.ca);
    let token = JoinSecret::generate(role, addrs, fingerprint);
    let hash = SecretHash(token.secret_hash());
    (token, hash)
}
