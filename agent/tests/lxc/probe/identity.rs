//! What came in with whoever was put into the vnode: descriptors, variables, ids.

use std::fs;
use std::io;

use nix::libc;
use nix::unistd::{Uid, setuid};

use crate::try_it::{Try, call, open_if, way, write};

/// Variables that the agent gives.
const GIVEN: [&str; 7] = [
    "PATH",
    "HOME",
    "LANG",
    "TERM",
    "OMP_NUM_THREADS",
    "container",
    "SHLVL",
];

pub fn tries() -> Vec<Try> {
    vec![
        way("descriptors left open", || {
            let open: Vec<i32> = (3..1_024)
                .filter(|fd| call(libc::SYS_fcntl, &[fd_of(*fd), 1]).is_ok())
                .collect();
            open_if(!open.is_empty())
        }),
        way("variables of the worker", || {
            let mut names = std::env::vars().map(|(name, _)| name);
            open_if(names.any(|name| !GIVEN.contains(&name.as_str()) && name != "PWD"))
        }),
        way("ids of the worker", || {
            let map = fs::read_to_string("/proc/self/uid_map")?;
            let numbers: Vec<u64> = map
                .split_whitespace()
                .filter_map(|word| word.parse().ok())
                .collect();
            let apart = matches!(numbers[..], [0, base, 65_536] if base >= 1_000_000);
            open_if(!apart)
        }),
        way("uid_map, again", || {
            write("/proc/self/uid_map", "0 0 4294967295")
        }),
        way("setuid: beyond its range", || {
            Ok(setuid(Uid::from_raw(70_000))?)
        }),
        way("chown: beyond its range", || {
            fs::write("/root/owned", "")?;
            std::os::unix::fs::chown("/root/owned", Some(70_000), None)
        }),
        way("core files", || {
            let limit = [u64::MAX, u64::MAX];
            call(libc::SYS_prlimit64, &[0, 4, limit.as_ptr() as usize, 0]).map(drop)
        }),
        way("more open files", || {
            let limit = [2_000_000_u64, 2_000_000];
            call(libc::SYS_prlimit64, &[0, 7, limit.as_ptr() as usize, 0]).map(drop)
        }),
        way("spared when memory is short", || {
            write("/proc/self/oom_score_adj", "-1000")
        }),
        way("dropped capabilities", dropped),
        way("without rules for system calls", || {
            let status = fs::read_to_string("/proc/self/status")?;
            open_if(!status.contains("Seccomp:\t2"))
        }),
    ]
}

fn fd_of(fd: i32) -> usize {
    usize::try_from(fd).expect("a descriptor")
}

/// Modules, time, raw I/O, resources: none of them may be left in the bounding set.
fn dropped() -> io::Result<()> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    let set = line.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    let set = set.ok_or(io::ErrorKind::InvalidData)?;
    open_if(
        [16, 17, 24, 25, 32, 33, 34]
            .iter()
            .any(|bit| set & (1 << bit) != 0),
    )
}
