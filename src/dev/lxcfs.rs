//! lxcfs, by which vnodes see what they have instead of what the machine has. One serves all of a machine: on one with
//! systemd it is a service, and here it is started where it is missing. It stays when a dev cluster goes.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};

use crate::client::output::remark;

const PROGRAM: &str = "/usr/bin/lxcfs";
const ROOT: &str = "/var/lib/lxcfs";
/// It mounts itself within milliseconds, or not at all.
const PATIENCE: Duration = Duration::from_secs(3);

/// Starts it where it can be; without it vnodes work, and see the machine's memory and cores.
pub fn ensure() {
    if runs() || !Path::new(PROGRAM).exists() {
        return;
    }
    if let Err(error) = start() {
        remark(&format!(
            "lxcfs does not start ({error}): vnodes see the machine's memory and cores."
        ));
    }
}

fn runs() -> bool {
    Path::new(ROOT).join("proc/meminfo").exists()
}

/// One that died leaves a mount that answers nothing, and that nothing can be mounted over.
fn forget_a_dead_one() -> std::io::Result<()> {
    match std::fs::metadata(ROOT) {
        Err(error) if error.raw_os_error() == Some(Errno::ENOTCONN as i32) => {
            Ok(umount2(ROOT, MntFlags::MNT_DETACH)?)
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

fn start() -> std::io::Result<()> {
    forget_a_dead_one()?;
    std::fs::create_dir_all(ROOT)?;
    let mut child = Command::new(PROGRAM)
        .args(["--enable-cfs", "--enable-loadavg", ROOT])
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let begun = Instant::now();
    while !runs() {
        if let Some(status) = child.try_wait()? {
            return Err(std::io::Error::other(status.to_string()));
        }
        if begun.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
