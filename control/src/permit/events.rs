//! Who is told of which event, and what never leaves the masters.

use super::{owns, watches};
use crate::event::Event;
use crate::id::SecretHash;
use crate::model::User;

/// Whom an event concerns: an admin sees all, an operator what is about machines and where vnodes are, a person what is about
/// them or theirs, everybody the images.
pub(super) fn sees(asker: &User, event: &Event) -> bool {
    match event {
        Event::UserCreated { user } => owns(asker, user.id),
        Event::PasswordChanged { user, .. } | Event::SessionClosed { user, .. } => {
            owns(asker, *user)
        }
        Event::SessionOpened { session } => owns(asker, session.user),
        Event::NetworkCreated { network } => watches(asker, network.owner),
        Event::VclusterCreated { vcluster } => watches(asker, vcluster.owner),
        Event::VclusterWantedChanged { about, .. }
        | Event::VclusterDeleted { about }
        | Event::VclusterWished { about, .. } => watches(asker, about.owner),
        Event::VnodeCreated { vnode } => watches(asker, vnode.owner),
        Event::VnodeWantedChanged { about, .. }
        | Event::VnodePlaced { about, .. }
        | Event::VnodeUnplaceable { about, .. }
        | Event::VnodeSeen { about, .. }
        | Event::VnodeRemoved { about }
        | Event::VnodeWished { about, .. }
        | Event::GpusGiven { about, .. } => watches(asker, about.owner),
        Event::PortRemoved { about, .. } => owns(asker, about.owner),
        Event::PortAdded { port } => owns(asker, port.owner),
        // What everybody sees of images is another thing from version 3 on.
        Event::ImageRegistered { .. } | Event::VersionRaised { .. } => true,
        Event::Image(event) => event.is_for(asker),
        Event::Snapshot(event) => owns(asker, event.owner()),
        Event::Limit(event) => event.is_for(asker),
        Event::Group(event) => event.is_for(asker),
        Event::Schedule(event) => event.is_for(asker),
        Event::Moved(event) => asker.operates() || event.owner() == Some(asker.id),
        Event::Drill(event) => event.is_for_everybody() || asker.operates(),
        Event::Quota(event) => event.is_for(asker),
        Event::RoleSet { user, .. } => owns(asker, *user),
        Event::Account(event) => event.is_for(asker),
        Event::Template(event) => event.is_for(asker),
        Event::Audit(event) if event.master().is_some() => asker.operates(),
        Event::Audit(event) => match event.owner() {
            Some(owner) => owns(asker, owner),
            None => asker.is_admin(),
        },
        Event::Idle(event) => watches(asker, event.owner()),
        Event::Trash(event) => event.is_for(asker),
        Event::Notice(event) => event.is_for(asker),
        Event::Bean(event) => event.is_for(asker),
        Event::Service(event) => event.is_for(asker),
        Event::Terminal(event) => event.is_for(asker),
        Event::Identity(event) => event.is_for(asker),
        // Keys in it are written as a word.
        Event::Acme(_) => asker.is_admin(),
        Event::ClusterInitialised { .. }
        | Event::MasterJoined { .. }
        | Event::MasterDiverged { .. }
        | Event::JoinTokenCreated { .. }
        | Event::JoinTokenSpent { .. }
        | Event::JoinTokenForgotten { .. }
        | Event::WorkerJoined { .. }
        | Event::WorkerDescribed { .. }
        | Event::WorkerMarked { .. }
        | Event::ImageHeld { .. }
        | Event::ImageLost { .. }
        | Event::MasterRemoved { .. }
        | Event::MasterReplacementWanted { .. }
        | Event::MasterReplacementJoined { .. }
        | Event::MasterReplacementForgotten { .. }
        | Event::AutopilotSet { .. }
        | Event::ClusterRestored { .. }
        | Event::ClusterRecovered { .. }
        | Event::ProgramReported { .. }
        | Event::BackupTaken { .. }
        | Event::BandwidthLimited { .. }
        | Event::Drain(_)
        | Event::Rebalance(_)
        | Event::Certificate(_)
        | Event::DiskOvercommitSet { .. } => asker.operates(),
    }
}

/// Password hashes and the hashes by which sessions and tokens are found never leave the masters.
pub(super) fn without_secrets(mut event: Event) -> Event {
    match &mut event {
        Event::UserCreated { user } => user.password_hash.clear(),
        Event::PasswordChanged { password_hash, .. } => password_hash.clear(),
        Event::SessionOpened { session } => session.id = SecretHash([0; 32]),
        Event::SessionClosed { id, .. }
        | Event::JoinTokenSpent { id, .. }
        | Event::JoinTokenForgotten { id } => *id = SecretHash([0; 32]),
        Event::JoinTokenCreated { token } => token.id = SecretHash([0; 32]),
        Event::MasterReplacementWanted { replacement } => replacement.token = SecretHash([0; 32]),
        Event::ClusterInitialised { .. }
        | Event::MasterJoined { .. }
        | Event::WorkerJoined { .. }
        | Event::WorkerDescribed { .. }
        | Event::WorkerMarked { .. }
        | Event::ImageRegistered { .. }
        | Event::ImageHeld { .. }
        | Event::ImageLost { .. }
        | Event::NetworkCreated { .. }
        | Event::VclusterCreated { .. }
        | Event::VclusterWantedChanged { .. }
        | Event::VclusterDeleted { .. }
        | Event::VnodeCreated { .. }
        | Event::VnodeWantedChanged { .. }
        | Event::VnodePlaced { .. }
        | Event::VnodeUnplaceable { .. }
        | Event::VnodeSeen { .. }
        | Event::VnodeRemoved { .. }
        | Event::MasterRemoved { .. }
        | Event::MasterReplacementJoined { .. }
        | Event::MasterReplacementForgotten { .. }
        | Event::AutopilotSet { .. }
        | Event::ClusterRestored { .. }
        | Event::ClusterRecovered { .. }
        | Event::ProgramReported { .. }
        | Event::VersionRaised { .. }
        | Event::BackupTaken { .. }
        | Event::PortAdded { .. }
        | Event::PortRemoved { .. }
        | Event::BandwidthLimited { .. }
        | Event::VclusterWished { .. }
        | Event::VnodeWished { .. }
        | Event::GpusGiven { .. }
        | Event::DiskOvercommitSet { .. } => {}
        Event::Drill(_) | Event::MasterDiverged { .. } | Event::Image(_) | Event::Snapshot(_) => {}
        Event::Limit(_) | Event::Audit(_) | Event::Trash(_) | Event::Idle(_) => {}
        Event::Bean(_)
        | Event::Acme(_)
        | Event::Group(_)
        | Event::Moved(_)
        | Event::Drain(_)
        | Event::Schedule(_) => {}
        Event::Rebalance(_) | Event::Quota(_) | Event::RoleSet { .. } | Event::Template(_) => {}
        Event::Account(event) => event.hide_secrets(),
        Event::Notice(event) => event.hide_secrets(),
        Event::Service(event) => event.hide_secrets(),
        Event::Terminal(event) => event.hide_secrets(),
        Event::Identity(event) => event.hide_secrets(),
        Event::Certificate(event) => event.hide_secrets(),
    }
    event
}
