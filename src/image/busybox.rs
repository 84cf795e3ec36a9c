//! Debian's static busybox as a whole system: one program and its names.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::exit::{Class, Failure};

/// Where Debian's package busybox-static puts it.
const BUSYBOX: &str = "/bin/busybox";

pub fn make(root: &Path) -> anyhow::Result<()> {
    if !Path::new(BUSYBOX).exists() {
        let text = format!("{BUSYBOX} is missing: apt-get install busybox-static");
        return Err(Failure::new(Class::Conflict, text).into());
    }
    for dir in [
        "bin", "sbin", "etc", "proc", "sys", "dev", "tmp", "run", "root", "var", "usr", "home",
    ] {
        let path = root.join(dir);
        fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    fs::set_permissions(root.join("root"), fs::Permissions::from_mode(0o700))?;
    fs::copy(BUSYBOX, root.join("bin/busybox")).context("copy busybox")?;
    for applet in applets()? {
        if applet != "busybox" {
            symlink("busybox", root.join("bin").join(applet))?;
        }
    }
    symlink("../bin/busybox", root.join("sbin/init"))?;
    Ok(())
}

fn applets() -> anyhow::Result<Vec<String>> {
    let output = Command::new(BUSYBOX)
        .arg("--list")
        .output()
        .context("run busybox --list")?;
    let text = String::from_utf8(output.stdout).context("read the list of applets")?;
    Ok(text.lines().map(str::to_owned).collect())
}
