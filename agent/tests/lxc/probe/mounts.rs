//! Mounting what shows or rules the machine, and taking covers off.

use std::fs;
use std::io;

use crate::try_it::{Try, mount, open_if, remount_writable, uncover, way, write};

pub fn tries() -> Vec<Try> {
    let mut tries = proc();
    tries.extend(sys());
    tries.extend(others());
    tries
}

fn proc() -> Vec<Try> {
    let write_after_uncovering = |path: &'static str, value: &'static str| {
        move || {
            remount_writable("/proc/sys");
            uncover(path);
            remount_writable("/proc/sysrq-trigger");
            write(path, value)
        }
    };
    vec![
        way("core_pattern", || {
            write("/proc/sys/kernel/core_pattern", "|/root/x")
        }),
        way(
            "core_pattern, uncovered",
            write_after_uncovering("/proc/sys/kernel/core_pattern", "|/root/x"),
        ),
        way("core_pattern, in a new proc", || {
            mount("proc", "/tmp/proc", "")?;
            write("/tmp/proc/sys/kernel/core_pattern", "|/root/x")
        }),
        way(
            "modprobe's path",
            write_after_uncovering("/proc/sys/kernel/modprobe", "/root/x"),
        ),
        way(
            "domain of the machine's messages",
            write_after_uncovering("/proc/sys/kernel/printk", "7"),
        ),
        way(
            "memory overcommit",
            write_after_uncovering("/proc/sys/vm/overcommit_memory", "1"),
        ),
        way(
            "dropping caches",
            write_after_uncovering("/proc/sys/vm/drop_caches", "1"),
        ),
        way("sysrq", || refused_if_discarded("/proc/sysrq-trigger", "h")),
        way(
            "sysrq, uncovered",
            write_after_uncovering("/proc/sysrq-trigger", "h"),
        ),
        way(
            "more inotify instances",
            write_after_uncovering("/proc/sys/user/max_inotify_instances", "1000000"),
        ),
        way(
            "user namespaces of its own",
            write_after_uncovering("/proc/sys/user/max_user_namespaces", "100"),
        ),
        way("memory of the kernel", || read("/proc/kcore")),
        way("memory of the kernel, uncovered", || {
            uncover("/proc/kcore");
            read("/proc/kcore")
        }),
        way("addresses of the kernel", || read("/proc/kallsyms")),
        way("addresses of the kernel, uncovered", || {
            uncover("/proc/kallsyms");
            let symbols = fs::read_to_string("/proc/kallsyms")?;
            open_if(
                symbols
                    .lines()
                    .any(|line| !line.starts_with("0000000000000000")),
            )
        }),
        way("keys", || read("/proc/keys")),
        way("timers", || read("/proc/timer_list")),
        way("timers, uncovered", || {
            uncover("/proc/timer_list");
            read("/proc/timer_list")
        }),
        way("disks over SCSI", || {
            open_if(fs::read_dir("/proc/scsi")?.next().is_some())
        }),
        way("interrupts", || read("/proc/interrupts")),
    ]
}

/// A cover is /dev/null, which takes everything.
fn refused_if_discarded(path: &str, value: &str) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    if fs::metadata(path)?.file_type().is_char_device() {
        return open_if(false);
    }
    write(path, value)
}

fn read(path: &str) -> io::Result<()> {
    let mut some = [0; 64];
    let length = io::Read::read(&mut fs::File::open(path)?, &mut some)?;
    open_if(length > 0)
}

fn sys() -> Vec<Try> {
    const SWITCH: &str = "/sys/kernel/mm/transparent_hugepage/enabled";
    vec![
        way("/sys", || write(SWITCH, "never")),
        way("/sys, made writable", || {
            remount_writable("/sys");
            write(SWITCH, "never")
        }),
        way("/sys, mounted anew", || {
            mount("sysfs", "/tmp/sys", "")?;
            write("/tmp/sys/kernel/mm/transparent_hugepage/enabled", "never")
        }),
        way("uevent helper", || {
            remount_writable("/sys");
            write("/sys/kernel/uevent_helper", "/root/x")
        }),
        way("firmware", || {
            open_if(fs::read_dir("/sys/firmware")?.next().is_some())
        }),
    ]
}

fn others() -> Vec<Try> {
    let new = |kind: &'static str| move || mount(kind, "/tmp/new", "");
    vec![
        way("mount debugfs", new("debugfs")),
        way("mount tracefs", new("tracefs")),
        way("mount securityfs", new("securityfs")),
        way("mount pstore", new("pstore")),
        way("mount devtmpfs", new("devtmpfs")),
        way("mount hugetlbfs beyond limits", new("efivarfs")),
        way("mount a disk image", || {
            fs::create_dir_all("/tmp/new")?;
            fs::write("/root/image", vec![0_u8; 1 << 20])?;
            let flags = nix::mount::MsFlags::empty();
            let options = None::<&str>;
            Ok(nix::mount::mount(
                Some("/root/image"),
                "/tmp/new",
                Some("ext4"),
                flags,
                options,
            )?)
        }),
        way("hosts file, made writable", || {
            use nix::mount::MsFlags;
            let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
            let none = None::<&str>;
            nix::mount::mount(none, "/etc/hosts", none, flags, none)?;
            write("/etc/hosts", "10.0.0.1 elsewhere\n")
        }),
    ]
}
