//! Notices: what the cluster or somebody in charge tells one person, a group or everybody; and how far each person has read.
//! Since version 3.

use imbl::OrdSet;
use serde::{Deserialize, Serialize};

use crate::id::{GroupId, NoticeId, UnixMs, UserId};

/// Whom a notice is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum To {
    User(UserId),
    /// Whoever is in it or manages it when they look.
    Group(GroupId),
    /// Whoever is an admin when they look.
    Admins,
    All,
}

/// How much it matters.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    #[default]
    Info,
    Warning,
}

impl Severity {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
        }
    }
}

/// One notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub id: NoticeId,
    pub to: To,
    pub severity: Severity,
    pub title: String,
    /// May have several lines.
    pub body: String,
    /// A path of the portal; empty if there is none.
    pub link: String,
    /// Who says so; the cluster itself if none.
    pub author: Option<UserId>,
    /// What they were called.
    pub by: String,
    pub since: UnixMs,
    pub until: UnixMs,
}

impl Notice {
    /// Longest title, in bytes.
    pub const TITLE_LEN_MAX: usize = 120;
    /// Longest text.
    pub const BODY_LEN_MAX: usize = 4_000;
    /// Longest link.
    pub const LINK_LEN_MAX: usize = 200;
    /// Notices to one person, and to admins as such; the oldest read one falls out, or the oldest.
    pub const PERSONAL_MAX: usize = 100;
    /// Notices to one group.
    pub const PER_GROUP_MAX: usize = 20;
    /// Notices to groups and to everybody.
    pub const ANNOUNCEMENTS_MAX: usize = 200;
    /// How long one is there if nobody says otherwise.
    pub const TTL_MS: u64 = 30 * 24 * 3_600_000;
    /// What can be given as its time: an hour to a year.
    pub const TTL_MS_RANGE: std::ops::RangeInclusive<u64> = 3_600_000..=366 * 24 * 3_600_000;

    /// Whether it is to a group or to everybody.
    #[must_use]
    pub fn is_announcement(&self) -> bool {
        match self.to {
            To::Group(_) | To::All => true,
            To::User(_) | To::Admins => false,
        }
    }
}

/// Of which notices somebody wants a mail, too.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum MailWish {
    All,
    /// Of those for which whoever tells them asks for it.
    #[default]
    Important,
    None,
}

impl MailWish {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::All, Self::Important, Self::None];

    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Important => "important",
            Self::None => "none",
        }
    }
}

/// What one person has read. Who has no row has read nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reader {
    pub user: UserId,
    /// All up to this one were read.
    pub upto: NoticeId,
    /// Others that were read.
    pub read: OrdSet<NoticeId>,
    pub wish: MailWish,
}

impl Reader {
    /// Of a person who has read nothing.
    #[must_use]
    pub fn new(user: UserId) -> Self {
        Self {
            user,
            ..Self::default()
        }
    }

    /// More than there can be for one person, notices to admins among them.
    pub const READ_MAX: usize = 2 * Notice::PERSONAL_MAX + Notice::ANNOUNCEMENTS_MAX;

    /// Whether this one was read.
    #[must_use]
    pub fn has_read(&self, notice: NoticeId) -> bool {
        notice <= self.upto || self.read.contains(&notice)
    }
}
