//! The network between the dev cluster's machines: a bridge, and a namespace for each worker. The bridge is also the
//! workers' way out, as a router would be.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use super::layout::Layout;

/// Makes what is missing of it.
pub fn ensure(layout: &Layout) -> anyhow::Result<()> {
    let bridge = layout.bridge();
    if !ip(&["link", "show", "dev", &bridge])? {
        must(&[
            "link",
            "add",
            &bridge,
            "type",
            "bridge",
            "forward_delay",
            "0",
        ])?;
        let address = format!("{}/24", layout.bridge_address());
        must(&["address", "add", &address, "dev", &bridge])?;
        must(&["link", "set", &bridge, "up"])?;
    }
    for worker in layout.workers() {
        let namespace = worker.namespace.as_str();
        if std::path::Path::new("/run/netns").join(namespace).exists() {
            continue;
        }
        let device = worker.device.as_str();
        let address = format!("{}/24", worker.address);
        must(&["netns", "add", namespace])?;
        must(&[
            "link", "add", device, "type", "veth", "peer", "name", "uplink", "netns", namespace,
        ])?;
        must(&["link", "set", device, "master", &bridge, "up"])?;
        must(&["-netns", namespace, "link", "set", "lo", "up"])?;
        must(&[
            "-netns", namespace, "address", "add", &address, "dev", "uplink",
        ])?;
        must(&["-netns", namespace, "link", "set", "uplink", "up"])?;
        let router = layout.bridge_address().to_string();
        must(&[
            "-netns", namespace, "route", "add", "default", "via", &router,
        ])?;
    }
    open_way_out(layout)
}

/// Workers are hidden behind this machine, in a table of their own.
fn open_way_out(layout: &Layout) -> anyhow::Result<()> {
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("forward for workers")?;
    let (bridge, net) = (layout.bridge(), format!("{}/24", layout.bridge_address()));
    nft(&format!(
        "\
add table ip {bridge}
delete table ip {bridge}
table ip {bridge} {{
  chain hidden {{ type nat hook postrouting priority srcnat; policy accept;
    ip saddr {net} oifname != \"{bridge}\" masquerade
  }}
}}
"
    ))
}

fn nft(commands: &str) -> anyhow::Result<()> {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("run nft (apt-get install nftables)")?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(commands.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    bail!("nft: {}", String::from_utf8_lossy(&output.stderr).trim())
}

/// Removes all of it. Everything that workers made in their namespaces goes with these.
pub fn remove(layout: &Layout) -> anyhow::Result<()> {
    for worker in layout.workers() {
        if std::path::Path::new("/run/netns")
            .join(&worker.namespace)
            .exists()
        {
            must(&["netns", "delete", &worker.namespace])?;
        }
        if ip(&["link", "show", "dev", &worker.device])? {
            // It dies with its peer's namespace, a moment later.
            ip(&["link", "delete", &worker.device])?;
        }
    }
    let bridge = layout.bridge();
    if ip(&["link", "show", "dev", &bridge])? {
        must(&["link", "delete", &bridge])?;
    }
    nft(&format!(
        "add table ip {bridge}\ndelete table ip {bridge}\n"
    ))
}

fn ip(arguments: &[&str]) -> anyhow::Result<bool> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .context("run ip (apt-get install iproute2)")?;
    Ok(output.status.success())
}

fn must(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .context("run ip")?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    bail!("ip {}: {}", arguments.join(" "), text.trim())
}
