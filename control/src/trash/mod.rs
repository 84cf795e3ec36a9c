//! Deleting with a way back: a vcluster goes into the trash first, and goes for good when its time there is over. What nobody
//! starts any more gets there by itself, after a warning, if admins want that. Since version 3 (ADR 0034).

pub mod command;
pub mod due;
pub mod event;
pub(crate) mod gpus;
pub mod kept;

use self::command::{Thing, TrashCommand};
use crate::account::command::AccountCommand;
use crate::command::Command;
use crate::group::command::GroupCommand;
use crate::id::UserId;
use crate::image::command::ImageCommand;
use crate::model::trash::Trashed;
use crate::model::{ClusterVersion, User};
use crate::notice::command::NoticeCommand;
use crate::permit;
use crate::snapshot::command::SnapshotCommand;
use crate::state::State;
use crate::template::command::TemplateCommand;

/// The version from which on there is a trashed.
pub const SINCE: ClusterVersion = ClusterVersion(3);

/// Whether what is deleted now goes into the trash.
#[must_use]
pub fn is_used(state: &State) -> bool {
    state.version() >= SINCE && state.trash_policy().undo_minutes > 0
}

/// How a door asks for something to be deleted: for good if that is wanted, or if there is no trash.
#[must_use]
pub fn deleting(state: &State, thing: Thing, for_good: bool) -> Command {
    if !for_good && is_used(state) {
        return Command::Trash(TrashCommand::Keep { thing });
    }
    match thing {
        Thing::Image { image } => Command::Image(ImageCommand::Delete { image }),
        Thing::ImageVersion { image, version } => {
            Command::Image(ImageCommand::DeleteVersion { image, version })
        }
        Thing::Snapshots { of, name } => Command::Snapshot(SnapshotCommand::Delete { of, name }),
        Thing::Group { group } => Command::Group(GroupCommand::Delete { group }),
        Thing::Template { template } => {
            Command::Template(TemplateCommand::Withdraw { name: template })
        }
        Thing::Account { user, with_data } => {
            Command::Account(AccountCommand::Delete { user, with_data })
        }
        Thing::Notice { notice } => Command::Notice(NoticeCommand::Withdraw { notice }),
    }
}

/// What is in the trash for `asker`: own things, for admins everybody's; the newest first. What comes back with an account is
/// none of it.
#[must_use]
pub fn of<'s>(state: &'s State, asker: &User) -> Vec<&'s Trashed> {
    let mut trashed: Vec<&Trashed> = state
        .trashed
        .values()
        .filter(|trashed| permit::owns(asker, trashed.owner) && !state.is_going(trashed.vcluster))
        .filter(|trashed| !trashed.is_with_account())
        .collect();
    trashed.sort_by_key(|trashed| (std::cmp::Reverse(trashed.at), trashed.vcluster));
    trashed
}

/// What one owner deleted that must go for good so that one more has a place: the oldest.
pub(crate) fn too_many(state: &State, owner: UserId) -> Vec<&Trashed> {
    let trashed = state.trashed.values();
    let mut trashed: Vec<&Trashed> = trashed
        .filter(|trashed| trashed.owner == owner && trashed.was_deleted())
        .filter(|trashed| !state.is_going(trashed.vcluster))
        .collect();
    trashed.sort_by_key(|trashed| (trashed.at, trashed.vcluster));
    let excess = (trashed.len() + 1).saturating_sub(Trashed::PER_OWNER_MAX);
    trashed.truncate(excess);
    trashed
}
