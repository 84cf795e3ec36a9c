//! What can be asked of notices, since version 3. Texts are unchecked: decide checks them.

use serde::{Deserialize, Serialize};

use super::bug::BugCommand;
use super::mail::MailCommand;
use crate::id::NoticeId;
use crate::model::notice::{MailWish, Severity};

/// Asks for something of notices, of mails, or of what people found wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoticeCommand {
    /// Tells somebody something.
    Announce(NewNotice),
    /// It is there no more, for nobody.
    Withdraw {
        notice: NoticeId,
    },
    /// Who asks has read these.
    Read {
        notices: Vec<NoticeId>,
    },
    /// Who asks has read all up to this one.
    ReadAll {
        upto: NoticeId,
    },
    /// Of which notices who asks wants mails, too.
    SetWish {
        wish: MailWish,
    },
    /// Notices whose time is over, and mails that ended long ago or wait for too long.
    ForgetOld,
    Mail(MailCommand),
    Bug(BugCommand),
}

/// What is to be told, and to whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewNotice {
    pub to: Audience,
    #[serde(default)]
    pub severity: Severity,
    pub title: String,
    #[serde(default)]
    pub body: String,
    #[serde(default)]
    pub link: String,
    /// The usual if none.
    #[serde(default)]
    pub ttl_ms: Option<u64>,
    /// Whether it goes by mail, too, to whoever wants important ones.
    #[serde(default)]
    pub mail: bool,
}

/// Whom somebody may tell something, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    User(String),
    Group(String),
    All,
}

impl NoticeCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Announce(_) => "Announce",
            Self::Withdraw { .. } => "WithdrawNotice",
            Self::Read { .. } => "ReadNotices",
            Self::ReadAll { .. } => "ReadAllNotices",
            Self::SetWish { .. } => "SetMailWish",
            Self::ForgetOld => "ForgetOldNotices",
            Self::Mail(command) => command.name(),
            Self::Bug(command) => command.name(),
        }
    }
}
