//! Debian by mmdebstrap, of this machine's own release if no other is given, from this machine's own package sources.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use super::root::{Root, last_lines};
use crate::exit::{Class, Failure};

pub fn make(root: &Path, suite: Option<&str>, packages: &[String]) -> anyhow::Result<()> {
    let release = suite.map_or_else(release, |suite| Ok(suite.to_owned()))?;
    let output = Command::new("mmdebstrap")
        .args(["--variant=minbase", "--mode=root", "--quiet"])
        .arg(format!("--include={}", packages.join(",")))
        .arg("--dpkgopt=path-exclude=/usr/share/man/*")
        .arg("--dpkgopt=path-exclude=/usr/share/doc/*")
        .arg("--")
        .arg(&release)
        .arg(root)
        .output()
        .context("run mmdebstrap (apt-get install mmdebstrap)")?;
    if output.status.success() {
        return Ok(());
    }
    let text = format!("mmdebstrap failed: {}", last_lines(&output.stderr));
    Err(Failure::new(Class::Fault, text).into())
}

/// Takes away what must not be the same in every vnode, and what differs from build to build.
pub fn clean(root: &Root) -> anyhow::Result<()> {
    let keys = ["dsa", "ecdsa", "ed25519", "rsa"];
    for key in keys {
        root.delete(&format!("/etc/ssh/ssh_host_{key}_key"))?;
        root.delete(&format!("/etc/ssh/ssh_host_{key}_key.pub"))?;
    }
    root.write("/etc/machine-id", b"", 0o444)?;
    // Of the machine that built it.
    root.write("/etc/hostname", b"", 0o644)?;
    root.write("/etc/resolv.conf", b"", 0o644)?;
    for dir in [
        "/var/log",
        "/var/cache",
        "/var/lib/apt/lists",
        "/tmp",
        "/run",
        "/root/.cache",
    ] {
        root.empty(dir)?;
    }
    Ok(())
}

/// Code name of this machine's own release.
fn release() -> anyhow::Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("read /etc/os-release")?;
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    name.map(str::to_owned)
        .context("/etc/os-release names no release")
}
