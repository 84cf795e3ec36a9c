//! Ports of vnodes that are open to the outside: traffic to a public port of the vnode's worker goes to the vnode.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::id::{UnixMs, UserId, VclusterId, VnodeId};

/// What is spoken at a port.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Default,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
}

impl Protocol {
    /// As nftables and people write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

/// Number of a TCP or UDP port.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct PortNumber(pub u16);

impl fmt::Display for PortNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A port that the outside sees: each is given out once in the whole cluster, so that a vnode keeps it wherever it
/// goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublicPort {
    pub protocol: Protocol,
    pub number: PortNumber,
}

impl PublicPort {
    /// The first in order.
    pub const LEAST: Self = Self {
        protocol: Protocol::Tcp,
        number: PortNumber(0),
    };
    /// The last in order.
    pub const GREATEST: Self = Self {
        protocol: Protocol::Udp,
        number: PortNumber(u16::MAX),
    };
    /// All that are given out. Below the range from which Linux takes ports for outgoing connections, and below that
    /// of Kubernetes, which may share a worker.
    pub const RANGE: RangeInclusive<u16> = 20_000..=29_999;
}

impl fmt::Display for PublicPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.number, self.protocol)
    }
}

/// One port of a vnode, open to the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// How the outside asks for it.
    pub public: PublicPort,
    /// Where it leads to.
    pub vnode: VnodeId,
    /// The vnode's own port, of the same protocol.
    pub number: PortNumber,
    pub vcluster: VclusterId,
    pub owner: UserId,
    pub added_at: UnixMs,
}

impl Port {
    /// Most public ports of one person.
    pub const PER_OWNER_MAX: usize = 256;
}
