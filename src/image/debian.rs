//! Minimal Debian of this machine's own release, by mmdebstrap from this machine's own package sources.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use docklet_control::model::ImageSpec;

use super::Built;
use crate::exit::{Class, Failure};

const PACKAGES: &str = "openssh-server,openssh-client,python3-minimal,iproute2,iputils-ping,ca-certificates,tini,procps,less,nano";

/// Keeps the container alive and reaps; starts sshd with a host key of its own.
const START: &str = "\
#!/bin/sh
mkdir -p /run/sshd
ssh-keygen -A >/dev/null
/usr/sbin/sshd
exec sleep infinity
";

pub fn make(root: &Path) -> anyhow::Result<Built> {
    let release = release()?;
    let output = Command::new("mmdebstrap")
        .args(["--variant=minbase", "--mode=root", "--quiet"])
        .arg(format!("--include={PACKAGES}"))
        .arg("--dpkgopt=path-exclude=/usr/share/man/*")
        .arg("--dpkgopt=path-exclude=/usr/share/doc/*")
        .arg(&release)
        .arg(root)
        .output()
        .context("run mmdebstrap (apt-get install mmdebstrap)")?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let last: Vec<&str> = text.lines().rev().take(5).collect();
        let text = format!(
            "mmdebstrap failed: {}",
            last.into_iter().rev().collect::<Vec<_>>().join("; ")
        );
        return Err(Failure::new(Class::Fault, text).into());
    }
    let start = root.join("sbin/docklet-start");
    fs::write(&start, START).with_context(|| format!("write {}", start.display()))?;
    fs::set_permissions(&start, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    // What is made on first use must not be the same in every container.
    for entry in fs::read_dir(root.join("etc/ssh"))? {
        let path = entry?.path();
        if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("ssh_host_"))
        {
            fs::remove_file(path)?;
        }
    }
    fs::write(root.join("etc/machine-id"), "")?;
    Ok(Built {
        spec: ImageSpec {
            init: ["/usr/bin/tini", "-g", "--", "/sbin/docklet-start"]
                .map(str::to_owned)
                .to_vec(),
            stop_signal: "SIGTERM".to_owned(),
            stop_timeout_ms: 10_000,
        },
        description: format!("Minimal Debian {release} with openssh, python3 and iproute2"),
    })
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
