//! The real machine.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use docklet_control::amount::{DiskMib, VnodeSize};
use docklet_control::assignment::{AssignedNetwork, AssignedVnode, Fabric, VclusterSecret};
use docklet_control::id::{NetworkId, UserId, VnodeId};
use docklet_control::model::{Bandwidth, ImageRun, ImageSpec, Network};

use super::{Act, Host, Observation, SeenVnode, put};
use crate::act;
use crate::arp::Asker;
use crate::arriving::{self, Arrivals, Until};
use crate::cgroup::Cgroups;
use crate::checkpoint;
use crate::config::AgentConfig;
use crate::disk::Spares;
use crate::fault::AgentFault;
use crate::gpu::Gpus;
use crate::home;
use crate::images::ImageStore;
use crate::lease::Lease;
use crate::lxc::Container;
use crate::lxc::alive::Alive;
use crate::network::dns::NameServers;
use crate::network::rules::Rules;
use crate::network::together::Together;
use crate::network::{gateway, guard, names, plug, segment, shape, space, uplink};
use crate::rootfs;
use crate::save::{self, Note, Saves};
use crate::snapshot::notes::{Places, SeenSnapshots};
use crate::vnode_dir::{StateDir, container_name};
use crate::{disk, loop_device, lxc, lxcfs, per_vnode, seccomp, snapshot};

/// An image that came within this time is no leftover: who brought it may not have told the masters yet.
const NEWS: Duration = Duration::from_secs(600);

/// This machine, as far as it is this agent's.
pub struct LinuxHost {
    pub(crate) config: AgentConfig,
    pub(crate) state: StateDir,
    pub(crate) images: ImageStore,
    pub(crate) cgroups: Cgroups,
    pub(crate) lease: Arc<Lease>,
    pub(crate) asker: Asker,
    /// For fetching images from within acts, which block.
    pub(crate) runtime: tokio::runtime::Handle,
    /// What vnodes may be given of.
    pub(crate) gpus: Gpus,
    pub(crate) saves: Saves,
    /// Empty disks for the next vnodes.
    pub(crate) spares: Spares,
    /// Vnodes that come from other workers.
    pub(crate) arrivals: Arrivals,
    /// How much is in homes that workers share.
    pub(crate) used: home::Used,
    _watching: Option<home::used::Watching>,
    name_servers: NameServers,
    /// Vnodes that are plugged in at the same time, and not in their places.
    pub(crate) plugging: Together<AssignedVnode>,
    /// Vnodes of which memory or all that runs is being written.
    pub(crate) writing: checkpoint::Turns,
    pub(crate) alive: Alive,
    rules: Rules,
}

/// What an earlier process did not live to finish: a container that stands still goes on, and one whose start was cut
/// short gets its CPU quota.
fn take_up_containers(state: &StateDir, cgroups: &Cgroups) -> Result<(), AgentFault> {
    for id in state.vnodes()? {
        let container = Container::open(&state.lxc_path(), &container_name(id))?;
        if container.is_frozen() {
            container.thaw()?;
        }
        if container.is_running()
            && let Some(placed) = state.placed(id)
        {
            cgroups.make_good(id, placed.size)?;
        }
    }
    Ok(())
}

impl LinuxHost {
    /// Takes up what an earlier agent left. Must be called within a runtime.
    ///
    /// # Errors
    /// The state directory cannot be used.
    pub fn open(config: AgentConfig) -> Result<Self, AgentFault> {
        lxc::version()?;
        let state = StateDir(config.state_dir.clone());
        state.create()?;
        segment::keep_bridges_apart()?;
        if names::segments(&names::devices()?).is_empty() && state.gateways()?.is_empty() {
            // Rules of a segment that was never made.
            guard::remove()?;
            uplink::remove()?;
        }
        seccomp::write(&state.seccomp())?;
        if !disk::grow::works_mounted() {
            tracing::warn!(
                "without CAP_SYS_RESOURCE disks of vnodes that run do not grow before they start anew"
            );
        }
        if let Err(fault) = per_vnode::make_room() {
            tracing::warn!(fault = fault.full_text(), "vnodes may lack kernel objects");
        }
        let runtime = tokio::runtime::Handle::current();
        snapshot::thaw_all(&state)?;
        let cgroups = Cgroups::of_machine(&config.cgroup_prefix);
        checkpoint::take_up(&state, &cgroups)?;
        take_up_containers(&state, &cgroups)?;
        let used = home::Used::default();
        let lease = Lease::open(&state, &cgroups, config.helpers.program().to_owned())?;
        Ok(Self {
            _watching: home::used::watch(&runtime, &state, &config.homes, &used),
            used,
            lease: Arc::new(lease),
            cgroups,
            asker: Asker::open()?,
            gpus: Gpus::watch(config.gpus.clone())?,
            images: ImageStore::open(state.images())?,
            name_servers: NameServers::new(runtime.clone(), config.resolv_conf.clone()),
            plugging: Together::default(),
            writing: checkpoint::Turns::default(),
            alive: Alive::default(),
            rules: Rules::default(),
            saves: Saves::default(),
            spares: Spares::open(&state)?,
            arrivals: Arrivals::default(),
            runtime,
            state,
            config,
        })
    }

    /// The images of this worker.
    #[must_use]
    pub fn images(&self) -> &ImageStore {
        &self.images
    }

    /// The lease of this worker.
    #[must_use]
    pub fn lease(&self) -> &Arc<Lease> {
        &self.lease
    }

    /// The GPUs of this worker.
    #[must_use]
    pub fn gpus(&self) -> &Gpus {
        &self.gpus
    }

    /// The state directory.
    #[must_use]
    pub fn state(&self) -> &StateDir {
        &self.state
    }

    /// What there is of one vnode.
    pub(crate) fn seen(&self, id: VnodeId) -> Result<SeenVnode, AgentFault> {
        let placed = self.state.placed(id);
        let running = self.alive.runs(id, || {
            let container = Container::open(&self.state.lxc_path(), &container_name(id))?;
            Ok(container.init_pid().filter(|_| container.is_running()))
        })?;
        Ok(SeenVnode {
            epoch: placed.as_ref().map(|placed| placed.epoch),
            running,
            orphaned: !running && self.cgroups.has_processes(id)?,
            mounted: loop_device::is_open_to_write(&self.state.disk_file(id))?,
            size: placed
                .as_ref()
                .map(|placed| placed.size)
                .unwrap_or_default(),
            bandwidth: placed
                .as_ref()
                .map(|placed| placed.bandwidth)
                .unwrap_or_default(),
            disk_mib: placed
                .as_ref()
                .map(|placed| placed.disk_mib)
                .unwrap_or_default(),
            home_mib: placed.as_ref().and_then(|placed| placed.home_mib),
            secret: placed.as_ref().and_then(|placed| placed.secret.clone()),
            hosts: placed.map(|placed| placed.hosts).unwrap_or_default(),
        })
    }

    /// Vnodes of which there is anything: also one of which nothing is left but processes.
    fn vnodes(&self) -> Result<BTreeSet<VnodeId>, AgentFault> {
        let with_files = self.state.vnodes()?.into_iter();
        Ok(with_files.chain(self.cgroups.vnodes()?).collect())
    }

    fn observe_vnode(&self, seen: &mut Observation, id: VnodeId) -> Result<(), AgentFault> {
        seen.vnodes.insert(id, self.seen(id)?);
        put(&mut seen.saves, id, Note::read(&self.state, id));
        let snapshots = Places::of(&self.state, id).look()?;
        let any = snapshots != SeenSnapshots::default();
        put(&mut seen.snapshots, id, any.then_some(snapshots));
        Ok(())
    }

    fn observe_images(&self, seen: &mut Observation) -> Result<(), AgentFault> {
        seen.images = self.images.list()?.into_iter().collect();
        seen.new_images = self.images.younger_than(NEWS)?.into_iter().collect();
        seen.begun_images = self.images.begun()?.into_iter().collect();
        seen.coming_images = self.images.progress();
        Ok(())
    }

    pub(crate) fn hosts_file(&self, id: VnodeId) -> PathBuf {
        self.state.vnode(id).join("etc").join("hosts")
    }

    fn write_hosts(&self, id: VnodeId, hosts: &[(String, Ipv4Addr)]) -> Result<(), AgentFault> {
        let Some(mut placed) = self.state.placed(id) else {
            return Err(AgentFault::NotHere(id.0));
        };
        // The file is mounted into the container: it must stay the same file, so it is rewritten in place.
        let path = self.hosts_file(id);
        fs::write(&path, act::hosts_text(hosts)).map_err(AgentFault::file("write", path))?;
        placed.hosts = hosts.to_vec();
        self.state.remember(&placed)
    }

    fn write_keys(&self, id: VnodeId, secret: &VclusterSecret) -> Result<(), AgentFault> {
        let Some(mut placed) = self.state.placed(id) else {
            return Err(AgentFault::NotHere(id.0));
        };
        home::write_keys(&self.state, &placed, secret)?;
        placed.secret = Some(secret.clone());
        self.state.remember(&placed)
    }

    fn remove(&self, id: VnodeId) -> Result<(), AgentFault> {
        act::stop(self, id, 0)?;
        plug::unplug(id)?;
        rootfs::remove(&self.state, id)
    }

    /// What was written of it when it left, or was to leave, goes on; otherwise it begins.
    fn start(
        &self,
        vnode: &AssignedVnode,
        spec: &ImageSpec,
        run: Option<&ImageRun>,
    ) -> Result<(), AgentFault> {
        if checkpoint::waits(&self.state, vnode.id)? {
            return checkpoint::resume(self, vnode, spec, run);
        }
        act::start(self, vnode, spec, run)
    }

    /// What was written is in the disk's file then, and stays as it is.
    fn release(&self, id: VnodeId) -> Result<(), AgentFault> {
        rootfs::unmount(&self.state.rootfs(id))?;
        snapshot::end_look(&self.state, id)?;
        disk::let_go(&self.state, id)?;
        plug::unplug(id)
    }

    fn limit(&self, id: VnodeId, bandwidth: Bandwidth) -> Result<(), AgentFault> {
        let Some(mut placed) = self.state.placed(id) else {
            return Err(AgentFault::NotHere(id.0));
        };
        shape::limit(id, bandwidth)?;
        placed.bandwidth = bandwidth;
        self.state.remember(&placed)
    }

    fn grow_disk(&self, id: VnodeId, size: DiskMib) -> Result<(), AgentFault> {
        let Some(mut placed) = self.state.placed(id) else {
            return Err(AgentFault::NotHere(id.0));
        };
        disk::grow::mounted(&self.state, id, size)?;
        placed.disk_mib = size;
        self.state.remember(&placed)
    }

    fn size_home(&self, id: VnodeId, user: UserId, size: DiskMib) -> Result<(), AgentFault> {
        let Some(mut placed) = self.state.placed(id) else {
            return Err(AgentFault::NotHere(id.0));
        };
        home::quota::resize(&self.config.homes, user, size)?;
        placed.home_mib = Some(size);
        self.state.remember(&placed)
    }

    fn resize(&self, id: VnodeId, size: VnodeSize) -> Result<(), AgentFault> {
        let Some(mut placed) = self.state.placed(id) else {
            return Err(AgentFault::NotHere(id.0));
        };
        self.cgroups.relimit(id, size)?;
        placed.size = size;
        self.state.remember(&placed)
    }

    /// The guard first: at no moment is there a segment without it.
    fn ensure_network(&self, network: &AssignedNetwork, fabric: &Fabric) -> Result<(), AgentFault> {
        let vnodes = self.state.vnodes()?;
        let placed = vnodes.iter().filter_map(|id| self.state.placed(*id));
        let members: Vec<AssignedVnode> =
            placed.filter(|vnode| vnode.network == network.id).collect();
        let gateway = network.subnet.map(Network::gateway_of);
        guard::ensure(network.id, gateway, &members)?;
        segment::ensure(network, self.config.underlay)?;
        let path = self.state.gateway(network.id);
        if let Some(link) = gateway::ensure(&path, network, fabric)? {
            uplink::ensure(link, &network.ports, fabric)?;
            self.name_servers.ensure(&path, network)?;
        }
        Ok(())
    }

    /// The last segment takes our rules with it.
    fn remove_network(&self, id: NetworkId) -> Result<(), AgentFault> {
        self.name_servers.stop(id);
        uplink::close(id)?;
        gateway::remove(&self.state.gateway(id), id)?;
        segment::remove(id)?;
        guard::forget_segment(id)?;
        let left = &names::segments(&names::devices()?) | &self.state.gateways()?;
        if left.is_empty() {
            guard::remove()?;
            uplink::remove()?;
        }
        Ok(())
    }

    /// Segments of which a device, the gateway or our rules are missing. One that was made by an agent or for a master
    /// too old to know gateways is whole without.
    fn torn(
        &self,
        networks: &BTreeSet<NetworkId>,
        gateways: &BTreeSet<NetworkId>,
        devices: &BTreeSet<String>,
    ) -> Result<BTreeSet<NetworkId>, AgentFault> {
        if !networks.is_empty() && !self.rules.are_there(!gateways.is_empty(), Instant::now())? {
            return Ok(networks.clone());
        }
        let whole = |id: &NetworkId| {
            let path = self.state.gateway(*id);
            let gateway = [names::gateway_port(*id), names::gateway_link(*id)];
            let segment = [names::bridge(*id), names::vxlan(*id)];
            let has_gateway = !gateways.contains(id)
                || space::is_held(&path) && gateway.iter().all(|name| devices.contains(name));
            has_gateway && segment.iter().all(|name| devices.contains(name))
        };
        Ok(networks.iter().filter(|id| !whole(id)).copied().collect())
    }

    fn prepare(&self, vnode: &AssignedVnode) -> Result<(), AgentFault> {
        act::prepare(self, vnode)
    }
}

impl Host for LinuxHost {
    fn observe(&self) -> Result<Observation, AgentFault> {
        let devices = names::devices()?;
        let gateways = self.state.gateways()?;
        let mut seen = Observation {
            homes: home::quota::mounted(&self.config.homes)?
                .into_iter()
                .collect(),
            networks: &names::segments(&devices) | &gateways,
            grows_disks: disk::grow::works_mounted(),
            ..Observation::default()
        };
        self.observe_images(&mut seen)?;
        self.arrivals.observe(&self.state, &mut seen)?;
        for id in self.vnodes()? {
            self.observe_vnode(&mut seen, id)?;
        }
        seen.torn = self.torn(&seen.networks, &gateways, &devices)?;
        Ok(seen)
    }

    fn observe_again(
        &self,
        seen: &mut Observation,
        vnodes: &BTreeSet<VnodeId>,
    ) -> Result<(), AgentFault> {
        self.observe_images(seen)?;
        self.arrivals.observe(&self.state, seen)?;
        for id in vnodes {
            put(&mut seen.vnodes, *id, None);
            put(&mut seen.saves, *id, None);
            put(&mut seen.snapshots, *id, None);
            if self.state.vnode(*id).exists() || self.cgroups.has(*id)? {
                self.observe_vnode(seen, *id)?;
            }
        }
        Ok(())
    }

    fn act(&self, act: &Act) -> Result<(), AgentFault> {
        match act {
            Act::EnsureNetwork(network, fabric) => self.ensure_network(network, fabric),
            Act::TellNames(id, zones) => {
                self.name_servers.tell(*id, zones.clone());
                Ok(())
            }
            Act::RemoveNetwork(id) => self.remove_network(*id),
            Act::FetchImage(image) => act::fetch_image(self, image),
            Act::Prepare(vnode) => self.prepare(vnode),
            Act::Start(vnode, spec, run) => self.start(vnode, spec, run.as_ref()),
            Act::Stop(id, spec) => act::stop(self, *id, spec.stop_timeout_ms),
            Act::WriteHosts(id, hosts) => self.write_hosts(*id, hosts),
            Act::LimitBandwidth(id, bandwidth) => self.limit(*id, *bandwidth),
            Act::GrowDisk(id, size) => self.grow_disk(*id, *size),
            Act::SizeHome(id, user, size) => self.size_home(*id, *user, *size),
            Act::SweepHomes(used) => home::quota::sweep(&self.config.homes, used),
            Act::Resize(id, size) => self.resize(*id, *size),
            Act::WriteKeys(id, secret) => self.write_keys(*id, secret),
            Act::Remove(id) => self.remove(*id),
            Act::Save(vnode, save) => save::save(self, vnode, *save),
            Act::CancelSave(save) => {
                self.saves.cancel(save);
                Ok(())
            }
            Act::TakeSnapshot(vnode, number) => snapshot::take(self, vnode, *number),
            Act::DeleteSnapshot(id, number) => snapshot::delete(&self.state, *id, *number),
            Act::Restore(vnode, restore) => snapshot::restore(self, vnode, *restore),
            Act::Checkpoint(vnode) => checkpoint::checkpoint(self, vnode),
            Act::Release(id) => self.release(*id),
            Act::Copy(arrival) => arriving::copy(self, arrival, Until::Near),
            Act::CopyRest(arrival) => arriving::copy(self, arrival, Until::Whole),
            Act::CancelCopy(vnode, number) => {
                self.arrivals.cancel((*vnode, *number));
                Ok(())
            }
            Act::ForgetArrival(vnode, number) => arriving::forget(self, (*vnode, *number)),
            Act::Adopt(vnode, number, root) => arriving::adopt(self, (*vnode, *number), *root),
            Act::RemoveImage(digest) => {
                rootfs::unmount_lowers(&self.state, *digest)?;
                self.images.remove_old(*digest, NEWS)
            }
            Act::SweepImages(used) => rootfs::sweep_lower(&self.state, used),
        }
    }

    fn expect(&self) {
        lxcfs::look_up_ahead();
    }

    fn make_ahead(&self) -> Result<(), AgentFault> {
        self.spares.make(&self.state)
    }
}
