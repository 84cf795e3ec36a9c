//! What an agent needs to start. Two agents may share a kernel if these differ and each has its own network namespace.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use docklet_control::model::WorkerCapacity;
use docklet_link::{Dialer, Gate, Own};

use crate::gpu::GpuSettings;
use crate::home::Homes;
use crate::limits::IoLimit;
use crate::lxc::Helpers;

/// Settings of one agent.
#[derive(Clone)]
pub struct AgentConfig {
    /// Holds everything: images, vnodes' files, the last assignment. Absolute, without spaces.
    pub state_dir: PathBuf,
    /// Who this agent is. Its certificate is renewed while it runs.
    pub credentials: Own,
    /// Cluster listeners of masters to begin with; the assignment names them all.
    pub masters: Vec<String>,
    /// Where terminals, exec and images are served.
    pub data_listen: SocketAddr,
    /// Local end of VXLAN tunnels.
    pub underlay: IpAddr,
    /// The file that names the name servers of this machine, as `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
    /// First component of its containers' cgroups.
    pub cgroup_prefix: String,
    /// What it offers.
    pub capacity: WorkerCapacity,
    /// What each vnode may read from and write to this machine's disk.
    pub vnode_io: IoLimit,
    /// A terminal at which nobody has looked for so long is ended.
    pub terminal_alone: Duration,
    /// What is left of an upload with which nobody went on for so long is deleted.
    pub uploads_kept: Duration,
    /// Bytes a second that files of vnodes may have on their way to other workers, all together, as long as the vnodes run.
    pub move_bytes_per_s: Option<u64>,
    /// Where users' shared homes are.
    pub homes: Homes,
    /// Where its GPUs' driver is.
    pub gpus: GpuSettings,
    /// How it comes by helpers: of a program that can be one, normally this one.
    pub helpers: Helpers,
    /// Shut while this worker looks lost for a drill. All its connections to masters and other workers go through it.
    pub gate: Gate,
}

impl AgentConfig {
    /// Dials masters and other workers.
    #[must_use]
    pub fn dialer(&self) -> Dialer {
        Dialer::new(self.credentials.clone()).through(self.gate.clone())
    }
}
