//! Terminals that are shared by a link. Since version 3.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::{LogIndex, SecretHash, TerminalSession, UnixMs, UserId, VnodeId};

/// A link by which others look at one terminal of a vnode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The entry that made it.
    pub id: LogIndex,
    pub vnode: VnodeId,
    /// Who made it. It is good as long as they may go into the vnode.
    pub by: UserId,
    pub session: TerminalSession,
    /// Of what the link ends with, which nobody keeps.
    pub secret: SecretHash,
    /// Guests may type; otherwise they only look on.
    pub types: bool,
    pub until: UnixMs,
    pub made_at: UnixMs,
    /// Who has come by it: the first of them.
    pub guests: BTreeSet<UserId>,
}

impl Share {
    /// Open ones of one vnode.
    pub const PER_VNODE_MAX: usize = 8;
    /// A week.
    pub const MINUTES_MAX: u32 = 7 * 24 * 60;
    /// Guests of one of whom it is kept that they came. The audit trail has all.
    pub const GUESTS_MAX: usize = 50;
}
