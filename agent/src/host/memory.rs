//! A machine in memory: the same acts, no side effects, faults on demand.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Act, Host, Observation, SeenArrival, SeenVnode, put};
use crate::fault::AgentFault;
use crate::save::Note;
use docklet_control::assignment::AssignedVnode;
use docklet_control::assignment::moves::AssignedArrival;
use docklet_control::id::VnodeId;
use docklet_control::report::{Saved, SnapshotTold};

/// The machine.
#[derive(Default)]
pub struct MemoryHost {
    seen: Mutex<Observation>,
    /// Steps that fail, as [`Act::step`] names them.
    failing: Mutex<BTreeSet<&'static str>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryHost {
    /// Lets acts of this step fail, or succeed again.
    pub fn fail(&self, step: &'static str, fails: bool) {
        if fails {
            lock(&self.failing).insert(step);
        } else {
            lock(&self.failing).remove(step);
        }
    }

    /// The vnode's init ends by itself.
    pub fn crash(&self, id: VnodeId) {
        if let Some(vnode) = lock(&self.seen).vnodes.get_mut(&id) {
            vnode.running = false;
        }
    }
}

impl MemoryHost {
    /// The vnode's monitor dies, and what runs in it goes on.
    pub fn orphan(&self, id: VnodeId) {
        if let Some(vnode) = lock(&self.seen).vnodes.get_mut(&id) {
            vnode.running = false;
            vnode.orphaned = true;
        }
    }
}

impl Host for MemoryHost {
    fn observe(&self) -> Result<Observation, AgentFault> {
        Ok(lock(&self.seen).clone())
    }

    fn observe_again(
        &self,
        seen: &mut Observation,
        vnodes: &BTreeSet<VnodeId>,
    ) -> Result<(), AgentFault> {
        let now = lock(&self.seen);
        for id in vnodes {
            put(&mut seen.vnodes, *id, now.vnodes.get(id).cloned());
            put(&mut seen.saves, *id, now.saves.get(id).cloned());
            put(&mut seen.snapshots, *id, now.snapshots.get(id).cloned());
        }
        seen.arrivals.clone_from(&now.arrivals);
        seen.images.clone_from(&now.images);
        seen.begun_images.clone_from(&now.begun_images);
        Ok(())
    }

    fn act(&self, act: &Act) -> Result<(), AgentFault> {
        if lock(&self.failing).contains(act.step()) {
            return Err(AgentFault::Lxc("failed as it was told to".to_owned()));
        }
        let mut seen = lock(&self.seen);
        match act {
            Act::EnsureNetwork(network, _) => {
                seen.networks.insert(network.id);
            }
            Act::TellNames(..) => {}
            Act::RemoveNetwork(id) => {
                seen.networks.remove(id);
            }
            Act::FetchImage(image) => {
                seen.images.insert(image.digest);
            }
            Act::Prepare(vnode) => {
                let prepared = SeenVnode {
                    epoch: Some(vnode.epoch),
                    running: false,
                    orphaned: false,
                    mounted: true,
                    hosts: vnode.hosts.clone(),
                    size: vnode.size,
                    bandwidth: vnode.bandwidth,
                    disk_mib: vnode.disk_mib,
                    home_mib: vnode.home_mib,
                    secret: vnode.secret.clone(),
                };
                if vnode.home_mib.is_some() {
                    seen.homes.insert(vnode.owner);
                }
                seen.vnodes.insert(vnode.id, prepared);
            }
            Act::Start(vnode, ..) => set_running(&mut seen, vnode.id, true)?,
            Act::Stop(id, _) => set_running(&mut seen, *id, false)?,
            Act::WriteHosts(id, hosts) => {
                if let Some(vnode) = seen.vnodes.get_mut(id) {
                    vnode.hosts.clone_from(hosts);
                }
            }
            Act::LimitBandwidth(id, bandwidth) => {
                if let Some(vnode) = seen.vnodes.get_mut(id) {
                    vnode.bandwidth = *bandwidth;
                }
            }
            Act::GrowDisk(id, size) => {
                if let Some(vnode) = seen.vnodes.get_mut(id) {
                    vnode.disk_mib = *size;
                }
            }
            Act::SizeHome(id, _, size) => {
                if let Some(vnode) = seen.vnodes.get_mut(id) {
                    vnode.home_mib = Some(*size);
                }
            }
            Act::SweepHomes(used) => seen.homes.retain(|user| used.contains(user)),
            Act::Resize(id, size) => {
                if let Some(vnode) = seen.vnodes.get_mut(id) {
                    vnode.size = *size;
                }
            }
            Act::WriteKeys(id, secret) => {
                if let Some(vnode) = seen.vnodes.get_mut(id) {
                    vnode.secret = Some(secret.clone());
                }
            }
            Act::Remove(id) => {
                seen.vnodes.remove(id);
                seen.snapshots.remove(id);
            }
            Act::Save(vnode, save) => {
                let saved = Saved::Done {
                    digest: vnode.image,
                    blob_bytes: 1,
                };
                seen.saves.insert(vnode.id, Note { save: *save, saved });
            }
            Act::TakeSnapshot(vnode, number) => {
                let snapshots = seen.snapshots.entry(vnode.id).or_default();
                snapshots.keep(*number, taken(vnode));
            }
            Act::DeleteSnapshot(id, number) => {
                let snapshots = seen.snapshots.entry(*id).or_default();
                snapshots.numbers.remove(number);
                snapshots.told.remove(number);
            }
            Act::Restore(vnode, restore) => {
                let snapshots = seen.snapshots.entry(vnode.id).or_default();
                snapshots.keep(restore.number, taken(vnode));
                snapshots.restored = Some((restore.number, SnapshotTold::Restored));
            }
            Act::Checkpoint(vnode) => set_running(&mut seen, vnode.id, false)?,
            Act::Release(id) => {
                if let Some(vnode) = seen.vnodes.get_mut(id) {
                    vnode.mounted = false;
                }
            }
            Act::Copy(arrival) => {
                let here = arrived(&mut seen, arrival);
                here.near = true;
            }
            Act::CopyRest(arrival) => {
                let here = arrived(&mut seen, arrival);
                here.whole = true;
            }
            Act::ForgetArrival(vnode, number) | Act::Adopt(vnode, number, _) => {
                seen.arrivals.remove(&(*vnode, *number));
            }
            Act::RemoveImage(digest) => {
                seen.images.remove(digest);
                seen.begun_images.remove(digest);
            }
            Act::SweepImages(_) | Act::CancelSave(_) | Act::CancelCopy(..) => {}
        }
        Ok(())
    }
}

fn arrived<'s>(seen: &'s mut Observation, arrival: &AssignedArrival) -> &'s mut SeenArrival {
    let key = (arrival.vnode, arrival.number);
    seen.arrivals.entry(key).or_default()
}

fn taken(vnode: &AssignedVnode) -> SnapshotTold {
    SnapshotTold::Taken {
        disk_mib: vnode.disk_mib,
        used_bytes: 1,
        still_us: 1,
    }
}

fn set_running(seen: &mut Observation, id: VnodeId, running: bool) -> Result<(), AgentFault> {
    let vnode = seen.vnodes.get_mut(&id).ok_or(AgentFault::NotHere(id.0))?;
    vnode.running = running;
    vnode.orphaned = false;
    Ok(())
}
