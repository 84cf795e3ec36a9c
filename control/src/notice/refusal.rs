//! Why something about notices and mails is refused.

use serde::{Deserialize, Serialize};

use crate::refusal::RefusalClass;

/// Why not.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum NoticeRefusal {
    #[error(
        "no mail server is set: nothing was sent; an admin sets one with `docklet mail set --host HOST --from ADDRESS`"
    )]
    NoMailServer,
    #[error("your account has no mail address: say it with `docklet user profile --mail ADDRESS`")]
    NoMailAddress,
    #[error(
        "mail {mail} is {stage}: nothing was changed; only one that was given up or is unsure can be sent again"
    )]
    MailUnderWay { mail: String, stage: String },
    #[error(
        "mail {mail} is not waiting for attempt {attempt}: another master has begun it, or it is gone"
    )]
    MailNotWaiting { mail: String, attempt: u32 },
    #[error(
        "without TLS the user and secret of \"{host}\" and every mail could be read on the way: use --tls starttls or --tls tls; none is for a server on the master's own machine"
    )]
    MailInTheOpen { host: String },
    #[error(
        "{mails} mails wait or are kept already, and these would be too many: nothing was said; wait until they are sent, or say it without --mail"
    )]
    TooManyMails { mails: u64 },
    #[error(
        "you have {open} open bug reports: nothing was noted; wait until an admin has answered and closed one"
    )]
    TooManyBugs { open: u64 },
    #[error(
        "the time of this notice is over, or whom it was for is gone: it does not come back; tell it anew with `docklet notice announce`"
    )]
    Over,
}

impl NoticeRefusal {
    /// Stable code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoMailServer => "no_mail_server",
            Self::NoMailAddress => "no_mail_address",
            Self::MailUnderWay { .. } => "mail_under_way",
            Self::MailNotWaiting { .. } => "mail_not_waiting",
            Self::MailInTheOpen { .. } => "mail_in_the_open",
            Self::TooManyMails { .. } => "too_many_mails",
            Self::TooManyBugs { .. } => "too_many_bugs",
            Self::Over => "notice_over",
        }
    }

    /// How to take it.
    #[must_use]
    pub fn class(&self) -> RefusalClass {
        match self {
            Self::MailInTheOpen { .. } => RefusalClass::Invalid,
            Self::NoMailServer
            | Self::NoMailAddress
            | Self::MailUnderWay { .. }
            | Self::MailNotWaiting { .. }
            | Self::TooManyMails { .. }
            | Self::TooManyBugs { .. }
            | Self::Over => RefusalClass::Conflict,
        }
    }
}
