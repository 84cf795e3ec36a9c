//! Who may ask for what of the trash.

use super::Needs;
use crate::snapshot::command::SnapshotOf;
use crate::trash::command::{Thing, TrashCommand};

/// Whose what is in the trash is, decide asks: to everybody else it is as if it were gone.
pub(super) fn needs(command: &TrashCommand) -> Needs<'_> {
    match command {
        TrashCommand::Discard { vcluster } => Needs::OwnerOf(*vcluster),
        TrashCommand::Undelete { .. }
        | TrashCommand::Purge { .. }
        | TrashCommand::Recover { .. }
        | TrashCommand::Drop { .. } => Needs::Person,
        // As of deleting it for good.
        TrashCommand::Keep { thing } => match thing {
            Thing::Image { .. }
            | Thing::ImageVersion { .. }
            | Thing::Template { .. }
            | Thing::Notice { .. } => Needs::Person,
            Thing::Snapshots {
                of: SnapshotOf::Vnode(vnode),
                ..
            } => Needs::OwnerOfVnode(*vnode),
            Thing::Snapshots {
                of: SnapshotOf::Vcluster(vcluster),
                ..
            } => Needs::OwnerOf(*vcluster),
            Thing::Group { .. } | Thing::Account { .. } => Needs::Admin,
        },
        TrashCommand::SetPolicy { .. } => Needs::Admin,
        TrashCommand::Empty | TrashCommand::Warn { .. } | TrashCommand::Release { .. } => {
            Needs::Duty
        }
    }
}
