//! Everything that liblxc is told of a container, as a structure. Users have no say in keys: there is none that passes
//! something through, and no hook. Texts that users had a part in are checked here once more, whatever checked them
//! before, since a line break would be another key where liblxc keeps its file.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::cgroup::Cgroups;
use crate::fault::AgentFault;
use crate::limits::{DeviceRule, Limits, of_processes};
use crate::vnode_dir::make_dir;

/// Ids of each vnode: a whole 16-bit range.
const IDS: u32 = 65_536;

/// Capabilities that no vnode has, even over what is its own. Those that are left hold in its user namespace only.
pub const DROPPED_CAPABILITIES: [&str; 11] = [
    "audit_control",
    "block_suspend",
    "mac_admin",
    "mac_override",
    "sys_module",
    "sys_rawio",
    // Would raise what a vnode may hold of the kernel's own objects: the limits of `per_vnode`.
    "sys_resource",
    "sys_time",
    "syslog",
    "wake_alarm",
    "bpf",
];

/// Files that tell of the worker or rule it. Nothing is written there from another user namespace in any case; hidden,
/// they are not read either. Root of the vnode may take the covers off, and then stands before the kernel's own checks.
/// `proc/sysrq-trigger` is not among them: liblxc has it read-only, and CRIU cannot restore a second mount over that where the
/// worker's /dev is `nosuid`.
const MASKED_FILES: [&str; 8] = [
    "proc/kcore",
    "proc/keys",
    "proc/key-users",
    "proc/kallsyms",
    "proc/kmsg",
    "proc/sched_debug",
    "proc/timer_list",
    "proc/interrupts",
];
const MASKED_DIRS: [&str; 6] = [
    "proc/acpi",
    "proc/asound",
    "proc/scsi",
    "sys/firmware",
    "sys/kernel/debug",
    "sys/fs/bpf",
];

/// Makes what covers directories in vnodes.
///
/// # Errors
/// It cannot be made.
pub(crate) fn make_empty(below: &Path) -> Result<(), AgentFault> {
    make_dir(below, 0o755)?;
    let mut covers = MASKED_DIRS
        .iter()
        .map(|dir| below.join(dir.replace('/', ".")));
    covers.try_for_each(|cover| make_dir(&cover, 0o555))
}

/// A file of the worker that is seen in the vnode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindMount {
    pub source: PathBuf,
    /// Below the vnode's root, without a leading `/`.
    pub target: String,
    /// Of the mount, as `ro`.
    pub options: &'static [&'static str],
    pub kind: BindKind,
}

/// What a bind mount is of, and whether its target is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindKind {
    /// A file, whose place is made if it is not there.
    File,
    /// A directory, whose place is made if it is not there.
    Directory,
    /// Whatever is there already; if nothing is, it is left out.
    Over,
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerConfig {
    pub hostname: String,
    pub rootfs: PathBuf,
    pub uid_base: u32,
    /// The worker's end of nothing: the device that the container gets, and is called `eth0` there.
    pub device: String,
    pub address: Ipv4Addr,
    pub prefix: u8,
    pub gateway: Ipv4Addr,
    pub mounts: Vec<BindMount>,
    pub init: Vec<String>,
    pub stop_signal: String,
    /// `NAME=value` each.
    pub environment: Vec<String>,
    /// Where the first process starts, if not at `/`.
    pub directory: Option<String>,
    pub seccomp: PathBuf,
    pub devices: Vec<DeviceRule>,
    pub limits: Limits,
    pub log: PathBuf,
    /// Where [`make_empty`] has made directories of the worker with nothing in them. File systems of the vnode's own would do
    /// as well, but CRIU packs and unpacks each.
    pub empty: PathBuf,
    /// The profile of AppArmor, where the kernel has it.
    pub apparmor: Option<&'static str>,
}

impl ContainerConfig {
    /// The configuration items in order.
    ///
    /// # Errors
    /// A text has characters that do not belong there.
    pub fn items(
        &self,
        cgroups: &Cgroups,
        group: &str,
    ) -> Result<Vec<(String, String)>, AgentFault> {
        self.argv()?;
        let mut items = self.identity()?;
        items.extend(self.network());
        items.extend(self.files()?);
        items.extend(self.process()?);
        items.push(("lxc.cgroup.dir".to_owned(), group.to_owned()));
        items.extend(self.cgroup(cgroups));
        for (key, value) in &items {
            check(key, value)?;
        }
        Ok(items)
    }

    /// The first process: a program by its whole path, and its arguments. They are handed over beside the items.
    ///
    /// # Errors
    /// A text has characters that do not belong there.
    pub fn argv(&self) -> Result<Vec<String>, AgentFault> {
        let program = self.init.first().map_or("", String::as_str);
        if !program.starts_with('/') {
            return Err(unfit("program", program));
        }
        match self.init.iter().find(|text| text.chars().any(is_control)) {
            Some(bad) => Err(unfit("argument", bad)),
            None => Ok(self.init.clone()),
        }
    }

    fn identity(&self) -> Result<Vec<(String, String)>, AgentFault> {
        let ids = |kind| format!("{kind} 0 {} {IDS}", self.uid_base);
        Ok(named([
            ("lxc.uts.name", word("hostname", &self.hostname)?),
            ("lxc.rootfs.path", format!("dir:{}", path(&self.rootfs)?)),
            ("lxc.idmap", ids("u")),
            ("lxc.idmap", ids("g")),
        ]))
    }

    fn network(&self) -> Vec<(String, String)> {
        named([
            ("lxc.net.0.type", "phys".to_owned()),
            ("lxc.net.0.link", self.device.clone()),
            ("lxc.net.0.name", "eth0".to_owned()),
            ("lxc.net.0.flags", "up".to_owned()),
            (
                "lxc.net.0.ipv4.address",
                format!("{}/{}", self.address, self.prefix),
            ),
            ("lxc.net.0.ipv4.gateway", self.gateway.to_string()),
        ])
    }

    fn files(&self) -> Result<Vec<(String, String)>, AgentFault> {
        let mut items = named([("lxc.mount.auto", "proc:mixed sys:ro".to_owned())]);
        let mut mount = |entry: String| items.push(("lxc.mount.entry".to_owned(), entry));
        for file in MASKED_FILES {
            mount(format!("/dev/null {file} none bind,optional 0 0"));
        }
        for dir in MASKED_DIRS {
            // One each: CRIU forgets that what it binds to a second place was read-only.
            let empty = path(&self.empty.join(dir.replace('/', ".")))?;
            mount(format!(
                "{empty} {dir} none bind,ro,nosuid,nodev,noexec,optional 0 0"
            ));
        }
        for bind in &self.mounts {
            mount(bind.entry()?);
        }
        Ok(items)
    }

    fn process(&self) -> Result<Vec<(String, String)>, AgentFault> {
        let mut items = named([
            ("lxc.signal.halt", word("signal", &self.stop_signal)?),
            // Three terminals of the worker's own would be handed in otherwise.
            ("lxc.tty.max", "0".to_owned()),
            ("lxc.console.path", "none".to_owned()),
            ("lxc.pty.max", "256".to_owned()),
            ("lxc.seccomp.profile", path(&self.seccomp)?),
            ("lxc.cap.drop", DROPPED_CAPABILITIES.join(" ")),
            ("lxc.log.file", path(&self.log)?),
            // What is told above that costs thousands of lines and a third of the start.
            ("lxc.log.level", "WARN".to_owned()),
        ]);
        if let Some(profile) = self.apparmor {
            items.push(("lxc.apparmor.profile".to_owned(), profile.to_owned()));
        }
        for (limit, value) in of_processes() {
            items.push((format!("lxc.prlimit.{limit}"), value));
        }
        for variable in &self.environment {
            items.push(("lxc.environment".to_owned(), variable.clone()));
        }
        if let Some(directory) = &self.directory {
            items.push(("lxc.init.cwd".to_owned(), word("directory", directory)?));
        }
        Ok(items)
    }

    fn cgroup(&self, cgroups: &Cgroups) -> Vec<(String, String)> {
        let version = if cgroups.unified() {
            "lxc.cgroup2"
        } else {
            "lxc.cgroup"
        };
        let mut items = vec![(format!("{version}.devices.deny"), "a".to_owned())];
        for device in &self.devices {
            items.push((format!("{version}.devices.allow"), device.text()));
        }
        let words = self.limits.words(cgroups).into_iter();
        items.extend(words.map(|word| (format!("{version}.{}", word.file), word.value)));
        items
    }
}

impl BindMount {
    /// A line of fstab(5).
    fn entry(&self) -> Result<String, AgentFault> {
        let (source, target) = (path(&self.source)?, word("mount point", &self.target)?);
        let inside = !target.starts_with('/') && !target.split('/').any(|part| part == "..");
        if !inside {
            return Err(unfit("mount point", &self.target));
        }
        let options: String = self
            .options
            .iter()
            .map(|option| format!(",{option}"))
            .collect();
        let made = match self.kind {
            BindKind::File => ",create=file",
            BindKind::Directory => ",create=dir",
            BindKind::Over => ",optional",
        };
        Ok(format!("{source} {target} none bind{options}{made} 0 0"))
    }
}

fn named<const N: usize>(items: [(&str, String); N]) -> Vec<(String, String)> {
    let items = items.into_iter();
    items.map(|(key, value)| (key.to_owned(), value)).collect()
}

fn unfit(what: &str, value: &str) -> AgentFault {
    AgentFault::Unfit {
        what: what.to_owned(),
        value: value.escape_debug().to_string(),
    }
}

/// Characters that end a line for somebody, or that no text for people or programs has.
fn is_control(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

/// The last look at every value: liblxc must read from its file what it was told.
fn check(key: &str, value: &str) -> Result<(), AgentFault> {
    let quoted = |mark| value.len() > 1 && value.starts_with(mark) && value.ends_with(mark);
    let unread = value.trim() != value || value.is_empty() || quoted('"') || quoted('\'');
    if unread || value.chars().any(is_control) {
        return Err(unfit(key, value));
    }
    Ok(())
}

/// A value without white space.
fn word(what: &str, value: &str) -> Result<String, AgentFault> {
    let odd = |c: char| c.is_whitespace() || is_control(c) || c == '\\';
    if value.is_empty() || value.chars().any(odd) {
        return Err(unfit(what, value));
    }
    Ok(value.to_owned())
}

fn path(path: &Path) -> Result<String, AgentFault> {
    let text = path.to_str().unwrap_or_default();
    if !path.is_absolute() || text.is_empty() {
        return Err(unfit("path", &path.to_string_lossy()));
    }
    word("path", text)
}
