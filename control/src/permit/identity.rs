//! Who may ask for what about logins by others' word.

use super::Needs;
use crate::identity::command::IdentityCommand;

/// What a provider said is a door's to tell, but for who connects themselves.
pub(super) fn needs(command: &IdentityCommand) -> Needs<'_> {
    match command {
        IdentityCommand::SetProvider { .. }
        | IdentityCommand::SetPam { .. }
        | IdentityCommand::SetWay { .. } => Needs::Admin,
        IdentityCommand::Welcome { .. } | IdentityCommand::OpenLogin { .. } => Needs::Door,
        IdentityCommand::Connect { .. } => Needs::Person,
        IdentityCommand::Disconnect { user, .. } => Needs::Oneself(*user),
    }
}
