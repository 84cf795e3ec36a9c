//! A vnode's pair of devices.

use docklet_control::assignment::AssignedVnode;
use docklet_control::id::VnodeId;

use super::names::{self, MTU, bridge, container_device, host_device, upload_device};
use super::segment::speak_no_ipv6;
use super::{guard, shape};
use crate::command::run;
use crate::fault::AgentFault;

/// Makes a vnode's pair of devices anew, before each start: the container's end dies with its namespace. The guard
/// knows the device before it is there.
///
/// # Errors
/// iproute2, tc or nftables fail.
pub fn plug(vnode: &AssignedVnode) -> Result<(), AgentFault> {
    delete_devices(vnode.id)?;
    guard::admit(vnode)?;
    let (host, container) = (host_device(vnode.id), container_device(vnode.id));
    let (mac, bridge) = (vnode.mac, bridge(vnode.network));
    let mut batch = String::new();
    batch += &format!("link add {host} type veth peer name {container}\n");
    batch += &format!("link set {container} address {mac} mtu {MTU}\n");
    batch += &format!("link set {host} master {bridge} mtu {MTU} up\n");
    run("ip", &["-batch", "-"], &batch)?;
    speak_no_ipv6(&host)?;
    shape::limit(vnode.id, vnode.bandwidth)
}

/// Removes a vnode's devices and what the guard lets through for it.
///
/// # Errors
/// iproute2 or nftables fail.
pub fn unplug(id: VnodeId) -> Result<(), AgentFault> {
    delete_devices(id)?;
    guard::forget(id)
}

/// Deletes a vnode's devices, if there are any. The pair may go by itself at the same moment, with the namespace of
/// a container that has just ended.
fn delete_devices(id: VnodeId) -> Result<(), AgentFault> {
    let ours = [host_device(id), container_device(id), upload_device(id)];
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
