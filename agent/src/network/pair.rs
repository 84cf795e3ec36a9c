//! A vnode's pair of devices with one end made within the vnode's network.
//!
//! Who moves a device from one network namespace to another waits until the kernel has run all that it has put off (a
//! barrier of its RCU), 13 ms at the median, and nobody else on the machine changes a device meanwhile. A device that is made
//! where it is to be is there at once. For the single-threaded helper only.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;

use docklet_control::assignment::AssignedVnode;
use docklet_control::model::vnode::MacAddress;
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, setns};
use serde::{Deserialize, Serialize};

use super::names::{MTU, bridge, host_device};
use super::netlink::Message;
use super::route::Route;
use super::segment::speak_no_ipv6;
use crate::fault::AgentFault;

/// What a vnode's device is called in it.
pub(crate) const INSIDE: &str = "eth0";
const LOOPBACK: &str = "lo";

/// A vnode's devices as they are to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    host: String,
    bridge: String,
    mac: MacAddress,
    address: Ipv4Addr,
    prefix: u8,
    gateway: Ipv4Addr,
}

impl Pair {
    /// That of a vnode. What limits it is not part of it.
    #[must_use]
    pub fn of(vnode: &AssignedVnode) -> Self {
        Self {
            host: host_device(vnode.id),
            bridge: bridge(vnode.network),
            mac: vnode.mac,
            address: vnode.address,
            prefix: vnode.prefix,
            gateway: vnode.gateway(),
        }
    }

    /// Makes it, with one end in this network namespace and the other on the bridge in the caller's, and sets the first one up.
    /// The caller does not come back from there.
    ///
    /// # Errors
    /// The kernel refuses a part of it: then there may be some of it.
    pub fn make(&self, within: File) -> Result<(), AgentFault> {
        let named = || AgentFault::file("make the devices of a vnode with", self.host.clone());
        self.make_both(&within).map_err(named())?;
        speak_no_ipv6(&self.host)?;
        self.join_bridge().map_err(named())?;
        setns(within, CloneFlags::CLONE_NEWNET).map_err(io::Error::from)?;
        self.set_up().map_err(AgentFault::file(
            "set up the network of a vnode with",
            self.host.clone(),
        ))
    }

    fn make_both(&self, within: &File) -> io::Result<()> {
        let mut message = Message::new_link();
        message.name(&self.host).mtu(MTU);
        message.pair(|other| {
            other.name(INSIDE).mtu(MTU).hardware(self.mac.0);
            other.within(within.as_raw_fd());
        });
        Route::open()?.ask(message)
    }

    fn join_bridge(&self) -> io::Result<()> {
        let index = if_nametoindex(self.host.as_str())?;
        let mut message = Message::up(index);
        message.master(if_nametoindex(self.bridge.as_str())?);
        Route::open()?.ask(message)
    }

    /// From within.
    fn set_up(&self) -> io::Result<()> {
        let route = Route::open()?;
        let index = if_nametoindex(INSIDE)?;
        route.ask(Message::address(index, self.address, self.prefix))?;
        for up in [index, if_nametoindex(LOOPBACK)?] {
            route.ask(Message::up(up))?;
        }
        route.ask(Message::way_out(index, self.gateway))
    }
}
