//! Who may ask for what of certificates.

use super::Needs;
use crate::acme::command::AcmeCommand;

pub(super) fn needs(command: &AcmeCommand) -> Needs<'_> {
    match command {
        AcmeCommand::Set { .. } | AcmeCommand::Off | AcmeCommand::Renew => Needs::Admin,
        AcmeCommand::Begin { .. }
        | AcmeCommand::ForgetKeys { .. }
        | AcmeCommand::Place { .. }
        | AcmeCommand::Issue { .. }
        | AcmeCommand::Fail { .. } => Needs::Door,
    }
}
