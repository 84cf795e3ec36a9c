//! ssh between the vnodes of a vcluster: the files of one directory, which each of them sees at `/etc/docklet/ssh`.
//!
//! All of them are made of the vcluster's secret, so vnodes on different workers agree without a word. What belongs to
//! people stays theirs: `~/.ssh` is not touched; OpenSSH is told of these files by drop-ins in its own directories.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use docklet_control::assignment::VclusterSecret;
use sha2::{Digest, Sha256};

use super::openssh::SshKey;
use crate::fault::AgentFault;
use crate::vnode_dir::make_dir;

/// The client's drop-in. Only for names of the vcluster: everything else is as the image or the person has it.
const CLIENT: &str = "\
# By Docklet: from any vnode of this vcluster to any other, as root, without a password.
Host host-*
    IdentityFile /etc/docklet/ssh/id_ed25519
    GlobalKnownHostsFile /etc/docklet/ssh/known_hosts
";

/// The server's drop-in. `%u` is a user's name: only root has a file.
const SERVER: &str = "\
# By Docklet: one host key for the vnodes of this vcluster, and their own key may log in.
HostKey /etc/docklet/ssh/host_ed25519
AuthorizedKeysFile .ssh/authorized_keys .ssh/authorized_keys2 /etc/docklet/ssh/authorized_keys_%u
";

/// Drop-ins, and the directories of OpenSSH that they belong into if the image has them.
pub const DROP_INS: [(&str, &str); 2] = [
    ("ssh_config", "etc/ssh/ssh_config.d"),
    ("sshd_config", "etc/ssh/sshd_config.d"),
];

/// Writes all files of a vcluster's secret into `dir`, for the vnode's root. Each is replaced as a whole: they may be
/// read at the same moment.
///
/// # Errors
/// The directory cannot be written.
pub fn write(
    dir: &Path,
    secret: &VclusterSecret,
    vcluster: &str,
    uid: u32,
) -> Result<(), AgentFault> {
    make_dir(dir, 0o755)?;
    give(dir, uid)?;
    for (name, mode, text) in files(secret, vcluster) {
        replace(&dir.join(name), mode, &text, uid)?;
    }
    Ok(())
}

fn files(secret: &VclusterSecret, vcluster: &str) -> [(&'static str, u32, String); 8] {
    let user = SshKey::of(&seed(secret, "user"), vcluster);
    let host = SshKey::of(&seed(secret, "host"), vcluster);
    let line = |key: &SshKey| format!("{} {vcluster}\n", key.public);
    let (own, hosts) = (line(&user), line(&host));
    [
        ("id_ed25519", 0o600, user.private),
        ("id_ed25519.pub", 0o644, own.clone()),
        ("authorized_keys_root", 0o644, own),
        ("host_ed25519", 0o600, host.private),
        ("host_ed25519.pub", 0o644, hosts),
        ("known_hosts", 0o644, format!("host-* {}\n", host.public)),
        ("ssh_config", 0o644, CLIENT.to_owned()),
        ("sshd_config", 0o644, SERVER.to_owned()),
    ]
}

/// One secret gives several keys, none of which tells of another.
fn seed(secret: &VclusterSecret, purpose: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(b"docklet ssh ");
    hasher.update(purpose);
    hasher.update([0]);
    hasher.update(secret.0);
    hasher.finalize().into()
}

fn replace(path: &Path, mode: u32, text: &str, uid: u32) -> Result<(), AgentFault> {
    if fs::read_to_string(path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    let new = new_name(path);
    // What a killed attempt left may have another mode.
    drop(fs::remove_file(&new));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&new)
        .map_err(AgentFault::file("write", new.clone()))?;
    std::io::Write::write_all(&mut file, text.as_bytes())
        .map_err(AgentFault::file("write", new.clone()))?;
    give(&new, uid)?;
    fs::rename(&new, path).map_err(AgentFault::file("replace", path))
}

fn new_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn give(path: &Path, uid: u32) -> Result<(), AgentFault> {
    chown(path, Some(uid), Some(uid)).map_err(AgentFault::file("give to the vnode's root", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_vcluster_and_each_purpose_has_a_key_of_its_own() {
        let keys: std::collections::BTreeSet<String> = [[1; 32], [2; 32]]
            .into_iter()
            .flat_map(|secret| {
                let secret = VclusterSecret(secret);
                ["user", "host"].map(|purpose| SshKey::of(&seed(&secret, purpose), "x").public)
            })
            .collect();
        assert_eq!(keys.len(), 4);
    }
}
