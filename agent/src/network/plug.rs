//! A vnode's pair of devices.

use std::slice;

use docklet_control::assignment::AssignedVnode;
use docklet_control::id::VnodeId;

use super::names::{self, MTU, bridge, container_device, host_device, upload_device};
use super::segment::speak_no_ipv6;
use super::{guard, shape};
use crate::command::run;
use crate::fault::AgentFault;

/// Makes vnodes' pairs of devices anew, before each start: the container's end dies with its namespace. The guard
/// knows a device before it is there. Several at a time cost little more than one.
///
/// # Errors
/// iproute2, tc or nftables fail.
pub fn plug(vnodes: &[AssignedVnode]) -> Result<(), AgentFault> {
    delete_devices(vnodes.iter().map(|vnode| vnode.id))?;
    guard::admit(vnodes)?;
    let pairs: String = vnodes.iter().map(pair).collect();
    run("ip", &["-batch", "-"], &pairs)?;
    for vnode in vnodes {
        speak_no_ipv6(&host_device(vnode.id))?;
    }
    shape::begin(vnodes)
}

/// Makes way for a vnode's pair of devices that is made in its place: the guard knows it, and there is none.
///
/// # Errors
/// iproute2 or nftables fail.
pub fn make_way(vnode: &AssignedVnode) -> Result<(), AgentFault> {
    delete_devices([vnode.id])?;
    guard::admit(slice::from_ref(vnode))
}

fn pair(vnode: &AssignedVnode) -> String {
    let (host, container) = (host_device(vnode.id), container_device(vnode.id));
    let (mac, bridge) = (vnode.mac, bridge(vnode.network));
    format!(
        "\
link add {host} type veth peer name {container}
link set {container} address {mac} mtu {MTU}
link set {host} master {bridge} mtu {MTU} up
"
    )
}

/// Removes a vnode's devices and what the guard lets through for it.
///
/// # Errors
/// iproute2 or nftables fail.
pub fn unplug(id: VnodeId) -> Result<(), AgentFault> {
    delete_devices([id])?;
    guard::forget(id)
}

/// Deletes vnodes' devices, if there are any. The pair may go by itself at the same moment, with the namespace of
/// a container that has just ended.
fn delete_devices(ids: impl IntoIterator<Item = VnodeId>) -> Result<(), AgentFault> {
    let of = |id| [host_device(id), container_device(id), upload_device(id)];
    let ours: Vec<String> = ids.into_iter().flat_map(of).collect();
    let one_of_them = || -> Result<Option<&String>, AgentFault> {
        let present = names::devices()?;
        Ok(ours.iter().find(|device| present.contains(*device)))
    };
    while let Some(device) = one_of_them()? {
        match run("ip", &["link", "del", device], "") {
            Err(fault) if names::devices()?.contains(device) => return Err(fault),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}
