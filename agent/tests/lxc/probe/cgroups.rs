//! One's own limits, seen through a cgroup file system that root of a vnode may mount.

use std::fs;
use std::io;
use std::path::Path;

use nix::libc;

use crate::try_it::{Try, mount, way, write};

pub fn tries() -> Vec<Try> {
    let limit = |kind: &'static str, file: &'static str, value: &'static str| {
        move || write(controller(kind)?.join(file), value)
    };
    vec![
        way("release agent", || {
            let dir = controller("memory")?;
            write(dir.join("release_agent"), "/root/x")
                .or_else(|_| write(dir.join("notify_on_release"), "1"))
        }),
        way("more memory", || {
            let dir = controller("memory")?;
            write(dir.join("memory.limit_in_bytes"), "-1")
                .or_else(|_| write(dir.join("memory.max"), "max"))
        }),
        way("more swap", || {
            let dir = controller("memory")?;
            write(dir.join("memory.memsw.limit_in_bytes"), "-1")
                .or_else(|_| write(dir.join("memory.swap.max"), "max"))
        }),
        way("more processes", limit("pids", "pids.max", "max")),
        way("more CPU", || {
            let dir = controller("cpu")?;
            write(dir.join("cpu.cfs_quota_us"), "-1").or_else(|_| write(dir.join("cpu.max"), "max"))
        }),
        way("more shares", || {
            let dir = controller("cpu")?;
            write(dir.join("cpu.shares"), "100000")
                .or_else(|_| write(dir.join("cpu.weight"), "10000"))
        }),
        way(
            "all devices",
            limit("devices", "devices.allow", "a *:* rwm"),
        ),
        way("cgroups without end", || {
            let dir = controller("memory")?;
            for number in 0..2_000 {
                fs::create_dir(dir.join(format!("probe{number}")))?;
            }
            Ok(())
        }),
        way("out of its cgroup", || {
            let dir = controller("pids")?;
            write(dir.join("../cgroup.procs"), "0").and_then(|()| {
                let own = fs::read_to_string("/proc/self/cgroup")?;
                crate::try_it::open_if(own.contains("/.."))
            })
        }),
    ]
}

/// The file system of a controller, of version 1 or 2, mounted anew.
fn controller(name: &str) -> io::Result<std::path::PathBuf> {
    let dir = format!("/tmp/cgroup-{name}");
    if mount("cgroup", &dir, name).is_err() {
        mount("cgroup2", &dir, "")?;
    }
    let there = |file: &str| Path::new(&dir).join(file).exists();
    if !there("cgroup.procs") {
        return Err(io::Error::from_raw_os_error(libc::ENOENT));
    }
    Ok(dir.into())
}
