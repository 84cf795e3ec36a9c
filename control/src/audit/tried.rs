//! What a master's door refused: counted by the door, and noted in the trail for whoever it was about.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::event::VclusterRef;
use crate::id::{UserId, VclusterId};
use crate::name::Name;

/// Refused at one door so often, to one person or address, for one reason, about one thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tried {
    /// Who was logged in; none if nobody was.
    pub by: Option<UserId>,
    pub from: IpAddr,
    /// What was asked for: the method and the route, never what somebody wrote into it.
    pub what: String,
    /// The code of the refusal.
    pub code: String,
    pub of: Option<TriedOf>,
    pub times: u32,
}

/// What it was about, if there is such a thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriedOf {
    Vcluster(VclusterId),
    Image {
        owner: UserId,
        name: Name,
    },
    /// An account into which somebody wanted to log in.
    User(UserId),
}

/// The same with its owner, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriedThing {
    Vcluster(VclusterRef),
    Image { owner: UserId, name: Name },
    User(UserId),
}

impl TriedThing {
    /// Who is told of it.
    #[must_use]
    pub fn owner(&self) -> UserId {
        match self {
            Self::Vcluster(about) => about.owner,
            Self::Image { owner, .. } => *owner,
            Self::User(user) => *user,
        }
    }
}
