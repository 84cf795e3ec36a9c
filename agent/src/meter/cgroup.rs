//! The cgroups of one container, with the files that are read each second held open: reading one is one system call.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::counters::Counters;
use super::parse;

/// Longest file that is read; what is beyond it is not looked at.
const BYTES_MAX: usize = 32 << 10;

/// Where files are read into. One for all.
pub struct Buffer(Box<[u8]>);

impl Default for Buffer {
    fn default() -> Self {
        Self(vec![0; BYTES_MAX].into_boxed_slice())
    }
}

/// A file that stays open.
pub struct Held(Option<File>);

impl Held {
    /// Opens it, if it is there.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        Self(File::open(path).ok())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.0.is_none()
    }

    /// What it says now.
    pub fn read<'b>(&mut self, buffer: &'b mut Buffer) -> Option<&'b str> {
        self.read_until(buffer, |more| more == 0)
    }

    /// The same of a file of a cgroup: the kernel tells such a one in one piece. If the cgroup is gone it cannot be read any
    /// more: it is missing from then on.
    fn read_piece<'b>(&mut self, buffer: &'b mut Buffer) -> Option<&'b str> {
        self.read_until(buffer, |_| true)
    }

    fn read_until<'b>(
        &mut self,
        buffer: &'b mut Buffer,
        is_end: impl Fn(usize) -> bool,
    ) -> Option<&'b str> {
        let file = self.0.as_ref()?;
        let mut length = 0;
        loop {
            match file.read_at(&mut buffer.0[length..], length as u64) {
                Ok(more) => {
                    length += more;
                    if is_end(more) {
                        break;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.0 = None;
                    return None;
                }
            }
        }
        std::str::from_utf8(&buffer.0[..length]).ok()
    }
}

/// Where cgroups are, and of which version.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
    unified: bool,
}

impl Layout {
    /// The layout below `root`, normally `/sys/fs/cgroup`.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            unified: root.join("cgroup.controllers").exists(),
        }
    }

    /// Directory of a cgroup in the hierarchy of `controller`.
    fn dir(&self, controller: &str, cgroup: &Path) -> PathBuf {
        if self.unified {
            self.root.join(cgroup)
        } else {
            self.root.join(controller).join(cgroup)
        }
    }

    /// Directory of a cgroup where pressure is told: also beside version 1, if that is mounted.
    fn pressure_dir(&self, cgroup: &Path) -> PathBuf {
        self.dir("unified", cgroup)
    }

    /// The cgroup of the processes inside a container, relative to each hierarchy: not that of its monitor. After a
    /// restart that found the old one still there it has a number behind its name.
    fn payload(&self, prefix: &str, container: &str) -> PathBuf {
        let above = Path::new(prefix).join(container);
        let name = format!("lxc.payload.{container}");
        let plain = above.join(&name);
        if self.dir("memory", &plain).is_dir() {
            return plain;
        }
        let entries = std::fs::read_dir(self.dir("memory", &above));
        let found = entries.into_iter().flatten().flatten().find(|entry| {
            let found = entry.file_name();
            found.to_string_lossy().starts_with(&name)
        });
        found.map_or(above.clone(), |entry| above.join(entry.file_name()))
    }
}

/// The open files of one container.
pub struct Cgroup {
    unified: bool,
    /// The kernel gives each cgroup another.
    number: u64,
    cpu: Held,
    /// Version 1 tells elsewhere how long the limit held something back.
    throttled: Held,
    memory: Held,
    memory_stat: Held,
    processes: Held,
    io: Held,
    /// Version 1 tells bytes and operations in two files.
    io_count: Held,
    stall: [Held; 3],
}

impl Cgroup {
    /// Opens what there is of a container; none if it has no cgroup, and so no process.
    #[must_use]
    pub fn open(layout: &Layout, prefix: &str, container: &str) -> Option<Self> {
        let cgroup = layout.payload(prefix, container);
        let held =
            |controller: &str, name: &str| Held::open(&layout.dir(controller, &cgroup).join(name));
        let pressure = layout.pressure_dir(&cgroup);
        let stall = ["cpu", "memory", "io"]
            .map(|kind| Held::open(&pressure.join(format!("{kind}.pressure"))));
        let nothing = || Held(None);
        let number = std::fs::metadata(layout.dir("memory", &cgroup));
        let number = number.map_or(0, |dir| dir.ino());
        let opened = if layout.unified {
            Self {
                unified: true,
                number,
                cpu: held("", "cpu.stat"),
                throttled: nothing(),
                memory: held("", "memory.current"),
                memory_stat: held("", "memory.stat"),
                processes: held("", "pids.current"),
                io: held("", "io.stat"),
                io_count: nothing(),
                stall,
            }
        } else {
            Self {
                unified: false,
                number,
                cpu: held("cpuacct", "cpuacct.usage"),
                throttled: held("cpu", "cpu.stat"),
                memory: held("memory", "memory.usage_in_bytes"),
                memory_stat: held("memory", "memory.stat"),
                processes: held("pids", "pids.current"),
                io: held("blkio", "blkio.throttle.io_service_bytes_recursive"),
                io_count: held("blkio", "blkio.throttle.io_serviced_recursive"),
                stall,
            }
        };
        let gone = opened.cpu.is_missing() && opened.memory.is_missing();
        (!gone).then_some(opened)
    }

    /// Tells it from that of another run.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Reads all of it; none if the cgroup is gone.
    pub fn read(&mut self, buffer: &mut Buffer) -> Option<Counters> {
        let mut counters = Counters::default();
        self.read_cpu(&mut counters, buffer);
        self.read_memory(&mut counters, buffer);
        let processes = self.processes.read_piece(buffer);
        counters.processes = processes.and_then(parse::number);
        self.read_io(&mut counters, buffer);
        for (stall, told) in self.stall.iter_mut().zip(&mut counters.stall_us) {
            *told = stall.read_piece(buffer).and_then(parse::pressure_us);
        }
        let gone = self.cpu.is_missing() && self.memory.is_missing();
        (!gone).then_some(counters)
    }

    fn read_cpu(&mut self, counters: &mut Counters, buffer: &mut Buffer) {
        if self.unified {
            if let Some(text) = self.cpu.read_piece(buffer) {
                counters.cpu_us = parse::keyed(text, "usage_usec");
                counters.throttled_us = parse::keyed(text, "throttled_usec");
            }
            return;
        }
        let nanoseconds = self.cpu.read_piece(buffer).and_then(parse::number);
        counters.cpu_us = nanoseconds.map(|ns| ns / 1_000);
        let stat = self.throttled.read_piece(buffer);
        let nanoseconds = stat.and_then(|text| parse::keyed(text, "throttled_time"));
        counters.throttled_us = nanoseconds.map(|ns| ns / 1_000);
    }

    /// What the cache could drop at once is nothing that the vnode needs.
    fn read_memory(&mut self, counters: &mut Counters, buffer: &mut Buffer) {
        let key = if self.unified {
            "inactive_file"
        } else {
            "total_inactive_file"
        };
        let stat = self.memory_stat.read_piece(buffer);
        let droppable = stat.and_then(|text| parse::keyed(text, key)).unwrap_or(0);
        let used = self.memory.read_piece(buffer).and_then(parse::number);
        counters.memory_bytes = used.map(|bytes| bytes.saturating_sub(droppable));
    }

    fn read_io(&mut self, counters: &mut Counters, buffer: &mut Buffer) {
        if self.unified {
            counters.io = self.io.read_piece(buffer).map(parse::io_stat);
            return;
        }
        let bytes = self.io.read_piece(buffer).and_then(parse::blkio);
        let count = self.io_count.read_piece(buffer).and_then(parse::blkio);
        counters.io = bytes.map(|(read_bytes, written_bytes)| {
            let (reads, writes) = count.unwrap_or_default();
            parse::Io {
                read_bytes,
                written_bytes,
                reads,
                writes,
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A tree as the kernel would show it, of the recorded files.
    fn recorded(dir: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().expect("a directory")).expect("made");
            fs::write(path, text).expect("written");
        }
    }

    #[test]
    fn a_container_of_version_2_is_read_from_its_one_directory() {
        let dir = tempfile::tempdir().expect("a directory");
        let payload = |name: &str| format!("docklet/v7/lxc.payload.v7/{name}");
        recorded(
            dir.path(),
            &[
                ("cgroup.controllers", "cpu io memory pids\n"),
                (&payload("cpu.stat"), include_str!("recorded/v2/cpu.stat")),
                (
                    &payload("memory.current"),
                    include_str!("recorded/v2/memory.current"),
                ),
                (
                    &payload("memory.stat"),
                    include_str!("recorded/v2/memory.stat"),
                ),
                (
                    &payload("pids.current"),
                    include_str!("recorded/v2/pids.current"),
                ),
                (&payload("io.stat"), include_str!("recorded/v2/io.stat")),
                (
                    &payload("cpu.pressure"),
                    include_str!("recorded/v2/cpu.pressure"),
                ),
                (
                    &payload("io.pressure"),
                    include_str!("recorded/v2/io.pressure"),
                ),
            ],
        );
        let layout = Layout::of(dir.path());
        let mut cgroup = Cgroup::open(&layout, "docklet", "v7").expect("a cgroup");
        let read = cgroup.read(&mut Buffer::default()).expect("counters");
        assert_eq!(read.cpu_us, Some(2_116_418));
        assert_eq!(read.throttled_us, Some(1_958_211));
        assert_eq!(read.memory_bytes, Some(9_654_272 - 4_866_048));
        assert_eq!(read.processes, Some(4));
        assert_eq!(read.io.map(|io| (io.reads, io.writes)), Some((165, 20)));
        assert_eq!(read.stall_us, [Some(1_985_430), None, Some(30_441)]);
    }

    #[test]
    fn a_container_of_version_1_is_read_from_all_hierarchies() {
        let dir = tempfile::tempdir().expect("a directory");
        // What a monitor that died left has the plain name; the one that runs has a number.
        let payload = |controller: &str, name: &str| {
            format!("{controller}/docklet/v7/lxc.payload.v7-1/{name}")
        };
        recorded(
            dir.path(),
            &[
                (
                    &payload("cpuacct", "cpuacct.usage"),
                    include_str!("recorded/v1/cpuacct.usage"),
                ),
                (
                    &payload("cpu", "cpu.stat"),
                    include_str!("recorded/v1/cpu.stat"),
                ),
                (
                    &payload("memory", "memory.usage_in_bytes"),
                    include_str!("recorded/v1/memory.usage_in_bytes"),
                ),
                (
                    &payload("memory", "memory.stat"),
                    include_str!("recorded/v1/memory.stat"),
                ),
                (
                    &payload("pids", "pids.current"),
                    include_str!("recorded/v1/pids.current"),
                ),
                (
                    &payload("blkio", "blkio.throttle.io_service_bytes_recursive"),
                    include_str!("recorded/v1/blkio.throttle.io_service_bytes_recursive"),
                ),
                (
                    &payload("unified", "cpu.pressure"),
                    include_str!("recorded/v1/cpu.pressure"),
                ),
            ],
        );
        let layout = Layout::of(dir.path());
        let mut cgroup = Cgroup::open(&layout, "docklet", "v7").expect("a cgroup");
        let read = cgroup.read(&mut Buffer::default()).expect("counters");
        assert_eq!(read.cpu_us, Some(577_284));
        assert_eq!(read.throttled_us, Some(338_825));
        assert_eq!(read.memory_bytes, Some(1_183_744 - 12_288));
        assert_eq!(read.io.map(|io| io.written_bytes), Some(20_971_520));
        assert_eq!(read.stall_us, [Some(327_272), None, None]);
    }

    #[test]
    fn a_container_that_does_not_run_has_none() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(Cgroup::open(&Layout::of(dir.path()), "docklet", "v7").is_none());
    }
}
