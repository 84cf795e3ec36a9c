//! What a vnode sees of the cards that it was given: their device nodes, and the driver's libraries, which must be
//! those that the kernel's part of the driver belongs to. No program of the driver is ever run for a vnode, and nothing
//! of the vnode decides what is mounted: which cards, by their own names, is the log's matter; where their nodes and
//! libraries are, this machine's.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};

use super::{Card, GpuSettings, Sight};
use crate::container_config::{BindKind, BindMount};
use crate::fault::AgentFault;
use crate::inside::{Found, find};
use crate::limits::DeviceRule;

/// Nodes that all cards share. The first must be there; CUDA needs those after it.
const SHARED: [&str; 3] = ["nvidiactl", "nvidia-uvm", "nvidia-uvm-tools"];

/// Libraries of the driver for computing and for looking after cards, as `libnvidia-container` has them (`nvc_info.c`).
const LIBRARIES: [&str; 13] = [
    "libcuda",
    "libcudadebugger",
    "libnvidia-allocator",
    "libnvidia-cfg",
    "libnvidia-compiler",
    "libnvidia-fatbinaryloader",
    "libnvidia-gpucomp",
    "libnvidia-ml",
    "libnvidia-nvvm",
    "libnvidia-opencl",
    "libnvidia-pkcs11",
    "libnvidia-pkcs11-openssl3",
    "libnvidia-ptxjitcompiler",
];
/// The program that shows cards.
const PROGRAM: &str = "nvidia-smi";

/// Where loaders of the usual systems look without being told: Debian's, Fedora's, others'.
const LIBRARY_DIRS: [&str; 3] = ["usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/lib"];
/// Where images of NVIDIA's look, for systems that have something else in all of those.
const OWN_DIR: &str = "usr/local/nvidia";

/// How the machine's loader is asked for what it knows.
const LDCONFIG: &str = "/sbin/ldconfig";

const READ_ONLY: &[&str] = &["ro", "nosuid", "nodev"];

/// Devices that a vnode may use beside the usual, and what is mounted into it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    pub devices: Vec<DeviceRule>,
    pub mounts: Vec<BindMount>,
}

pub(super) fn give(
    settings: &GpuSettings,
    sight: &Sight,
    uuids: &[String],
    rootfs: &Path,
) -> Result<Given, AgentFault> {
    let mut given = Given::default();
    for uuid in uuids {
        let card = usable(sight, uuid)?;
        let name = format!("nvidia{}", card.minor);
        let added = given.add_node(&settings.dev_dir, &name);
        added.map_err(|cause| unusable(uuid, &cause))?;
    }
    for (place, name) in SHARED.iter().enumerate() {
        if place > 0 && !settings.dev_dir.join(name).exists() {
            continue;
        }
        let added = given.add_node(&settings.dev_dir, name);
        added.map_err(|cause| unusable(&uuids.join(", "), &cause))?;
    }
    let libraries = libraries(settings.driver_dir.as_deref())?;
    given.mounts.extend(library_mounts(libraries, rootfs));
    given
        .mounts
        .extend(program_mount(settings.driver_dir.as_deref(), rootfs));
    Ok(given)
}

fn usable<'s>(sight: &'s Sight, uuid: &str) -> Result<&'s Card, AgentFault> {
    let found = sight.cards.iter().find(|card| card.gpu.uuid == uuid);
    let card = found.ok_or_else(|| match &sight.problem {
        Some(problem) => unusable(uuid, &format!("it is not on this worker: {problem}")),
        None => unusable(uuid, "it is not on this worker"),
    })?;
    match &card.problem {
        Some(problem) => Err(unusable(uuid, problem)),
        None => Ok(card),
    }
}

fn unusable(gpu: &str, cause: &str) -> AgentFault {
    AgentFault::Gpu {
        gpu: gpu.to_owned(),
        cause: cause.to_owned(),
    }
}

impl Given {
    /// Adds a device node of the machine. Vnodes are other users: it must be open to all, as the driver makes it.
    fn add_node(&mut self, dir: &Path, name: &str) -> Result<(), String> {
        let path = dir.join(name);
        let shown = path.display();
        let meta = fs::symlink_metadata(&path).map_err(|error| {
            format!("{shown}: {error}: `nvidia-modprobe -u -c 0` or nvidia-persistenced makes it")
        })?;
        if !meta.file_type().is_char_device() {
            return Err(format!("{shown} is no character device"));
        }
        if meta.mode() & 0o006 != 0o006 {
            let mode = meta.mode() & 0o777;
            return Err(format!(
                "{shown} has mode {mode:o}: vnodes need 666 (NVreg_DeviceFileMode)"
            ));
        }
        let number =
            |part: u64| u32::try_from(part).map_err(|_| format!("{shown} has no usual number"));
        let rule = DeviceRule {
            major: number(major(meta.rdev()))?,
            minor: Some(number(minor(meta.rdev()))?),
        };
        if !DeviceRule::USUAL.contains(&rule) && !self.devices.contains(&rule) {
            self.devices.push(rule);
        }
        self.mounts.push(BindMount {
            source: path,
            target: format!("dev/{name}"),
            options: &["nosuid", "noexec"],
            kind: BindKind::File,
        });
        Ok(())
    }
}

/// The driver's libraries of this machine by the names that programs load them by.
fn libraries(dir: Option<&Path>) -> Result<BTreeMap<String, PathBuf>, AgentFault> {
    let known: Vec<(String, PathBuf)> = match dir {
        Some(dir) => fs::read_dir(dir)
            .map_err(AgentFault::file("list", dir))?
            .flatten()
            .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
            .collect(),
        None => loadable(&crate::command::run(LDCONFIG, &["-p"], "")?),
    };
    let ours = known.into_iter().filter(|(name, _)| is_library(name));
    // What a link stands for, as a mount needs it; one that stands for nothing is left out.
    let real = ours.filter_map(|(name, path)| Some((name, path.canonicalize().ok()?)));
    Ok(real.filter(|(_, path)| path.is_file()).collect())
}

/// Names and paths of what the machine's loader knows for programs of 64 bits, as `ldconfig -p` prints them.
fn loadable(text: &str) -> Vec<(String, PathBuf)> {
    let mut known = Vec::new();
    for line in text.lines() {
        let Some((name, path)) = line.split_once(" => ") else {
            continue;
        };
        let Some((name, kind)) = name.trim().split_once(' ') else {
            continue;
        };
        // Of several the loader takes the first.
        let new = !known.iter().any(|(known, _)| known == name);
        if new && kind.contains("x86-64") {
            known.push((name.to_owned(), PathBuf::from(path.trim())));
        }
    }
    known
}

/// Whether it is a library of the driver: `libcuda.so`, `libcuda.so.1`, `libcuda.so.550.54.14`.
fn is_library(name: &str) -> bool {
    let Some((stem, version)) = name.split_once(".so") else {
        return false;
    };
    let numbers = |rest: &str| {
        rest.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    let versioned = version.strip_prefix('.').is_some_and(numbers);
    // As `libnvidia-nvvm70.so.4`.
    let stem = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let known = |library: &&str| library.trim_end_matches(|c: char| c.is_ascii_digit()) == stem;
    LIBRARIES.iter().any(known) && (version.is_empty() || versioned)
}

/// Where the libraries are seen: where the vnode's own loader looks. It needs to be told nothing so, and nothing has to
/// be run in the vnode.
fn library_mounts(libraries: BTreeMap<String, PathBuf>, rootfs: &Path) -> Vec<BindMount> {
    let takes = |dir: &&str| {
        find(rootfs, dir) == Found::Directory
            && libraries.keys().all(|name| {
                let found = find(rootfs, &format!("{dir}/{name}"));
                matches!(found, Found::Nothing | Found::File)
            })
    };
    let dir = LIBRARY_DIRS.into_iter().find(takes).map(str::to_owned);
    let dir = dir.unwrap_or_else(|| format!("{OWN_DIR}/lib64"));
    let mount = |(name, source)| read_only(source, format!("{dir}/{name}"));
    libraries.into_iter().map(mount).collect()
}

fn program_mount(driver_dir: Option<&Path>, rootfs: &Path) -> Option<BindMount> {
    let source = driver_dir.unwrap_or(Path::new("/usr/bin")).join(PROGRAM);
    let source = source.canonicalize().ok().filter(|path| path.is_file())?;
    let place = format!("usr/bin/{PROGRAM}");
    let takes = find(rootfs, "usr/bin") == Found::Directory
        && matches!(find(rootfs, &place), Found::Nothing | Found::File);
    let target = if takes {
        place
    } else {
        format!("{OWN_DIR}/bin/{PROGRAM}")
    };
    Some(read_only(source, target))
}

fn read_only(source: PathBuf, target: String) -> BindMount {
    BindMount {
        source,
        target,
        options: READ_ONLY,
        kind: BindKind::File,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_loader_knows_is_read_and_only_the_driver_is_taken() {
        let text = "3 libs found in cache `/etc/ld.so.cache'\n\
            \tlibnvidia-ml.so.1 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1\n\
            \tlibnvidia-ml.so.1 (libc6,x86-64) => /opt/other/libnvidia-ml.so.1\n\
            \tlibcuda.so.1 (libc6) => /usr/lib/i386-linux-gnu/libcuda.so.1\n\
            \tlibcuda.so.1 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libcuda.so.1\n\
            Cache generated by: ldconfig (Debian GLIBC 2.36) stable release version 2.36\n";
        let ml = (
            "libnvidia-ml.so.1",
            "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1",
        );
        let cuda = ("libcuda.so.1", "/usr/lib/x86_64-linux-gnu/libcuda.so.1");
        let expected = [ml, cuda].map(|(name, path)| (name.to_owned(), PathBuf::from(path)));
        assert_eq!(loadable(text), expected);
        for name in [
            "libcuda.so",
            "libcuda.so.1",
            "libnvidia-gpucomp.so.550.54.14",
            "libnvidia-nvvm70.so.4",
            "libnvidia-pkcs11-openssl3.so.550.54.14",
        ] {
            assert!(is_library(name), "{name}");
        }
        for name in [
            "libc.so.6",
            "libcuda.so.1\nx",
            "libcuda.so.1 x",
            "libcudart.so.12",
            "libcuda.a",
            "x.so",
            "",
        ] {
            assert!(!is_library(name), "{name:?}");
        }
    }

    #[test]
    fn libraries_go_where_the_image_looks_unless_links_are_in_the_way() {
        let root = tempfile::tempdir().expect("a directory");
        let libraries = || BTreeMap::from([("libcuda.so.1".to_owned(), PathBuf::from("/x"))]);
        let target = || library_mounts(libraries(), root.path())[0].target.clone();
        assert_eq!(target(), "usr/local/nvidia/lib64/libcuda.so.1");
        fs::create_dir_all(root.path().join("usr/lib")).expect("made");
        assert_eq!(target(), "usr/lib/libcuda.so.1");
        let debian = root.path().join("usr/lib/x86_64-linux-gnu");
        fs::create_dir(&debian).expect("made");
        assert_eq!(target(), "usr/lib/x86_64-linux-gnu/libcuda.so.1");
        fs::write(debian.join("libcuda.so.1"), "another").expect("written");
        assert_eq!(target(), "usr/lib/x86_64-linux-gnu/libcuda.so.1");
        fs::remove_file(debian.join("libcuda.so.1")).expect("gone");
        std::os::unix::fs::symlink("/etc/passwd", debian.join("libcuda.so.1")).expect("linked");
        assert_eq!(target(), "usr/lib/libcuda.so.1");
        fs::remove_dir_all(root.path().join("usr/lib")).expect("gone");
        std::os::unix::fs::symlink("/tmp", root.path().join("usr/lib")).expect("linked");
        assert_eq!(target(), "usr/local/nvidia/lib64/libcuda.so.1");
    }

    #[test]
    fn a_card_that_is_not_here_or_not_well_is_given_to_nobody() {
        let dir = tempfile::tempdir().expect("a directory");
        let settings = GpuSettings {
            library: None,
            dev_dir: dir.path().to_owned(),
            driver_dir: Some(dir.path().to_owned()),
        };
        let card = Card {
            gpu: docklet_control::model::Gpu {
                uuid: "GPU-a".to_owned(),
                model: "A100".to_owned(),
                memory_mib: docklet_control::amount::MemoryMib(1),
            },
            minor: 0,
            problem: None,
            figures: super::super::Figures::default(),
        };
        let mut sight = Sight {
            cards: vec![card],
            problem: None,
        };
        let ask = |sight: &Sight, uuid: &str| {
            let asked = give(&settings, sight, &[uuid.to_owned()], dir.path());
            asked.expect_err("refused").full_text()
        };
        assert!(ask(&sight, "GPU-b").contains("not on this worker"));
        assert!(
            ask(&sight, "GPU-a").contains("nvidia-modprobe"),
            "it has no node"
        );
        // A link in its place would be another device's.
        std::os::unix::fs::symlink("/dev/mem", dir.path().join("nvidia0")).expect("linked");
        assert!(ask(&sight, "GPU-a").contains("no character device"));
        sight.cards[0].problem = Some("error 79".to_owned());
        assert!(ask(&sight, "GPU-a").contains("error 79"));
    }
}
