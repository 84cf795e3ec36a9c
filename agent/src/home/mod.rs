//! What makes a vcluster one thing for whoever works in it: ssh between its vnodes, and a home that all of them share.
//!
//! Vnodes see all of it read-only below `/etc/docklet`, but for the home itself at `/root/nfs`. Mounts are liblxc's, in
//! the vnode's own mount namespace: they go with it, and nothing of them is ever left on the worker.

mod keys;
mod openssh;
pub(crate) mod quota;
mod shared;
pub(crate) mod used;

use std::fs;
use std::os::unix::fs::chown;

use docklet_control::assignment::{AssignedVnode, VclusterSecret};
use docklet_control::id::VnodeId;

pub use shared::Homes;
pub use used::Used;

use crate::config::AgentConfig;
use crate::container_config::{BindKind, BindMount};
use crate::fault::AgentFault;
use crate::inside::{Found, find};
use crate::vnode_dir::{StateDir, make_dir};

/// Where vnodes see the shared home, relative to their root.
const HOME_INSIDE: &str = "root/nfs";
/// Where vnodes see what Docklet tells them, relative to their root.
const TOLD_INSIDE: &str = "etc/docklet";

/// Makes the files that a vnode sees, and its user's home.
///
/// # Errors
/// A file cannot be written, or there is no home to be had.
pub fn prepare(config: &AgentConfig, used: &Used, vnode: &AssignedVnode) -> Result<(), AgentFault> {
    let state = StateDir(config.state_dir.clone());
    let told = state.told(vnode.id);
    make_dir(&told, 0o755)?;
    // OpenSSH takes no file seriously that lies below somebody else's directory.
    chown(&told, Some(vnode.uid_base), Some(vnode.uid_base))
        .map_err(AgentFault::file("give to the vnode's root", told.clone()))?;
    if let Some(secret) = &vnode.secret {
        write_keys(&state, vnode, secret)?;
    }
    let cluster = config.credentials.identity.cluster;
    let homes = &config.homes;
    homes.ensure(&cluster, vnode.owner, vnode.uid_base, |user| {
        match vnode.home_mib {
            Some(quota) if homes.mounted => used.refuse_overfull(homes, user, quota),
            Some(quota) => quota::mount(&state, homes, user, quota),
            None => Ok(()),
        }
    })?;
    let about = told.join("home");
    fs::write(&about, about_home(homes)).map_err(AgentFault::file("write", about))
}

/// Writes a vcluster's keys for a vnode, also while it runs.
///
/// # Errors
/// A file cannot be written.
pub fn write_keys(
    state: &StateDir,
    vnode: &AssignedVnode,
    secret: &VclusterSecret,
) -> Result<(), AgentFault> {
    let dir = state.told(vnode.id).join("ssh");
    keys::write(&dir, secret, &vnode.vcluster_name, vnode.uid_base)
}

/// People should know before they rely on it.
fn about_home(homes: &Homes) -> &'static str {
    if homes.mounted {
        "~/nfs is on a file system that all workers share: the same files in all your vnodes.\n\
         When more is in it than it may hold, no more of your vnodes start.\n"
    } else {
        "~/nfs is on this worker's own disk: shared by your vnodes on this worker, and by no others.\n"
    }
}

/// What liblxc mounts into a vnode, as it wants it: only what is there, so called once the root file system is mounted.
#[must_use]
pub fn mounts(config: &AgentConfig, vnode: &AssignedVnode) -> Vec<BindMount> {
    const TOLD: &[&str] = &["ro", "nosuid", "nodev", "noexec"];
    let state = StateDir(config.state_dir.clone());
    let told = state.told(vnode.id);
    let bind = |source, target: &str, options, kind| BindMount {
        source,
        target: target.to_owned(),
        options,
        kind,
    };
    let home = config.homes.dir.join(format!("u{}", vnode.owner));
    let mut mounts = vec![
        bind(told.clone(), TOLD_INSIDE, TOLD, BindKind::Directory),
        bind(
            home,
            HOME_INSIDE,
            &["rw", "nosuid", "nodev"],
            BindKind::Directory,
        ),
    ];
    if vnode.secret.is_some() {
        let rootfs = state.rootfs(vnode.id);
        let wanted = keys::DROP_INS
            .iter()
            .filter(|(_, dir)| find(&rootfs, dir) == Found::Directory);
        mounts.extend(wanted.map(|(name, dir)| {
            let target = format!("{dir}/50-docklet.conf");
            bind(told.join("ssh").join(name), &target, TOLD, BindKind::File)
        }));
    }
    mounts
}

impl StateDir {
    /// What a vnode sees at `/etc/docklet`.
    fn told(&self, id: VnodeId) -> std::path::PathBuf {
        self.vnode(id).join("told")
    }
}
