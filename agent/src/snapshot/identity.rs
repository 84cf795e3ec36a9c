//! By what the programs in a vnode know it: machine id, ssh host keys, the seed of random numbers. Two vnodes must not
//! have one of them in common, so a disk that began as a copy of another's loses them, and makes its own.
//!
//! The files are a stranger's: each is reached beneath the root through no link, and what is no plain file is left alone.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use docklet_control::id::VnodeId;
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat2, statat, unlinkat,
};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use crate::fault::AgentFault;

/// What programs make anew when it is missing: directories, and what files in them are called or begin with.
const MADE_ANEW: [(&str, &str); 4] = [
    ("etc", "machine-id"),
    ("etc/ssh", "ssh_host_"),
    ("var/lib/dbus", "machine-id"),
    ("var/lib/systemd", "random-seed"),
];
/// Where a machine id is, as machine-id(5) and D-Bus have it.
const MACHINE_IDS: [&str; 2] = ["etc/machine-id", "var/lib/dbus/machine-id"];
/// Longer files are no machine ids.
const MACHINE_ID_BYTES_MAX: u64 = 64;

/// Takes out of a vnode's own layer what made it itself. What its image has shows again, as in each vnode of the image.
pub(super) fn forget(upper: &Path) -> Result<(), AgentFault> {
    let root = open_dir(upper)?;
    for (below, name) in MADE_ANEW {
        let named = || AgentFault::file("make anew", upper.join(below));
        let flags = OFlags::DIRECTORY | OFlags::RDONLY;
        if let Some(dir) = beneath(&root, below, flags).map_err(|errno| named()(errno.into()))? {
            forget_in(&dir, name).map_err(|errno| named()(errno.into()))?;
        }
    }
    Ok(())
}

fn forget_in(dir: &OwnedFd, start: &str) -> Result<(), Errno> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if !name.to_bytes().starts_with(start.as_bytes()) {
            continue;
        }
        let meta = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(meta.st_mode) == FileType::RegularFile {
            unlinkat(dir, name, AtFlags::empty())?;
        }
    }
    Ok(())
}

/// The machine id of a vnode: always the same, so that it does not matter how often it is written.
pub(super) fn machine_id(cluster: &[u8; 16], vnode: VnodeId) -> String {
    let mut hasher = Sha256::new();
    hasher.update(b"docklet machine-id\0");
    hasher.update(cluster);
    hasher.update(vnode.0.to_be_bytes());
    let digest = hasher.finalize();
    digest[..16].iter().map(|b| format!("{b:02x}")).collect()
}

/// Writes the machine id where the image has one. Where it has none, or an empty file, its init makes one.
pub(super) fn renew(rootfs: &Path, id: &str) -> Result<(), AgentFault> {
    let root = open_dir(rootfs)?;
    for below in MACHINE_IDS {
        let path = rootfs.join(below);
        let flags = OFlags::RDWR | OFlags::NONBLOCK;
        let found = beneath(&root, below, flags);
        let found = found.map_err(|errno| AgentFault::file("open", &path)(errno.into()))?;
        if let Some(file) = found {
            replace(File::from(file), id).map_err(AgentFault::file("write", path))?;
        }
    }
    Ok(())
}

fn replace(mut file: File, id: &str) -> std::io::Result<()> {
    let meta = fstat(&file)?;
    let plain = FileType::from_raw_mode(meta.st_mode) == FileType::RegularFile;
    let length = u64::try_from(meta.st_size).unwrap_or(u64::MAX);
    if !plain || !(1..=MACHINE_ID_BYTES_MAX).contains(&length) {
        return Ok(());
    }
    let mut text = String::new();
    // machine-id(5): an init that finds this word makes one.
    if file.read_to_string(&mut text).is_ok() && text.trim() == "uninitialized" {
        return Ok(());
    }
    file.rewind()?;
    file.set_len(0)?;
    file.write_all(format!("{id}\n").as_bytes())
}

fn open_dir(path: &Path) -> Result<OwnedFd, AgentFault> {
    let open = File::open(path).map_err(AgentFault::file("open", path))?;
    Ok(open.into())
}

/// What is there, beneath the root and through no link; none if nothing is, or nothing that is reached so.
fn beneath(root: &OwnedFd, below: &str, flags: OFlags) -> Result<Option<OwnedFd>, Errno> {
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match openat2(root, below, flags, Mode::empty(), resolve) {
        Ok(found) => Ok(Some(found)),
        // Nothing, a link, no directory on the way, another file system, a directory, a socket, a device.
        Err(
            Errno::NOENT
            | Errno::LOOP
            | Errno::NOTDIR
            | Errno::XDEV
            | Errno::ISDIR
            | Errno::NXIO
            | Errno::ACCESS,
        ) => Ok(None),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn empty() -> tempfile::TempDir {
        tempfile::tempdir().expect("a directory")
    }

    #[test]
    fn what_makes_a_vnode_itself_goes_and_all_else_stays() {
        let root = empty();
        let at = |below: &str| root.path().join(below);
        for dir in ["etc/ssh", "var/lib/dbus", "var/lib/systemd", "home"] {
            fs::create_dir_all(at(dir)).expect("a directory");
        }
        let own = [
            "etc/machine-id",
            "etc/ssh/ssh_host_rsa_key",
            "etc/ssh/ssh_host_rsa_key.pub",
            "var/lib/systemd/random-seed",
        ];
        let others = ["etc/passwd", "etc/ssh/sshd_config", "home/machine-id"];
        for file in own.iter().chain(&others) {
            fs::write(at(file), "x").expect("written");
        }
        symlink("/etc/machine-id", at("var/lib/dbus/machine-id")).expect("a link");
        forget(root.path()).expect("gone");
        forget(root.path()).expect("it may be repeated");
        assert!(own.iter().all(|file| !at(file).exists()));
        assert!(others.iter().all(|file| at(file).exists()));
        assert!(at("var/lib/dbus/machine-id").is_symlink());
    }

    #[test]
    fn links_of_its_owner_lead_nowhere() {
        let (root, outside) = (empty(), empty());
        let victims = ["machine-id", "ssh_host_rsa_key"];
        for name in victims {
            fs::write(outside.path().join(name), "0123").expect("written");
        }
        symlink(outside.path(), root.path().join("etc")).expect("a link");
        forget(root.path()).expect("nothing to do");
        renew(root.path(), "new").expect("nothing to do");
        fs::remove_file(root.path().join("etc")).expect("removed");
        fs::create_dir(root.path().join("etc")).expect("a directory");
        symlink(
            outside.path().join("machine-id"),
            root.path().join("etc/machine-id"),
        )
        .expect("a link");
        renew(root.path(), "new").expect("nothing to do");
        for name in victims {
            let text = fs::read_to_string(outside.path().join(name)).expect("there");
            assert_eq!(text, "0123");
        }
    }

    #[test]
    fn a_machine_id_is_replaced_where_there_is_one() {
        let id = machine_id(&[7; 16], VnodeId(1));
        assert_eq!(id.len(), 32);
        assert_eq!(id, machine_id(&[7; 16], VnodeId(1)));
        assert_ne!(id, machine_id(&[7; 16], VnodeId(2)));
        assert_ne!(id, machine_id(&[8; 16], VnodeId(1)));
        for (before, after) in [
            ("0123456789abcdef0123456789abcdef\n", format!("{id}\n")),
            ("uninitialized\n", "uninitialized\n".to_owned()),
            ("", String::new()),
        ] {
            let root = empty();
            let file = root.path().join("etc/machine-id");
            fs::create_dir(root.path().join("etc")).expect("a directory");
            fs::write(&file, before).expect("written");
            renew(root.path(), &id).expect("renewed");
            assert_eq!(fs::read_to_string(file).expect("there"), after);
        }
    }
}
