//! What else than vclusters was deleted and can be had back: images, versions of them, snapshots, groups, templates, accounts
//! and notices. Since version 3.

use imbl::OrdSet;
use serde::{Deserialize, Serialize};

use super::account::{Standing, Verdict};
use super::image::{ImageTitle, ImageVersion};
use super::{Group, GroupQuota, GroupShare, MicroBeans, Notice, Template};
use crate::id::{Digest, GroupId, LogIndex, UnixMs, UserId, VclusterId, VnodeId};
use crate::name::Name;

/// One thing in the trash. It has left its own table, so that nothing finds it there; only snapshots stay, as they are what
/// workers hold, and accounts, as so much is known by their number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The entry that deleted it: what it is called in the trash.
    pub number: LogIndex,
    /// Whose it was; of groups, templates, accounts and notices who deleted them.
    pub owner: UserId,
    pub by: UserId,
    pub at: UnixMs,
    /// From then on it is gone for good.
    pub until: UnixMs,
    pub thing: KeptThing,
}

/// What it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptThing {
    /// A name of an image, with all versions and those with whom it was shared.
    Image {
        title: ImageTitle,
        groups: OrdSet<GroupId>,
    },
    ImageVersion {
        name: Name,
        version: ImageVersion,
    },
    /// Those of one name, of these vnodes of a vcluster.
    Snapshots {
        vcluster: VclusterId,
        name: Name,
        of: Vec<(VnodeId, LogIndex)>,
    },
    Group(Box<KeptGroup>),
    Template {
        template: Template,
    },
    Account(Box<KeptAccount>),
    Notice(Box<KeptNotice>),
}

/// A group, and what went with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptGroup {
    pub group: Group,
    pub quota: Option<GroupQuota>,
    pub shares: Vec<GroupShare>,
    /// Images that were shared with it.
    pub images: Vec<(UserId, Name)>,
    pub templates: Vec<Template>,
    /// What it had to spend; none if it had no purse.
    pub beans: Option<MicroBeans>,
}

/// An account. All that is known of it stays where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAccount {
    pub user: UserId,
    pub name: Name,
    /// How it stood, and what had been decided of it.
    pub standing: Standing,
    pub verdict: Option<Verdict>,
    /// What went into the trash with it.
    pub vclusters: Vec<VclusterId>,
}

/// A notice that was taken back, or dropped by whom it is to. It has no name of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptNotice {
    pub name: Name,
    pub notice: Notice,
}

/// Which kind of thing: scopes of tokens are by these.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum KeptKind {
    Image,
    ImageVersion,
    Snapshot,
    Group,
    Template,
    Account,
    Notice,
}

impl KeptKind {
    pub const ALL: [Self; 7] = [
        Self::Image,
        Self::ImageVersion,
        Self::Snapshot,
        Self::Group,
        Self::Template,
        Self::Account,
        Self::Notice,
    ];

    /// Whether they are bounded together: one deletes both of them with the same rights.
    #[must_use]
    pub fn is_as(self, other: Self) -> bool {
        let of = |kind| match kind {
            Self::ImageVersion => Self::Image,
            Self::Image
            | Self::Snapshot
            | Self::Group
            | Self::Template
            | Self::Account
            | Self::Notice => kind,
        };
        of(self) == of(other)
    }

    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::ImageVersion => "image-version",
            Self::Snapshot => "snapshot",
            Self::Group => "group",
            Self::Template => "template",
            Self::Account => "account",
            Self::Notice => "notice",
        }
    }

    /// Whether there are [`Kept::PER_OWNER_MAX`] at most: there are never more accounts in the trash than there are accounts.
    #[must_use]
    pub fn is_bounded(self) -> bool {
        self != Self::Account
    }
}

impl Kept {
    /// Of one kind and person, versions of images being as images; with one more the oldest is gone for good.
    pub const PER_OWNER_MAX: usize = 20;

    #[must_use]
    pub fn kind(&self) -> KeptKind {
        match &self.thing {
            KeptThing::Image { .. } => KeptKind::Image,
            KeptThing::ImageVersion { .. } => KeptKind::ImageVersion,
            KeptThing::Snapshots { .. } => KeptKind::Snapshot,
            KeptThing::Group(_) => KeptKind::Group,
            KeptThing::Template { .. } => KeptKind::Template,
            KeptThing::Account(_) => KeptKind::Account,
            KeptThing::Notice(_) => KeptKind::Notice,
        }
    }

    /// What it was called.
    #[must_use]
    pub fn name(&self) -> &Name {
        match &self.thing {
            KeptThing::Image { title, .. } => &title.name,
            KeptThing::ImageVersion { name, .. } | KeptThing::Snapshots { name, .. } => name,
            KeptThing::Group(kept) => &kept.group.name,
            KeptThing::Template { template } => &template.name,
            KeptThing::Account(kept) => &kept.name,
            KeptThing::Notice(kept) => &kept.name,
        }
    }

    /// Blobs that must not go before it does.
    pub fn digests(&self) -> impl Iterator<Item = Digest> {
        let (versions, single) = match &self.thing {
            KeptThing::Image { title, .. } => (title.versions.as_slice(), None),
            KeptThing::ImageVersion { version, .. } => (&[][..], Some(version.digest)),
            KeptThing::Snapshots { .. }
            | KeptThing::Group(_)
            | KeptThing::Template { .. }
            | KeptThing::Account(_)
            | KeptThing::Notice(_) => (&[][..], None),
        };
        versions.iter().map(|version| version.digest).chain(single)
    }

    /// Snapshots that must not go before it does.
    #[must_use]
    pub fn snapshots(&self) -> &[(VnodeId, LogIndex)] {
        match &self.thing {
            KeptThing::Snapshots { of, .. } => of,
            KeptThing::Image { .. }
            | KeptThing::ImageVersion { .. }
            | KeptThing::Group(_)
            | KeptThing::Template { .. }
            | KeptThing::Account(_)
            | KeptThing::Notice(_) => &[],
        }
    }

    /// The account that it is.
    #[must_use]
    pub fn account(&self) -> Option<&KeptAccount> {
        match &self.thing {
            KeptThing::Account(kept) => Some(kept),
            KeptThing::Image { .. }
            | KeptThing::ImageVersion { .. }
            | KeptThing::Snapshots { .. }
            | KeptThing::Group(_)
            | KeptThing::Template { .. }
            | KeptThing::Notice(_) => None,
        }
    }
}
