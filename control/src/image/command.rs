//! What can be asked of images since version 3. Texts are unchecked: decide checks them.

use serde::{Deserialize, Serialize};

use crate::id::{Digest, VnodeId, WorkerId};
use crate::model::ImageSpec;
use crate::model::image::{ImageQuota, Visibility};
use crate::report::SaveReport;

/// Asks for something of an image. `image` is its name for who asks, or `owner/name`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImageCommand {
    /// A door has brought a blob to a worker: it becomes the current version of what the asker calls so.
    Add(Box<AddImage>),
    Describe {
        image: String,
        description: String,
    },
    /// Lets one more person see and use it.
    Share {
        image: String,
        with: String,
    },
    Unshare {
        image: String,
        with: String,
    },
    /// Who may see it; what is public has a name for everybody.
    SetVisibility {
        image: String,
        visibility: Visibility,
    },
    Rename {
        image: String,
        to: String,
    },
    /// The name means another of its versions from now on; the one before if none is given.
    RollBack {
        image: String,
        to: Option<Digest>,
    },
    Delete {
        image: String,
    },
    /// Workers shall hold the current version, whether they use it or not; or need not any more.
    Pull {
        image: String,
        workers: Vec<WorkerId>,
        held: bool,
    },
    /// The leader's choice of workers that hold copies: those that shall, and those that need not any more.
    PlaceCopies {
        added: Vec<(Digest, WorkerId)>,
        dropped: Vec<(Digest, WorkerId)>,
    },
    /// Images that were registered before version 3 get the names that they had.
    NameOld,
    /// Nothing means or uses these any more.
    Forget {
        digests: Vec<Digest>,
    },
    /// An image of what is in a vnode now, under this name of the asker's.
    Save {
        vnode: VnodeId,
        name: String,
        label: String,
    },
    /// The asker does not want it any more.
    CancelSave {
        vnode: VnodeId,
    },
    /// What a worker has to say of a save that it was told of.
    ReportSave {
        worker: WorkerId,
        report: SaveReport,
    },
    /// Lets the members of a group see and use it, whoever they are at the time.
    ShareWithGroup {
        image: String,
        group: String,
    },
    UnshareFromGroup {
        image: String,
        group: String,
    },
    /// The name does not mean this version any more; it is not the current one.
    DeleteVersion {
        image: String,
        version: Digest,
    },
    /// How many bytes of images everybody may have.
    SetQuota {
        quota: ImageQuota,
    },
    /// How many one person may have, if not what everybody may.
    SetQuotaOf {
        user: String,
        quota: Option<ImageQuota>,
    },
}

/// What is said of an image that is added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddImage {
    pub name: String,
    pub digest: Digest,
    pub blob_bytes: u64,
    pub spec: ImageSpec,
    /// `NAME=VALUE` of its first process.
    pub environment: Vec<String>,
    /// Where its first process starts; empty for the root.
    pub directory: String,
    /// As it was, if absent.
    pub description: Option<String>,
    /// What people call this version; may be empty.
    pub label: String,
    /// As it was if absent; for a new name public if an admin adds it, else private.
    pub visibility: Option<Visibility>,
    /// The worker to which the door has brought the blob.
    pub held_by: WorkerId,
}

impl ImageCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Add(_) => "AddImage",
            Self::Describe { .. } => "DescribeImage",
            Self::Share { .. } => "ShareImage",
            Self::Unshare { .. } => "UnshareImage",
            Self::SetVisibility { .. } => "SetImageVisibility",
            Self::Rename { .. } => "RenameImage",
            Self::RollBack { .. } => "RollBackImage",
            Self::Delete { .. } => "DeleteImage",
            Self::Pull { .. } => "PullImage",
            Self::PlaceCopies { .. } => "PlaceImageCopies",
            Self::NameOld => "NameOldImages",
            Self::Save { .. } => "SaveVnode",
            Self::CancelSave { .. } => "CancelSaveVnode",
            Self::ReportSave { .. } => "ReportSave",
            Self::Forget { .. } => "ForgetImages",
            Self::ShareWithGroup { .. } => "ShareImageWithGroup",
            Self::UnshareFromGroup { .. } => "UnshareImageFromGroup",
            Self::DeleteVersion { .. } => "DeleteImageVersion",
            Self::SetQuota { .. } => "SetImageQuota",
            Self::SetQuotaOf { .. } => "SetImageQuotaOf",
        }
    }
}
