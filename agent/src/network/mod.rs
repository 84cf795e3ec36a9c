//! Segments, gateways and vnodes' devices, through iproute2, tc and nftables.
//!
//! ```text
//!  worker's network namespace                                        gateway's namespace
//!  ┌────────────────────────────────────────────────────────┐        ┌──────────────────────┐
//!  │ dkh7 ─┐                                                │        │ 10.64.0.1            │
//!  │ dkh9 ─┼─ dkb5 ─┬─ dkx5 ═ VXLAN to the other workers    │        │ forwards, NAT, DNS   │
//!  │       │        └─ dkn5 ────────────────────────────────┼────────┼─ in0                 │
//!  │ uplink ─ forwards, NAT, public ports ─ dkg5 ───────────┼────────┼─ out0 100.64.0.1     │
//!  └────────────────────────────────────────────────────────┘        └──────────────────────┘
//! ```
//!
//! A segment is a bridge without an address (`dkb5`) and a VXLAN device (`dkx5`) that sends to the other workers one
//! by one. A vnode has a pair of devices: `dkh7` on the bridge, and the container's, which is made there ([`pair`]) or
//! is `dkc7` until liblxc moves it; `dku7` shapes what the vnode sends. What enters the bridge from a vnode must bear
//! the vnode's own addresses ([`guard`]). The gateway of a segment is a namespace of its own on each worker that has vnodes of it ([`gateway`]), so that two users may have the same
//! addresses, and so that nothing of a vnode's is ever routed by the worker before our own rules have seen it. The
//! worker's part of the way out, and of public ports, is in [`uplink`]. Everything is made by names that follow from
//! ids: whatever a crash leaves is found by [`names`] and repaired or removed.

pub mod counters;
pub mod dns;
mod element;
pub mod gateway;
pub mod generation;
pub mod guard;
pub mod names;
mod netlink;
pub mod pair;
pub mod plug;
mod route;
pub mod rules;
pub mod segment;
pub mod shape;
pub mod space;
pub mod together;
pub mod uplink;

use crate::command::run;
use crate::fault::AgentFault;

/// Hands commands to nftables: all of them take effect at one moment, or none.
fn nft(commands: &str) -> Result<(), AgentFault> {
    run("nft", &["-f", "-"], commands).map(|_| ())
}

/// What a set or map of ours holds, element by element, as nftables writes them; nothing if there is no such table.
fn elements(kind: &str, table: &[&str; 2], name: &str) -> Vec<String> {
    let Ok(listing) = run("nft", &["list", kind, table[0], table[1], name], "") else {
        return Vec::new();
    };
    let Some((_, elements)) = listing.split_once("elements = {") else {
        return Vec::new();
    };
    let elements = elements.split('}').next().unwrap_or_default();
    elements
        .split(',')
        .map(|element| element.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|element| !element.is_empty())
        .collect()
}
