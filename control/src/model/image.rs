//! Images: read-only root file systems, named by what is in them.

use imbl::OrdSet;
use serde::{Deserialize, Serialize};

use crate::id::{Digest, Epoch, GroupId, LogIndex, UnixMs, UserId, VnodeId, WorkerId};
use crate::name::Name;

/// How containers of an image are started and stopped. Kept in the log, not in the blob, so that there is one description only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageSpec {
    /// Arguments of the first process, an absolute path first.
    pub init: Vec<String>,
    /// Signal that asks the first process to shut down, as `SIGTERM`.
    pub stop_signal: String,
    /// How long a vnode may take to shut down before it is killed.
    pub stop_timeout_ms: u32,
}

impl Default for ImageSpec {
    fn default() -> Self {
        Self {
            init: vec!["/sbin/init".to_owned()],
            stop_signal: "SIGPWR".to_owned(),
            stop_timeout_ms: 5_000,
        }
    }
}

/// One image; a name may later point to another digest, while vnodes keep the one they were made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// SHA-256 of the blob (a zstd-compressed tar).
    pub digest: Digest,
    /// The name under which it was registered.
    pub name: Name,
    /// Size of the blob.
    pub blob_bytes: u64,
    /// How to run it.
    pub spec: ImageSpec,
    /// Who registered it.
    pub owner: UserId,
    /// One line for people.
    pub description: String,
    /// When it was registered.
    pub registered_at: UnixMs,
    /// Workers that hold the blob and verified it.
    pub holders: OrdSet<WorkerId>,
}

/// Who may see an image, beside those whom and the groups which its owner shares it with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Its owner, and whom they share it with.
    Private,
    /// Everybody.
    Public,
}

impl Visibility {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Public => "public",
        }
    }
}

/// What a person calls an image, since version 3: the name, what it means and has meant, and who may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageTitle {
    /// Whose it is.
    pub owner: UserId,
    /// Unique among the owner's; and among all that are public, if it is.
    pub name: Name,
    /// One line for people.
    pub description: String,
    pub visibility: Visibility,
    /// Who may see it beside its owner.
    pub shared_with: OrdSet<UserId>,
    /// Oldest first, at most [`ImageTitle::VERSIONS_MAX`].
    pub versions: Vec<ImageVersion>,
    /// The version that the name means now.
    pub current: Digest,
}

/// Groups whose members may see an image, by what its owner calls it. No row for one that is shared with none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageGroups {
    pub owner: UserId,
    pub name: Name,
    pub groups: OrdSet<GroupId>,
}

impl ImageGroups {
    /// Groups that one image is shared with.
    pub const GROUPS_MAX: u64 = 100;

    /// That of the image's title.
    #[must_use]
    pub fn key(&self) -> (UserId, Name) {
        (self.owner, self.name.clone())
    }
}

/// One thing that a name means or has meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageVersion {
    pub digest: Digest,
    /// What people call it; may be empty.
    pub label: String,
    pub added_at: UnixMs,
    /// Who added it.
    pub by: UserId,
}

impl ImageTitle {
    /// Versions that can be gone back to; the oldest are forgotten first.
    pub const VERSIONS_MAX: usize = 10;
    /// Names of one person.
    pub const PER_PERSON_MAX: usize = 100;

    /// Under which it is in the state.
    #[must_use]
    pub fn key(&self) -> (UserId, Name) {
        (self.owner, self.name.clone())
    }

    /// Whether the name means or has meant this.
    #[must_use]
    pub fn has(&self, digest: Digest) -> bool {
        self.versions.iter().any(|version| version.digest == digest)
    }

    /// The version before the current one.
    #[must_use]
    pub fn previous(&self) -> Option<Digest> {
        let at = self
            .versions
            .iter()
            .position(|v| v.digest == self.current)?;
        let previous = self.versions.get(at.checked_sub(1)?)?;
        Some(previous.digest)
    }
}

/// How many bytes of images one person may have, packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageQuota {
    /// As many as they like, if none.
    pub bytes: Option<u64>,
}

impl ImageQuota {
    /// What holds of everybody until an admin says something else: a dozen large systems with some versions of each.
    pub const USUAL: Self = Self {
        bytes: Some(32 << 30),
    };
    /// As many as they like.
    pub const NONE: Self = Self { bytes: None };
    /// More than any cluster of workers holds.
    pub const BYTES_MAX: u64 = 1 << 50;
}

/// What an admin set for one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserImageQuota {
    pub user: UserId,
    pub quota: ImageQuota,
}

/// How large an image that is made of a vnode may become, by what its owner may have when they ask. No row if as large
/// as it likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSaveBound {
    pub vnode: VnodeId,
    /// The entry that asked for the image.
    pub save: LogIndex,
    pub blob_bytes_max: u64,
}

/// How an image is run, beyond its [`ImageSpec`]; no row for one that says no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRun {
    pub digest: Digest,
    /// `NAME=VALUE` of its first process.
    pub environment: Vec<String>,
    /// Where its first process starts; empty for the root.
    pub directory: String,
}

/// Who shall hold an image, used or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageCopies {
    pub digest: Digest,
    /// The leader's choice, so that no lost worker loses it.
    pub copies: OrdSet<WorkerId>,
    /// An admin's wish, so that it is there before it is needed.
    pub pulled: OrdSet<WorkerId>,
}

/// A vnode of which an image is being made; of each vnode one at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSave {
    pub vnode: VnodeId,
    /// The placement that it was asked of: another one has other files.
    pub epoch: Epoch,
    /// The entry that asked: what the worker says is about this one.
    pub number: LogIndex,
    /// Who asked, and whose image it becomes.
    pub owner: UserId,
    pub name: Name,
    /// What the version will be called; may be empty.
    pub label: String,
    pub asked_at: UnixMs,
    pub seen: SaveSeen,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SaveSeen {
    /// The worker knows nothing of it yet.
    Wanted,
    /// What the worker is doing, for people.
    Working { step: String },
    /// Why there will be no image; kept until it is asked for again, or cancelled.
    Failed { cause: String },
}
