//! Templates: what vclusters are made of that look alike, one for each of a course.

use serde::{Deserialize, Serialize};

use super::{KbitPerS, Rules, Wishes};
use crate::amount::VnodeSize;
use crate::id::{GroupId, LogIndex, UnixMs, UserId};
use crate::name::Name;

/// One of them. Its name is the cluster's: no two have the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    pub name: Name,
    /// For people; may be empty.
    pub description: String,
    /// Who published it.
    pub by: UserId,
    /// Who may make something of it; everybody if none.
    pub group: Option<GroupId>,
    pub recipe: Recipe,
    /// The entry by which it became what it is.
    pub number: LogIndex,
    pub published_at: UnixMs,
}

/// What each vcluster is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// Whose image, and what they call it. It is what that name means when a vcluster is made, and whoever gets the
    /// vcluster must be allowed to use it.
    pub image: (UserId, Name),
    pub vnodes: u32,
    pub size: VnodeSize,
    pub wishes: Wishes,
    /// The site's setting if none.
    pub bandwidth: Option<KbitPerS>,
    pub rules: Rules,
}

impl Template {
    /// Templates of one cluster.
    pub const TEMPLATES_MAX: usize = 1_000;
}
