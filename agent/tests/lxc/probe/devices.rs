//! The machine's devices.

use std::fs::{self, File, OpenOptions};
use std::io;

use nix::libc;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::try_it::{Try, way};

pub fn tries() -> Vec<Try> {
    vec![
        way("mknod: the machine's disk", || {
            // Whatever disks the kernel says that there are.
            let partitions = fs::read_to_string("/proc/partitions")?;
            let numbers = |line: &str| {
                let mut words = line.split_whitespace();
                Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
            };
            let (major, minor) = partitions.lines().find_map(numbers).unwrap_or((254, 0));
            node("/root/disk", SFlag::S_IFBLK, major, minor)
        }),
        way("mknod: /dev/mem", || {
            node("/root/mem", SFlag::S_IFCHR, 1, 1)
        }),
        way("mknod: /dev/kmsg", || {
            node("/root/kmsg", SFlag::S_IFCHR, 1, 11)
        }),
        way("mknod: loop-control", || {
            node("/root/loop", SFlag::S_IFCHR, 10, 237)
        }),
        way("mknod: fuse", || {
            node("/root/fuse", SFlag::S_IFCHR, 10, 229)
        }),
        way("open /dev/mem", || open("/dev/mem")),
        way("open /dev/kmsg", || open("/dev/kmsg")),
        way("open /dev/fuse", || open("/dev/fuse")),
        way("open /dev/kvm", || open("/dev/kvm")),
        way("open /dev/loop-control", || open("/dev/loop-control")),
        way("open /dev/port", || open("/dev/port")),
        way("open /dev/console", || open("/dev/console")),
        way("/dev/ptmx of another devpts", || {
            File::open("/dev/pts/ptmx")?;
            // Its own is fine; there must be no other.
            let pts = fs::read_dir("/dev/pts")?.count();
            crate::try_it::open_if(pts > 40)
        }),
    ]
}

fn node(path: &str, kind: SFlag, major: u64, minor: u64) -> io::Result<()> {
    mknod(
        path,
        kind,
        Mode::from_bits_truncate(0o600),
        makedev(major, minor),
    )?;
    open(path)
}

fn open(path: &str) -> io::Result<()> {
    let opened = OpenOptions::new().read(true).open(path);
    // One that is there and without use says so only when it is opened.
    match opened {
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => Err(error),
        other => other.map(drop),
    }
}
