//! What happened to notices, since version 3.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::bug::BugEvent;
use super::mail::MailEvent;
use crate::id::UserId;
use crate::model::notice::{Notice, Reader, To};
use crate::model::{MailServer, User};

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoticeEvent {
    /// It is there from now on. `told` are those of a group.
    Told {
        notice: Notice,
        told: BTreeSet<UserId>,
    },
    /// It is there no more, as it was: withdrawn, over, or one too many.
    Gone {
        notice: Notice,
        told: BTreeSet<UserId>,
    },
    /// Somebody has read something, or wants other mails.
    ReaderSet {
        reader: Reader,
    },
    Mail(MailEvent),
    Bug(BugEvent),
}

impl NoticeEvent {
    /// Whether `asker` may be told of it. Mails are for admins.
    #[must_use]
    pub fn is_for(&self, asker: &User) -> bool {
        match self {
            Self::Told { notice, told } | Self::Gone { notice, told } => {
                let theirs = match notice.to {
                    To::All => true,
                    To::Group(_) => told.contains(&asker.id),
                    To::User(user) => user == asker.id,
                    To::Admins => false,
                };
                theirs || notice.author == Some(asker.id) || asker.is_admin()
            }
            Self::ReaderSet { reader } => reader.user == asker.id || asker.is_admin(),
            Self::Mail(_) => asker.is_admin(),
            Self::Bug(event) => event.by() == Some(asker.id) || asker.is_admin(),
        }
    }

    /// As it may be shown: what the mail server is shown never leaves the masters.
    pub fn hide_secrets(&mut self) {
        match self {
            Self::Mail(MailEvent::ServerSet { server }) => {
                server.iter_mut().for_each(hide);
            }
            Self::Told { .. }
            | Self::Gone { .. }
            | Self::ReaderSet { .. }
            | Self::Mail(_)
            | Self::Bug(_) => {}
        }
    }
}

fn hide(server: &mut MailServer) {
    server.secret.0.clear();
}
