//! What can be asked of mails, and what happened to them.
//!
//! A mail is begun by an entry before its text is ended towards the server, and what the server said is another entry. So it is
//! sent once by whichever master leads: who has not the entry that it was begun ends no text. A master that dies between the two
//! leaves it unsure, and it is not sent again by itself.

use serde::{Deserialize, Serialize};

use crate::id::{MailId, MasterId};
use crate::model::mail::{Mail, MailServer, MailStage};

/// Asks for something of mails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MailCommand {
    /// By which server they go from now on; none at all if none. Of one with the same user and host and no secret given, the
    /// secret stays.
    SetServer { server: Option<MailServer> },
    /// One to the address of who asks.
    Test,
    /// One that was given up, or may have been delivered, once more.
    Resend { mail: MailId },
    /// The server is ready for the text: from here on it may have the mail. `attempt` counts from one.
    Begin {
        mail: MailId,
        attempt: u32,
        master: MasterId,
    },
    /// The server took it.
    Sent {
        mail: MailId,
        attempt: u32,
        master: MasterId,
    },
    /// The server does not have it.
    Failed {
        mail: MailId,
        attempt: u32,
        master: MasterId,
        /// Whether it never will.
        permanent: bool,
        cause: String,
    },
    /// The master that has begun it cannot say what came of it.
    Doubt {
        mail: MailId,
        attempt: u32,
        master: MasterId,
        cause: String,
    },
    /// Those of which nobody says what came of them.
    DoubtSilent,
}

/// What happened to mails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MailEvent {
    ServerSet {
        server: Option<MailServer>,
    },
    Queued {
        mails: Vec<Mail>,
    },
    /// It is so far from now on.
    Staged {
        mail: MailId,
        stage: MailStage,
        tries: u32,
        cause: String,
    },
    /// The server has it.
    Delivered {
        mail: MailId,
        address: String,
    },
    /// They are forgotten.
    Forgotten {
        mails: Vec<MailId>,
    },
}

impl MailCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SetServer { .. } => "SetMailServer",
            Self::Test => "TestMail",
            Self::Resend { .. } => "ResendMail",
            Self::Begin { .. } => "BeginMail",
            Self::Sent { .. } => "MailSent",
            Self::Failed { .. } => "MailFailed",
            Self::Doubt { .. } => "DoubtMail",
            Self::DoubtSilent => "DoubtSilentMails",
        }
    }
}
