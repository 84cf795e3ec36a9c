//! What programs come to with tokens: never more than their person could, and nothing that their scopes do not say. Told from
//! what happened, not from what was asked.

use docklet_control::audit::event::AuditEvent;
use docklet_control::certificate::event::CertificateEvent;
use docklet_control::event::Event;
use docklet_control::image::event::ImageEvent;
use docklet_control::model::Outcome;
use docklet_control::model::account::Scope;
use docklet_control::notice::event::NoticeEvent;
use docklet_control::service::event::ServiceEvent;
use docklet_control::{Actor, Applied, Entry, State, apply};

use super::demand;

/// # Errors
/// What was broken.
pub fn check(before: &State, entry: &Entry, applied: &Applied) -> Result<(), String> {
    let Actor::Login { user, number, .. } = entry.actor else {
        return Ok(());
    };
    let Outcome::Accepted(_) = applied.receipt.outcome else {
        return Ok(());
    };
    if before.receipt_of(entry.request).is_some() {
        return Ok(());
    }
    let login = before.login_numbered(number);
    let login = login.filter(|login| login.user == user);
    let login = login.ok_or("a login that is not there did something")?;
    let Some(token) = &login.token else {
        return Ok(());
    };
    let oneself = Entry {
        actor: Actor::User(user),
        ..entry.clone()
    };
    let index = applied.receipt.index;
    let person = apply(before.clone(), index, &oneself).receipt.outcome;
    demand(
        matches!(person, Outcome::Accepted(_)),
        "a token did what its person may not",
    )?;
    for event in &applied.change.events {
        let scopes = scopes(event);
        let said = scopes.iter().any(|scope| token.scopes.contains(scope));
        demand(
            said,
            &format!("a token did {event:?} with {:?}", token.scopes),
        )?;
    }
    Ok(())
}

/// Scopes any of which is enough for something to have happened; none where no token may make it happen.
fn scopes(event: &Event) -> &'static [Scope] {
    match event {
        Event::NetworkCreated { .. }
        | Event::VclusterCreated { .. }
        | Event::VclusterWantedChanged { .. }
        | Event::VclusterDeleted { .. }
        | Event::VnodeCreated { .. }
        | Event::VnodeWantedChanged { .. }
        | Event::VnodeRemoved { .. }
        | Event::PortAdded { .. }
        | Event::PortRemoved { .. }
        | Event::VclusterWished { .. }
        | Event::VnodeWished { .. } => &[Scope::Vclusters],
        Event::Notice(NoticeEvent::ReaderSet { .. }) => &[Scope::Read],
        // Whatever an admin does is told to whom it concerns.
        Event::Notice(_) => &[Scope::Admin],
        // A group takes its own along.
        Event::Template(_) => &[Scope::Vclusters, Scope::Admin],
        Event::Trash(_) => &[Scope::Vclusters, Scope::Images, Scope::Admin],
        // Asking for beans, and giving them; a group takes its purse along.
        Event::Bean(_) => &[Scope::Vclusters, Scope::Admin],
        // Images are made of them.
        Event::Snapshot(_) => &[Scope::Vclusters, Scope::Images],
        // A vnode that goes ends what was being made of it.
        Event::Image(ImageEvent::SaveEnded { .. }) => &[Scope::Images, Scope::Vclusters],
        Event::Image(_) => &[Scope::Images, Scope::Admin],
        // Moves go with drains and with evening out.
        Event::Limit(_) | Event::Schedule(_) | Event::Moved(_) => &[Scope::Vclusters, Scope::Admin],
        Event::Audit(AuditEvent::TerminalOpened { .. } | AuditEvent::ProgramRun { .. }) => {
            &[Scope::Terminals]
        }
        Event::Audit(AuditEvent::FilesRead { .. }) => &[Scope::ReadFiles],
        Event::Service(ServiceEvent::Opened { .. } | ServiceEvent::Left { .. })
        | Event::Audit(AuditEvent::PortForwarded { .. })
        | Event::Terminal(_) => &[Scope::Terminals],
        Event::Audit(AuditEvent::LeaderChosen { .. } | AuditEvent::MasterDrained { .. }) => {
            &[Scope::Admin]
        }
        Event::Audit(_) => &[Scope::WriteFiles],
        // A vnode that goes takes its own along, and one that comes brings what its image says.
        Event::Service(_) => &[Scope::Vclusters],
        Event::Acme(_) => &[Scope::Admin],
        Event::Certificate(CertificateEvent::Awaited { .. } | CertificateEvent::Revoked { .. }) => {
            &[Scope::Admin]
        }
        Event::Certificate(_) => &[],
        Event::JoinTokenCreated { .. }
        | Event::JoinTokenForgotten { .. }
        | Event::MasterRemoved { .. }
        | Event::MasterReplacementWanted { .. }
        | Event::MasterReplacementForgotten { .. }
        | Event::AutopilotSet { .. }
        | Event::Drill(_)
        | Event::BackupTaken { .. }
        | Event::BandwidthLimited { .. }
        | Event::DiskOvercommitSet { .. }
        | Event::Group(_)
        | Event::Drain(_)
        | Event::Rebalance(_)
        | Event::Quota(_) => &[Scope::Admin],
        Event::Idle(_) | Event::Identity(_) => &[],
        Event::ClusterInitialised { .. }
        | Event::MasterJoined { .. }
        | Event::JoinTokenSpent { .. }
        | Event::WorkerJoined { .. }
        | Event::WorkerDescribed { .. }
        | Event::WorkerMarked { .. }
        | Event::UserCreated { .. }
        | Event::PasswordChanged { .. }
        | Event::SessionOpened { .. }
        | Event::SessionClosed { .. }
        | Event::ImageRegistered { .. }
        | Event::ImageHeld { .. }
        | Event::ImageLost { .. }
        | Event::VnodePlaced { .. }
        | Event::VnodeUnplaceable { .. }
        | Event::VnodeSeen { .. }
        | Event::MasterReplacementJoined { .. }
        | Event::MasterDiverged { .. }
        | Event::ClusterRestored { .. }
        | Event::ClusterRecovered { .. }
        | Event::ProgramReported { .. }
        | Event::VersionRaised { .. }
        | Event::GpusGiven { .. }
        | Event::RoleSet { .. }
        | Event::Account(_) => &[],
    }
}
