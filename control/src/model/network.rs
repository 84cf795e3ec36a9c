//! Private layer-2 segments, one for each user who has vnodes.

use std::net::Ipv4Addr;

use imbl::OrdMap;
use ipnetwork::Ipv4Network;
use serde::{Deserialize, Serialize};

use crate::id::{NetworkId, UserId, VnodeId};

/// One user's segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Identity and VXLAN network identifier.
    pub id: NetworkId,
    /// Whose it is.
    pub owner: UserId,
    /// Cut from the setting `cluster_net`; its first address is kept for the gateway.
    pub subnet: Ipv4Network,
    /// Addresses in use. An address is free again only when its vnode is gone from its worker.
    pub addresses: OrdMap<Ipv4Addr, VnodeId>,
}

impl Network {
    /// The address of the segment's gateway, the same on every worker: the first that a host may have.
    #[must_use]
    pub fn gateway_of(subnet: Ipv4Network) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(subnet.network()).saturating_add(1))
    }
}
