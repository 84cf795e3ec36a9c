//! Out of the namespaces, or into new ones.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::libc;
use nix::sched::{CloneFlags, setns, unshare};

use crate::try_it::{Try, call, open_if, way};

pub fn tries(outside: &str) -> Vec<Try> {
    let outside = outside.to_owned();
    let marker = outside.clone();
    vec![
        way("unshare: user", || Ok(unshare(CloneFlags::CLONE_NEWUSER)?)),
        way("clone: user", || {
            // SAFETY: the probe has one thread; the child, if any, ends at once.
            let pid = unsafe {
                libc::syscall(
                    libc::SYS_clone,
                    libc::CLONE_NEWUSER | libc::SIGCHLD,
                    0,
                    0,
                    0,
                    0,
                )
            };
            match pid {
                // SAFETY: as above.
                0 => unsafe { libc::_exit(0) },
                -1 => Err(io::Error::last_os_error()),
                _ => Ok(()),
            }
        }),
        way("clone3: user", || {
            let mut arguments = [0_u64; 11];
            arguments[0] = 0x1000_0000;
            arguments[4] = 17;
            match call(libc::SYS_clone3, &[arguments.as_ptr() as usize, 88])? {
                // SAFETY: the child ends at once.
                0 => unsafe { libc::_exit(0) },
                _ => Ok(()),
            }
        }),
        way("setns: by the first process", || {
            for kind in ["mnt", "net", "pid", "ipc", "uts", "cgroup", "user"] {
                let (own, first) = (link("self", kind)?, link("1", kind)?);
                if own != first {
                    setns(
                        File::open(format!("/proc/1/ns/{kind}"))?,
                        CloneFlags::empty(),
                    )?;
                    return Ok(());
                }
            }
            open_if(false)
        }),
        way("ioctl: the user namespace around", || parent_of("user")),
        way("ioctl: the process namespace around", || parent_of("pid")),
        way("processes outside", || {
            // The parent of who was put into the vnode is outside, and has no number here.
            let parent = nix::unistd::getppid().as_raw();
            open_if(Path::new("/proc/0").exists() || parent < 0)
        }),
        way("/proc/1/root", move || {
            open_if(
                Path::new("/proc/1/root")
                    .join(outside.trim_start_matches('/'))
                    .exists(),
            )
        }),
        way("chroot", move || {
            fs::create_dir_all("/tmp/jail")?;
            let root = File::open("/")?;
            nix::unistd::chroot("/tmp/jail")?;
            nix::unistd::fchdir(&root)?;
            for _ in 0..64 {
                nix::unistd::chdir("..")?;
            }
            nix::unistd::chroot(".")?;
            open_if(Path::new(&marker).exists())
        }),
    ]
}

fn link(process: &str, kind: &str) -> io::Result<std::path::PathBuf> {
    fs::read_link(format!("/proc/{process}/ns/{kind}"))
}

fn parent_of(kind: &str) -> io::Result<()> {
    let own = File::open(format!("/proc/self/ns/{kind}"))?;
    let descriptor = usize::try_from(own.as_raw_fd()).expect("a descriptor");
    // NS_GET_PARENT
    call(libc::SYS_ioctl, &[descriptor, 0xb702]).map(drop)
}
