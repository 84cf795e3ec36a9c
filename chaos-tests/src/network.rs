//! The network between masters: a bridge, a namespace for each of them, and rules that drop packets in between.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::process;

/// The network of one cluster; dropping it removes it.
pub struct Network {
    slot: u8,
    count: usize,
}

impl Network {
    /// Makes a bridge and `count` namespaces. The machine itself, and so the test, is on the bridge too.
    pub fn create(slot: u8, count: usize) -> anyhow::Result<Self> {
        let network = Self { slot, count };
        network.remove();
        let bridge = network.bridge();
        ip(&[
            "link",
            "add",
            &bridge,
            "type",
            "bridge",
            "forward_delay",
            "0",
        ])?;
        let address = format!("{}/24", network.address_of_machine());
        ip(&["address", "add", &address, "dev", &bridge])?;
        ip(&["link", "set", &bridge, "up"])?;
        for master in 0..count {
            network.add(master)?;
        }
        Ok(network)
    }

    fn add(&self, master: usize) -> anyhow::Result<()> {
        let (namespace, device) = (self.namespace(master), self.device(master));
        let address = format!("{}/24", self.address(master));
        ip(&["netns", "add", &namespace])?;
        ip(&[
            "link", "add", &device, "type", "veth", "peer", "name", "uplink", "netns", &namespace,
        ])?;
        ip(&["link", "set", &device, "master", &self.bridge(), "up"])?;
        ip(&["-netns", &namespace, "link", "set", "lo", "up"])?;
        ip(&[
            "-netns", &namespace, "address", "add", &address, "dev", "uplink",
        ])?;
        ip(&["-netns", &namespace, "link", "set", "uplink", "up"])
    }

    fn bridge(&self) -> String {
        format!("dkx{}", self.slot)
    }

    /// Name of a master's network namespace.
    #[must_use]
    pub fn namespace(&self, master: usize) -> String {
        format!("dkx{}-m{master}", self.slot)
    }

    fn device(&self, master: usize) -> String {
        format!("dkx{}m{master}", self.slot)
    }

    /// A master's address.
    #[must_use]
    pub fn address(&self, master: usize) -> Ipv4Addr {
        let host = u8::try_from(11 + master).expect("few masters");
        Ipv4Addr::new(10, 213, self.slot, host)
    }

    fn address_of_machine(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 213, self.slot, 1)
    }

    fn peers(&self, of: usize) -> impl Iterator<Item = usize> {
        (0..self.count).filter(move |other| *other != of)
    }

    /// Cuts a master off from the other masters, both ways; clients still reach it.
    pub fn isolate(&self, master: usize) -> anyhow::Result<()> {
        let rules: Vec<Rule> = self
            .peers(master)
            .flat_map(|other| [Rule::From(other), Rule::To(other)])
            .collect();
        self.rule(master, &rules)
    }

    /// Cuts a master off from everybody, both ways.
    pub fn unplug(&self, master: usize) -> anyhow::Result<()> {
        self.rule(master, &[Rule::FromAll, Rule::ToAll])
    }

    /// Cuts two masters off from each other, both ways.
    pub fn cut(&self, one: usize, other: usize) -> anyhow::Result<()> {
        self.rule(one, &[Rule::From(other), Rule::To(other)])
    }

    /// Drops what a master hears from the other masters: it can speak only.
    pub fn deafen(&self, master: usize) -> anyhow::Result<()> {
        let rules: Vec<Rule> = self.peers(master).map(Rule::From).collect();
        self.rule(master, &rules)
    }

    /// Drops what a master says to the other masters: it can hear only.
    pub fn mute(&self, master: usize) -> anyhow::Result<()> {
        let rules: Vec<Rule> = self.peers(master).map(Rule::To).collect();
        self.rule(master, &rules)
    }

    /// Loses so many percent of the packets that each master receives from the others.
    pub fn lossy(&self, percent: u8) -> anyhow::Result<()> {
        for master in 0..self.count {
            let rules: Vec<Rule> = self
                .peers(master)
                .map(|other| Rule::SomeFrom(other, percent))
                .collect();
            self.rule(master, &rules)?;
        }
        Ok(())
    }

    /// Removes all that drops packets.
    pub fn heal(&self) -> anyhow::Result<()> {
        (0..self.count).try_for_each(|master| self.rule(master, &[]))
    }

    /// Replaces a master's rules, in one transaction.
    fn rule(&self, master: usize, rules: &[Rule]) -> anyhow::Result<()> {
        let mut input = String::new();
        let mut output = String::new();
        for rule in rules {
            match rule {
                Rule::From(other) => writeln!(input, "ip saddr {} drop", self.address(*other))?,
                Rule::To(other) => writeln!(output, "ip daddr {} drop", self.address(*other))?,
                Rule::FromAll => writeln!(input, "iif uplink drop")?,
                Rule::ToAll => writeln!(output, "oif uplink drop")?,
                Rule::SomeFrom(other, percent) => writeln!(
                    input,
                    "ip saddr {} numgen random mod 100 < {percent} drop",
                    self.address(*other)
                )?,
            }
        }
        let table = format!(
            "table inet chaos\ndelete table inet chaos\ntable inet chaos {{\n\
             chain input {{ type filter hook input priority 0;\n{input}}}\n\
             chain output {{ type filter hook output priority 0;\n{output}}}\n}}\n"
        );
        nft(&self.namespace(master), &table)
    }

    /// Removes what there is of it, and also what a killed test left.
    fn remove(&self) {
        let mine = format!("dkx{}-m", self.slot);
        let names = std::fs::read_dir("/run/netns").into_iter().flatten();
        for name in names.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
            if let Some(number) = name.strip_prefix(&mine) {
                // What is gone already needs no removal.
                drop(ip(&["netns", "delete", &name]));
                drop(ip(&[
                    "link",
                    "delete",
                    &format!("dkx{}m{number}", self.slot),
                ]));
            }
        }
        drop(ip(&["link", "delete", &self.bridge()]));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Which packets a master drops.
enum Rule {
    From(usize),
    To(usize),
    FromAll,
    ToAll,
    SomeFrom(usize, u8),
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    process::run(Command::new("ip").args(arguments)).map(drop)
}

/// Loads a table inside a namespace.
fn nft(namespace: &str, table: &str) -> anyhow::Result<()> {
    let mut child = process::inside(namespace, Path::new("nft"))
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("run nft (apt-get install nftables)")?;
    let mut stdin = child.stdin.take().context("nft's input")?;
    stdin.write_all(table.as_bytes())?;
    drop(stdin);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("nft: {}\n{table}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
