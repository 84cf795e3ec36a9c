//! Services: what listens at a port of a vnode and is opened in browsers; and visits, by which a browser may use one.

use imbl::OrdSet;
use serde::{Deserialize, Serialize};

use super::PortNumber;
use crate::id::{GroupId, SecretHash, ServiceId, UnixMs, UserId, VclusterId, VnodeId};
use crate::name::Name;

/// One service. It speaks HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    pub id: ServiceId,
    pub vnode: VnodeId,
    pub vcluster: VclusterId,
    pub owner: UserId,
    /// Unique among those of its vnode.
    pub name: Name,
    pub port: PortNumber,
    /// What links to it end with; may be empty.
    pub path: String,
    /// Whether it is told who comes.
    pub tells_user: bool,
    /// Whether the vnode's image said so; else its owner did.
    pub by_image: bool,
    pub audience: Audience,
    pub added_at: UnixMs,
}

impl Service {
    /// Services of one vcluster.
    pub const PER_VCLUSTER_MAX: usize = 16;
    /// Longest path, in bytes.
    pub const PATH_LEN_MAX: usize = 200;
}

/// Who may open a service beside its owner. Groups and people of whom one is gone may still be in it: no number means two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    /// Everybody who is logged in.
    pub everybody: bool,
    pub people: OrdSet<UserId>,
    pub groups: OrdSet<GroupId>,
}

impl Audience {
    /// People and groups of one service.
    pub const NAMES_MAX: usize = 200;
}

/// By which one browser may use one service, or, before it entered, a ticket for that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// SHA-256 of the secret that the browser holds; the secret itself is never stored.
    pub id: SecretHash,
    pub service: ServiceId,
    pub user: UserId,
    /// The login with which it ends.
    pub session: SecretHash,
    /// Whether the browser has come with it.
    pub entered: bool,
    pub opened_at: UnixMs,
    /// From when on it is worth nothing.
    pub expires_at: UnixMs,
}

impl Visit {
    /// A ticket is good for so long.
    pub const TICKET_TTL_MS: u64 = 30_000;
    /// Visits of one login; one more ends the oldest.
    pub const PER_SESSION_MAX: usize = 64;
}
