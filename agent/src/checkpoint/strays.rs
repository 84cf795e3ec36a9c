//! Processes of CRIU whose helper died: they go on by themselves, and so does what they have half brought back. All of them
//! bear the directory of the checkpoint in their arguments, the latter until they are themselves again.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const DEADLINE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// To write a round of memory may take as long as the disk needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Ends those at work on this directory; answers whether there were any.
pub(super) fn end(directory: &Path) -> bool {
    let begun = Instant::now();
    let mut any = false;
    loop {
        let strays = find(directory);
        if strays.is_empty() || begun.elapsed() > DEADLINE {
            return any;
        }
        any = true;
        for pid in strays {
            // One that ended meanwhile is what was wanted.
            let _ = kill(pid, Signal::SIGKILL);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Waits for those at work on this directory, which leave everything as it was when they end by themselves; answers whether
/// they did. They are ended if it takes too long.
pub(super) fn wait(directory: &Path) -> bool {
    let begun = Instant::now();
    while !find(directory).is_empty() {
        if begun.elapsed() > PATIENCE {
            return !end(directory);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    true
}

/// What a process is called, as far as it can be shown.
pub(super) fn name(pid: &str) -> Option<String> {
    let pid: u32 = pid.parse().ok()?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.chars().filter(|c| !c.is_control()).collect())
}

fn find(directory: &Path) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut arguments = arguments.split(|byte| *byte == 0);
        let is_criu = arguments
            .next()
            .is_some_and(|name| name.ends_with(b"/criu"));
        is_criu && arguments.any(|argument| argument == directory.as_os_str().as_bytes())
    })
    .map(Pid::from_raw)
    .collect()
}
