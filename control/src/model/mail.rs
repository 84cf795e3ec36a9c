//! Mails that wait to be sent, are on their way, or could not be delivered; and by which server they go. Since version 3.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{MailId, MasterId, NoticeId, UnixMs, UserId};

/// How far a mail has come. One that was delivered has no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailStage {
    /// It is sent from `next_at` on.
    Waiting { next_at: UnixMs },
    /// That master may have ended the text of it towards the server.
    Begun { by: MasterId, at: UnixMs },
    /// It was begun, and whether the server took it was never said. Only an admin sends it again.
    Unsure { at: UnixMs },
    /// It is not tried any more.
    GivenUp { at: UnixMs },
}

impl MailStage {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting { .. } => "waiting",
            Self::Begun { .. } => "begun",
            Self::Unsure { .. } => "unsure",
            Self::GivenUp { .. } => "given up",
        }
    }
}

/// What a mail says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailText {
    /// What the notice says. It goes with that.
    Of(NoticeId),
    /// To somebody who has no account.
    Own { subject: String, body: String },
}

/// One mail to one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    pub id: MailId,
    /// Whose address it is; none of somebody who has no account.
    pub user: Option<UserId>,
    pub address: String,
    pub text: MailText,
    pub stage: MailStage,
    /// How often it was tried.
    pub tries: u32,
    pub made_at: UnixMs,
    /// Why the last try came to nothing; empty before.
    pub cause: String,
}

impl Mail {
    /// Mails of a cluster, whatever became of them.
    pub const KEPT_MAX: usize = 20_000;
    /// From then on it is not tried any more.
    pub const TRIED_MS: u64 = 3 * 24 * 3_600_000;
    /// Who has begun one knows by then what came of it; longer than the sender waits for the server.
    pub const BEGUN_MS: u64 = 120_000;
    /// What was given up, or may have been delivered, is forgotten after this time.
    pub const ENDED_KEPT_MS: u64 = 30 * 24 * 3_600_000;
    /// Longest cause that is kept, in bytes.
    pub const CAUSE_LEN_MAX: usize = 500;
    /// After the first try that came to nothing, the second, and so on; the last one again and again.
    const PAUSES_MS: [u64; 6] = [10_000, 60_000, 300_000, 900_000, 3_600_000, 14_400_000];

    /// How long it waits after that many tries.
    #[must_use]
    pub fn pause_ms(tries: u32) -> u64 {
        let known = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
        let [.., longest] = Self::PAUSES_MS;
        Self::PAUSES_MS.get(known).copied().unwrap_or(longest)
    }

    /// Whether nothing more happens to it by itself.
    #[must_use]
    pub fn has_ended(&self) -> Option<UnixMs> {
        match self.stage {
            MailStage::Waiting { .. } | MailStage::Begun { .. } => None,
            MailStage::Unsure { at } | MailStage::GivenUp { at } => Some(at),
        }
    }
}

/// How what is said to the server is kept from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// From the first byte on (port 465).
    Tls,
    /// Before anything is said (port 587); without it nothing is sent.
    Starttls,
    /// Not at all: for a server on the master's own machine.
    None,
}

impl MailTls {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Starttls => "starttls",
            Self::None => "none",
        }
    }
}

/// The server by which mails go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailServer {
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    /// Empty if it asks for none.
    pub user: String,
    pub secret: MailSecret,
    /// As which address mails are sent.
    pub from: String,
    /// Certificates of authorities in PEM; those that each master's machine trusts if empty.
    pub authorities: String,
    /// Where the portal is for people, for links in mails; there are none if empty.
    pub portal: String,
}

/// What the server is shown with the user. Nothing that prints or is shown to people has it: as text it is a word that says so.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct MailSecret(pub String);

impl MailSecret {
    const SHOWN: &str = "(secret)";
}

impl fmt::Debug for MailSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(Self::SHOWN)
    }
}

impl Serialize for MailSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.serialize_str(Self::SHOWN);
        }
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for MailSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let readable = deserializer.is_human_readable();
        let text = String::deserialize(deserializer)?;
        let hidden = readable && text == Self::SHOWN;
        Ok(Self(if hidden { String::new() } else { text }))
    }
}
