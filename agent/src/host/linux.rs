//! The real machine.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use docklet_control::assignment::AssignedVnode;
use docklet_control::id::VnodeId;

use super::{Act, Host, Observation, SeenVnode};
use crate::act;
use crate::config::AgentConfig;
use crate::fault::AgentFault;
use crate::images::ImageStore;
use crate::lxc::Container;
use crate::vnode_dir::{StateDir, container_name};
use crate::{network, rootfs};

/// This machine, as far as it is this agent's.
pub struct LinuxHost {
    pub(crate) config: AgentConfig,
    pub(crate) state: StateDir,
    pub(crate) images: ImageStore,
    /// For fetching images from within acts, which block.
    pub(crate) runtime: tokio::runtime::Handle,
}

impl LinuxHost {
    /// Takes up what an earlier agent left. Must be called within a runtime.
    ///
    /// # Errors
    /// The state directory cannot be used.
    pub fn open(config: AgentConfig) -> Result<Self, AgentFault> {
        let state = StateDir(config.state_dir.clone());
        state.create()?;
        network::keep_bridges_apart()?;
        Ok(Self {
            images: ImageStore::open(state.images())?,
            runtime: tokio::runtime::Handle::current(),
            state,
            config,
        })
    }

    /// The images of this worker.
    #[must_use]
    pub fn images(&self) -> &ImageStore {
        &self.images
    }

    /// The state directory.
    #[must_use]
    pub fn state(&self) -> &StateDir {
        &self.state
    }

    /// What there is of one vnode.
    pub(crate) fn seen(&self, id: VnodeId) -> Result<SeenVnode, AgentFault> {
        let placed = self.state.placed(id);
        let container = Container::open(&self.state.lxc_path(), &container_name(id))?;
        Ok(SeenVnode {
            epoch: placed.as_ref().map(|placed| placed.epoch),
            running: container.is_running() && container.init_pid().is_some(),
            hosts: placed.map(|placed| placed.hosts).unwrap_or_default(),
        })
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

    fn remove(&self, id: VnodeId) -> Result<(), AgentFault> {
        act::stop(self, id, 0)?;
        network::unplug(id)?;
        rootfs::remove(&self.state, id)
    }

    fn prepare(&self, vnode: &AssignedVnode) -> Result<(), AgentFault> {
        act::prepare(self, vnode)
    }
}

impl Host for LinuxHost {
    fn observe(&self) -> Result<Observation, AgentFault> {
        let devices = network::devices()?;
        let mut seen = Observation {
            networks: network::segments(&devices),
            images: self.images.list()?.into_iter().collect(),
            ..Observation::default()
        };
        for id in self.state.vnodes()? {
            seen.vnodes.insert(id, self.seen(id)?);
        }
        Ok(seen)
    }

    fn act(&self, act: &Act) -> Result<(), AgentFault> {
        match act {
            Act::EnsureNetwork(network) => network::ensure_segment(network, self.config.underlay),
            Act::RemoveNetwork(id) => network::remove_segment(*id),
            Act::FetchImage(image) => act::fetch_image(self, image),
            Act::Prepare(vnode) => self.prepare(vnode),
            Act::Start(vnode, spec) => act::start(self, vnode, spec),
            Act::Stop(id, spec) => act::stop(self, *id, spec.stop_timeout_ms),
            Act::WriteHosts(id, hosts) => self.write_hosts(*id, hosts),
            Act::Remove(id) => self.remove(*id),
            Act::SweepImages(used) => rootfs::sweep_lower(&self.state, used),
        }
    }
}
