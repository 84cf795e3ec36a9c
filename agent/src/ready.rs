//! When a vnode counts as running: its first process is the image's own, and its network answers.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use docklet_control::assignment::AssignedVnode;

use crate::arp::Asked;
use crate::fault::AgentFault;
use crate::host::linux::LinuxHost;
use crate::lxc::{Container, alive};
use crate::network::names;
use crate::vnode_dir::container_name;

/// A vnode that does not answer after so long has not started.
const LIMIT: Duration = Duration::from_secs(10);
/// The first process becomes the image's own a moment after liblxc says that it runs.
const LOOK_EVERY: Duration = Duration::from_micros(200);

impl LinuxHost {
    /// Waits until a vnode that was just started is up; ends it if it does not come up.
    pub(crate) fn wait_ready(&self, vnode: &AssignedVnode) -> Result<(), AgentFault> {
        let container = Container::open(&self.state.lxc_path(), &container_name(vnode.id))?;
        let begun = Instant::now();
        let Some(init) = container.init_pid() else {
            return Err(AgentFault::NotReady(
                "its first process ended at once".to_owned(),
            ));
        };
        while !self.became_itself(init)? {
            if begun.elapsed() > LIMIT {
                return Err(AgentFault::NotReady(
                    "its first process does not begin".to_owned(),
                ));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        self.wait_network(vnode, init)?;
        self.alive.learn(vnode.id, Some(init));
        Ok(())
    }

    /// Whether the first process is the image's program: until then it is a copy of its parent, liblxc's monitor, which is one of
    /// the helper. What has the helper's name by now may be a newer program.
    fn became_itself(&self, init: i32) -> Result<bool, AgentFault> {
        let ended = |_| AgentFault::NotReady("its first process ended at once".to_owned());
        let program = fs::metadata(format!("/proc/{init}/exe")).map_err(ended)?;
        let monitor = alive::monitor_of(init).map(|pid| fs::metadata(format!("/proc/{pid}/exe")));
        let ours = match monitor {
            Some(Ok(ours)) => ours,
            Some(Err(_)) | None => {
                let helper = self.config.helpers.program();
                fs::metadata(helper).map_err(AgentFault::file("look at", helper))?
            }
        };
        Ok((program.dev(), program.ino()) != (ours.dev(), ours.ino()))
    }

    fn wait_network(&self, vnode: &AssignedVnode, init: i32) -> Result<(), AgentFault> {
        let device = names::host_device(vnode.id);
        let who = Asked {
            mac: vnode.mac,
            address: vnode.address,
        };
        let lives = || fs::metadata(format!("/proc/{init}/exe")).is_ok();
        if self.asker.ask(&device, who, LIMIT, lives)? {
            return Ok(());
        }
        let address = vnode.address;
        Err(AgentFault::NotReady(if lives() {
            let waited = LIMIT.as_secs();
            format!(
                "{address} does not answer on eth0 within {waited} s, while its first process runs"
            )
        } else {
            format!("its first process ended before {address} answered on eth0")
        }))
    }
}
