//! Other limits for what runs in a vnode's cgroup, and what of them a crash left half done.
//!
//! Memory that is in use cannot be taken away. Version 1 says so itself; version 2 would kill what does not fit, so there
//! a limit that only slows down and reclaims stands first, and the hard one follows if that was enough.

use std::io;
use std::path::{Path, PathBuf};

use docklet_control::amount::VnodeSize;
use docklet_control::id::VnodeId;
use nix::libc;

use super::{Cgroups, directories, processes};
use crate::fault::AgentFault;
use crate::limits::{Limits, Word};

/// The hard limit of version 2, and the one that only slows down.
const HARD: &str = "memory.max";
const SLOW: &str = "memory.high";

impl Cgroups {
    /// Puts other limits of CPU, memory and processes in force, and makes sure that the kernel has them. Those of
    /// memory come last, so that all others hold where that one has to wait.
    ///
    /// # Errors
    /// More memory is in use than is to be allowed; nothing runs; a file cannot be written, or says something else.
    pub fn relimit(&self, id: VnodeId, size: VnodeSize) -> Result<(), AgentFault> {
        let payload = self.payload(id)?.ok_or(AgentFault::NotRunning(id.0))?;
        let words = words(self, size);
        let is_memory = |word: &&Word| word.file.starts_with("memory.");
        for word in words.iter().filter(|word| !is_memory(word)) {
            payload.write(&word.file, &word.value)?;
        }
        let memory: Vec<&Word> = words.iter().filter(is_memory).collect();
        if self.unified() {
            payload.unified_memory(&memory)?;
        } else {
            payload.legacy_memory(&memory)?;
        }
        words.iter().try_for_each(|word| payload.check(word))
    }

    /// Sets limits of a container that just started which were put off, and makes sure that it has all of them: what liblxc
    /// accepts it may still ignore, a limit of the other version, say.
    ///
    /// # Errors
    /// It has others; nothing runs.
    pub(crate) fn complete(
        &self,
        id: VnodeId,
        late: &[Word],
        all: &[Word],
    ) -> Result<(), AgentFault> {
        let payload = self.payload(id)?.ok_or(AgentFault::NotRunning(id.0))?;
        late.iter()
            .try_for_each(|word| payload.write(&word.file, &word.value))?;
        all.iter().try_for_each(|word| payload.check(word))
    }

    /// Sets what an earlier process did not live to set: the CPU quota of a start, and memory that is only slowed down.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(crate) fn make_good(&self, id: VnodeId, size: VnodeSize) -> Result<(), AgentFault> {
        let Some(payload) = self.payload(id)? else {
            return Ok(());
        };
        let words = words(self, size);
        for word in words.iter().filter(|word| word.file.starts_with("cpu.")) {
            if payload.read(&word.file)? != word.value {
                payload.write(&word.file, &word.value)?;
            }
        }
        if self.unified() && payload.read(SLOW)? != "max" {
            payload.write(SLOW, "max")?;
        }
        Ok(())
    }

    /// The cgroup of the processes inside a container, not that of its monitor; none if there are none.
    fn payload(&self, id: VnodeId) -> Result<Option<Payload>, AgentFault> {
        let mut dirs = Vec::new();
        for above in self.dirs(id)? {
            for dir in directories(&above)? {
                let name = dir.file_name().unwrap_or_default().to_string_lossy();
                // One that an earlier run left has nothing in it.
                if name.starts_with("lxc.payload.") && !processes(&dir)?.is_empty() {
                    dirs.push(dir);
                }
            }
        }
        Ok((!dirs.is_empty()).then_some(Payload { dirs }))
    }
}

fn words(cgroups: &Cgroups, size: VnodeSize) -> Vec<Word> {
    Limits { size, io: None }.words(cgroups)
}

/// Directories of one cgroup, one in each hierarchy.
struct Payload {
    dirs: Vec<PathBuf>,
}

impl Payload {
    /// Where a file is; where it is not, what is wrong is told of the first.
    fn path(&self, file: &str) -> PathBuf {
        let mut paths = self.dirs.iter().map(|dir| dir.join(file));
        let found = paths.find(|path| path.exists());
        found.unwrap_or_else(|| self.dirs[0].join(file))
    }

    fn read(&self, file: &str) -> Result<String, AgentFault> {
        let path = self.path(file);
        let text = std::fs::read_to_string(&path).map_err(AgentFault::file("read", path))?;
        Ok(text.trim().to_owned())
    }

    /// None is no limit.
    fn bytes(&self, file: &str) -> Result<Option<u64>, AgentFault> {
        Ok(self.read(file)?.parse().ok())
    }

    fn write(&self, file: &str, value: &str) -> Result<(), AgentFault> {
        let path = self.path(file);
        write(&path, value).map_err(AgentFault::file("write", path))
    }

    fn check(&self, word: &Word) -> Result<(), AgentFault> {
        let found = self.read(&word.file)?;
        if found == word.value {
            return Ok(());
        }
        Err(AgentFault::Limit {
            key: word.file.clone(),
            wanted: word.value.clone(),
            found,
        })
    }

    /// With swap there is never less than without, at no moment.
    fn legacy_memory(&self, words: &[&Word]) -> Result<(), AgentFault> {
        let Some((first, _)) = words.split_first() else {
            return Ok(());
        };
        let raised = self.bytes(&first.file)? < first.value.parse().ok();
        let mut order = words.to_vec();
        if raised {
            order.reverse();
        }
        for word in order {
            let path = self.path(&word.file);
            match write(&path, &word.value) {
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                    return Err(self.in_use("memory.usage_in_bytes", word)?);
                }
                written => written.map_err(AgentFault::file("write", path))?,
            }
        }
        Ok(())
    }

    fn unified_memory(&self, words: &[&Word]) -> Result<(), AgentFault> {
        let hard = words.iter().find(|word| word.file == HARD);
        let Some(hard) = hard else { return Ok(()) };
        let wanted = hard.value.parse().ok();
        let lowered = self.bytes(HARD)?.is_none_or(|now| Some(now) > wanted);
        if lowered {
            // Returns when all that can be taken away was.
            self.write(SLOW, &hard.value)?;
            if self.bytes("memory.current")? > wanted {
                self.write(SLOW, "max")?;
                return Err(self.in_use("memory.current", hard)?);
            }
        }
        for word in words {
            self.write(&word.file, &word.value)?;
        }
        self.write(SLOW, "max")
    }

    fn in_use(&self, file: &str, word: &Word) -> Result<AgentFault, AgentFault> {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let used = self.bytes(file)?.unwrap_or_default();
        let wanted = word.value.parse().unwrap_or_default();
        Ok(AgentFault::MemoryInUse {
            used_mib: mib(used),
            wanted_mib: mib(wanted),
        })
    }
}

/// Never makes a file: the kernel's are there.
fn write(path: &Path, value: &str) -> io::Result<()> {
    use std::io::Write;
    let mut file = std::fs::File::options()
        .write(true)
        .truncate(true)
        .open(path)?;
    file.write_all(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use docklet_control::amount::{CpuMilli, MemoryMib};
    use tempfile::TempDir;

    use super::*;

    const V7: VnodeId = VnodeId(7);
    const MIB: u64 = 1 << 20;

    /// A cgroup of version 2 as the kernel shows it, in files that take whatever is written.
    struct Tree {
        dir: TempDir,
        cgroups: Cgroups,
    }

    impl Tree {
        fn using(mib: u64) -> Self {
            let dir = TempDir::new().expect("a directory");
            let tree = Self {
                cgroups: Cgroups::at(dir.path(), "docklet"),
                dir,
            };
            std::fs::create_dir_all(tree.path("")).expect("made");
            std::fs::write(tree.dir.path().join("cgroup.controllers"), "cpu memory").expect("made");
            for (file, says) in [
                ("cgroup.procs", "1\n"),
                (HARD, "268435456\n"),
                (SLOW, "max\n"),
                ("memory.swap.max", "0\n"),
                ("cpu.max", "100000 100000\n"),
                ("cpu.weight", "100\n"),
                ("pids.max", "64\n"),
            ] {
                std::fs::write(tree.path(file), says).expect("made");
            }
            std::fs::write(tree.path("memory.current"), (mib * MIB).to_string()).expect("made");
            tree
        }

        fn path(&self, file: &str) -> PathBuf {
            let payload = "docklet/v7/lxc.payload.v7";
            self.dir.path().join(payload).join(file)
        }

        fn says(&self, file: &str) -> String {
            let text = std::fs::read_to_string(self.path(file)).expect("readable");
            text.trim().to_owned()
        }
    }

    fn size(memory_mib: u32) -> VnodeSize {
        VnodeSize {
            cpu_milli: CpuMilli(1_500),
            memory_mib: MemoryMib(memory_mib),
            pids_max: 128,
        }
    }

    #[test]
    fn version_2_gets_all_limits_and_is_slowed_down_only_meanwhile() {
        for mib in [512, 128] {
            let tree = Tree::using(100);
            tree.cgroups.relimit(V7, size(mib)).expect("there is room");
            assert_eq!(tree.says(HARD), (u64::from(mib) * MIB).to_string());
            assert_eq!(tree.says(SLOW), "max");
            assert_eq!(tree.says("cpu.max"), "150000 100000");
            assert_eq!(
                (tree.says("cpu.weight"), tree.says("pids.max")),
                ("150".into(), "128".into())
            );
        }
    }

    /// The kernel would end processes until it fits.
    #[test]
    fn version_2_is_not_told_to_hold_less_than_is_in_use() {
        let tree = Tree::using(200);
        let refused = tree.cgroups.relimit(V7, size(128)).expect_err("in use");
        assert!(matches!(
            refused,
            AgentFault::MemoryInUse {
                used_mib: 200,
                wanted_mib: 128
            }
        ));
        assert_eq!(tree.says(HARD), (256 * MIB).to_string());
        assert_eq!(tree.says(SLOW), "max");
        assert_eq!(tree.says("pids.max"), "128", "what need not wait does not");
    }

    #[test]
    fn what_a_crash_left_slowed_down_or_without_quota_is_put_right() {
        let tree = Tree::using(10);
        std::fs::write(tree.path(SLOW), "1048576").expect("written");
        std::fs::write(tree.path("cpu.max"), "max 100000").expect("written");
        tree.cgroups.make_good(V7, size(256)).expect("done");
        assert_eq!(
            (tree.says(SLOW), tree.says("cpu.max")),
            ("max".into(), "150000 100000".into())
        );
        assert_eq!(tree.says(HARD), (256 * MIB).to_string(), "as it was");
        std::fs::write(tree.path("cgroup.procs"), "").expect("written");
        tree.cgroups.make_good(V7, size(256)).expect("nothing runs");
        let refused = tree.cgroups.relimit(V7, size(256));
        assert!(matches!(refused, Err(AgentFault::NotRunning(7))));
    }
}
