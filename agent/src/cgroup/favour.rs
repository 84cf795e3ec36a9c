//! Moving processes between cgroups without waiting for the whole machine.
//!
//! A kernel usually lets each fork and exit pass for free, and makes whoever moves a process wait until all processors
//! have come by: 10 ms and more for each vnode and each program that is begun in one. Its option `favordynmods` turns that
//! around (ADR 0049). It counts for all hierarchies of the machine.

use std::fs;
use std::io;
use std::path::PathBuf;

use nix::mount::{MsFlags, mount};

/// The option, since Linux 6.0.
const OPTION: &str = "favordynmods";

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Favoured {
    /// This program set it.
    Now,
    /// It was set before.
    Already,
    /// It cannot be set, and why.
    Not(String),
}

/// Lets moves be quick from now on, if this kernel can. Whatever else was set of the hierarchy stays as it is.
#[must_use]
pub fn favour() -> Favoured {
    let table = match fs::read_to_string("/proc/self/mountinfo") {
        Ok(table) => table,
        Err(error) => return Favoured::Not(error.to_string()),
    };
    let Some(place) = Place::find(&table) else {
        return Favoured::Not("no hierarchy of version 2 is mounted".to_owned());
    };
    if place.has_it() {
        return Favoured::Already;
    }
    match place.set() {
        Ok(()) => Favoured::Now,
        Err(error) => Favoured::Not(format!("{}: {error}", place.target.display())),
    }
}

/// Whether it is set.
#[must_use]
pub fn is_favoured() -> bool {
    fs::read_to_string("/proc/self/mountinfo")
        .is_ok_and(|table| Place::find(&table).is_some_and(|place| place.has_it()))
}

/// Where version 2 is mounted, and how. Version 1 takes no such option of a hierarchy that is there.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    target: PathBuf,
    /// Of the mount.
    flags: MsFlags,
    /// Of the hierarchy.
    options: Vec<String>,
}

impl Place {
    /// The first of a table as `/proc/self/mountinfo`.
    fn find(table: &str) -> Option<Self> {
        table.lines().find_map(Self::of_line)
    }

    fn of_line(line: &str) -> Option<Self> {
        let (mounted, system) = line.split_once(" - ")?;
        let mut system = system.split(' ');
        if system.next()? != "cgroup2" {
            return None;
        }
        let mut mounted = mounted.split(' ').skip(4);
        let target = mounted.next()?;
        // Such a name would be written with its spaces as numbers.
        if target.contains('\\') {
            return None;
        }
        let flags = mounted.next()?.split(',').map(flag);
        let options = system.nth(1)?.split(',');
        Some(Self {
            target: target.into(),
            flags: flags.collect(),
            options: options
                .filter(|option| !["rw", "ro", ""].contains(option))
                .map(str::to_owned)
                .collect(),
        })
    }

    fn has_it(&self) -> bool {
        self.options.iter().any(|option| option == OPTION)
    }

    /// All options at once: those that are not named would go.
    fn all_options(&self) -> String {
        let named = self.options.iter().map(String::as_str);
        named.chain([OPTION]).collect::<Vec<_>>().join(",")
    }

    fn set(&self) -> io::Result<()> {
        mount(
            None::<&str>,
            &self.target,
            None::<&str>,
            MsFlags::MS_REMOUNT | self.flags,
            Some(self.all_options().as_str()),
        )?;
        // From within a container the kernel takes it and does nothing.
        is_favoured()
            .then_some(())
            .ok_or_else(|| io::Error::other("the kernel did not keep it"))
    }
}

/// A word about a mount, as the kernel writes it.
fn flag(word: &str) -> MsFlags {
    match word {
        "ro" => MsFlags::MS_RDONLY,
        "nosuid" => MsFlags::MS_NOSUID,
        "nodev" => MsFlags::MS_NODEV,
        "noexec" => MsFlags::MS_NOEXEC,
        "noatime" => MsFlags::MS_NOATIME,
        "nodiratime" => MsFlags::MS_NODIRATIME,
        "relatime" => MsFlags::MS_RELATIME,
        _ => MsFlags::empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
    const SYSTEMD: &str = "35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 \
                           - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n";

    #[test]
    fn what_is_set_of_the_hierarchy_and_its_mount_stays() {
        let place = Place::find(SYSTEMD).expect("found");
        assert!(!place.has_it());
        assert_eq!(
            place.all_options(),
            "nsdelegate,memory_recursiveprot,favordynmods"
        );
        let kept = ["nosuid", "nodev", "noexec", "relatime"].map(flag);
        assert_eq!(place.flags, kept.into_iter().collect());
    }

    #[test]
    fn beside_version_1_it_is_set_where_version_2_is() {
        let place = Place::find(HYBRID).expect("found");
        assert_eq!(place.target, PathBuf::from("/sys/fs/cgroup/unified"));
        assert_eq!(place.all_options(), "favordynmods");
        let only_1: String = HYBRID.lines().take(2).collect::<Vec<_>>().join("\n");
        assert_eq!(Place::find(&only_1), None);
    }

    #[test]
    fn what_is_set_already_is_seen() {
        let set = HYBRID.replace("cgroup2 rw", "cgroup2 rw,favordynmods");
        assert!(Place::find(&set).expect("found").has_it());
    }
}
