//! What happened to images since version 3.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::{Digest, UserId, VnodeId};
use crate::model::image::{
    ImageCopies, ImageGroups, ImageQuota, ImageRun, ImageSave, ImageSaveBound, ImageTitle,
    Visibility,
};
use crate::model::{Image, User};
use crate::name::Name;
use crate::permit;
use crate::state::State;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImageEvent {
    /// There is an image of this digest.
    Stored {
        image: Image,
    },
    /// How it is run, beyond what every image says.
    RunSet {
        run: ImageRun,
        owner: UserId,
    },
    /// A name means this from now on.
    Titled {
        title: ImageTitle,
        audience: Audience,
    },
    /// A name means nothing any more.
    Untitled {
        owner: UserId,
        name: Name,
        audience: Audience,
    },
    /// Who shall hold it.
    CopiesPlaced {
        copies: ImageCopies,
    },
    /// It is gone; whoever holds it deletes it.
    Forgotten {
        digest: Digest,
    },
    /// An image of a vnode is being made, and is so far. `of` is whose vnode it is.
    SaveSeen {
        save: ImageSave,
        of: UserId,
    },
    /// It is made, or will not be.
    SaveEnded {
        vnode: VnodeId,
        owner: UserId,
        of: UserId,
    },
    /// With which groups it is shared from now on, which may be none.
    GroupsSet {
        shared: ImageGroups,
        audience: Audience,
    },
    QuotaSet {
        quota: ImageQuota,
    },
    QuotaOfSet {
        user: UserId,
        quota: Option<ImageQuota>,
    },
    /// How large the image that is being made may become. `of` is whose vnode it is.
    SaveBounded {
        bound: ImageSaveBound,
        of: UserId,
    },
}

/// Who is told of a change of a name: whoever could see it before or can now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    pub everybody: bool,
    pub people: BTreeSet<UserId>,
}

impl Audience {
    /// Of a name that was so, and is so now.
    #[must_use]
    pub fn of<'t>(state: &State, titles: impl IntoIterator<Item = &'t ImageTitle>) -> Self {
        let mut audience = Self::default();
        for title in titles {
            audience.everybody |= title.visibility == Visibility::Public;
            audience.people.insert(title.owner);
            audience.people.extend(title.shared_with.iter().copied());
            for group in state.groups_of_image(title) {
                audience.people.extend(group.members.iter().copied());
            }
        }
        audience
    }

    fn has(&self, asker: &User) -> bool {
        self.everybody || asker.is_admin() || self.people.contains(&asker.id)
    }
}

impl ImageEvent {
    /// Whether `asker` may be told of it.
    #[must_use]
    pub fn is_for(&self, asker: &User) -> bool {
        match self {
            Self::Titled { audience, .. }
            | Self::Untitled { audience, .. }
            | Self::GroupsSet { audience, .. } => audience.has(asker),
            Self::Stored { image } => permit::owns(asker, image.owner),
            Self::RunSet { owner, .. } => permit::owns(asker, *owner),
            Self::SaveSeen { save, of } => {
                permit::owns(asker, save.owner) || permit::owns(asker, *of)
            }
            Self::SaveEnded { owner, of, .. } => {
                permit::owns(asker, *owner) || permit::owns(asker, *of)
            }
            Self::QuotaOfSet { user, .. } => permit::owns(asker, *user),
            Self::SaveBounded { of, .. } => permit::owns(asker, *of),
            // It is what many may have.
            Self::QuotaSet { .. } => true,
            Self::CopiesPlaced { .. } | Self::Forgotten { .. } => asker.is_admin(),
        }
    }
}
