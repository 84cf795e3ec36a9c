//! A new root file system on this machine: files are written and programs run as if it were the only one. A path in it
//! is resolved by the kernel from its root (openat2), so that no link in it leads out to this machine's own files.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, UtimensatFlags, fchmod, mkdirat, utimensat};
use nix::sys::time::TimeSpec;

/// Times in images: all the same, so that equal builds are equal, and late enough for ZIP, which knows none before 1980.
const EPOCH: i64 = 1_577_836_800;

/// Lines of a failed program's output that are told.
const TOLD_LINES: usize = 8;

/// The new root.
pub struct Root {
    path: PathBuf,
    dir: OwnedFd,
}

/// What a program within may reach.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Nothing,
    /// This machine's network, for the mirrors.
    Network,
}

impl Root {
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let dir = File::open(path).with_context(|| format!("open {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            dir: dir.into(),
        })
    }

    fn resolve(&self, path: &str, flags: OFlag) -> anyhow::Result<OwnedFd> {
        let within = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let mut how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .resolve(within);
        if flags.contains(OFlag::O_CREAT) {
            how = how.mode(Mode::from_bits_truncate(0o644));
        }
        openat2(&self.dir, path, how).with_context(|| format!("open {path} in the new root"))
    }

    /// Writes a file, and the directories that it is in.
    pub fn write(&self, path: &str, content: &[u8], mode: u32) -> anyhow::Result<()> {
        let (parent, _) = path.rsplit_once('/').context("a path has a slash")?;
        self.make_dirs(parent)?;
        let file = self.resolve(path, OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_WRONLY)?;
        let mut file = File::from(file);
        file.write_all(content)
            .with_context(|| format!("write {path}"))?;
        fchmod(&file, Mode::from_bits_truncate(mode)).with_context(|| format!("write {path}"))
    }

    fn make_dirs(&self, path: &str) -> anyhow::Result<()> {
        if path.is_empty() || self.resolve(path, OFlag::O_DIRECTORY).is_ok() {
            return Ok(());
        }
        let (parent, name) = path.rsplit_once('/').context("a path has a slash")?;
        self.make_dirs(parent)?;
        let parent = if parent.is_empty() { "/" } else { parent };
        let parent = self.resolve(parent, OFlag::O_DIRECTORY)?;
        mkdirat(&parent, name, Mode::from_bits_truncate(0o755))
            .with_context(|| format!("make {path} in the new root"))
    }

    /// Deletes what is in a directory; what is not there is deleted already.
    pub fn empty(&self, path: &str) -> anyhow::Result<()> {
        let Ok(dir) = self.resolve(path, OFlag::O_DIRECTORY) else {
            return Ok(());
        };
        use std::os::fd::AsRawFd;
        let dir = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
        for entry in std::fs::read_dir(&dir).with_context(|| format!("list {path}"))? {
            let entry = entry?;
            let inside = dir.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                std::fs::remove_dir_all(&inside)?;
            } else {
                std::fs::remove_file(&inside)?;
            }
        }
        Ok(())
    }

    /// Deletes a file, if it is there.
    pub fn delete(&self, path: &str) -> anyhow::Result<()> {
        let (parent, name) = path.rsplit_once('/').context("a path has a slash")?;
        let Ok(dir) = self.resolve(parent, OFlag::O_DIRECTORY) else {
            return Ok(());
        };
        let flag = nix::unistd::UnlinkatFlags::NoRemoveDir;
        match nix::unistd::unlinkat(&dir, name, flag) {
            Ok(()) | Err(nix::errno::Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno).with_context(|| format!("delete {path} in the new root")),
        }
    }

    /// Runs a program within: its own processes, mounts, host name; no environment but the given one. What it needs to
    /// do so is this machine's `unshare`, of util-linux.
    pub fn run(
        &self,
        argv: &[String],
        reach: Reach,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--uts",
            "--ipc",
            "--pid",
            "--fork",
            "--kill-child",
        ]);
        if reach == Reach::Nothing {
            command.arg("--net");
        }
        command
            .arg("--root")
            .arg(&self.path)
            .args(["--wd", "/", "--mount-proc", "--"]);
        command.args(argv).env_clear();
        command.env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        );
        command.env("HOME", "/root").env("LANG", "C.UTF-8");
        command.env("SOURCE_DATE_EPOCH", EPOCH.to_string());
        command.envs(environment.iter().copied());
        let output = command
            .output()
            .context("run unshare (apt-get install util-linux)")?;
        if output.status.success() {
            return Ok(());
        }
        let text = [output.stdout, output.stderr].concat();
        bail!(
            "{} failed in the new root: {}",
            argv.join(" "),
            last_lines(&text)
        )
    }

    /// Gives everything one time.
    pub fn settle_times(&self) -> anyhow::Result<()> {
        let time = TimeSpec::new(EPOCH, 0);
        let mut waiting = vec![self.path.clone()];
        while let Some(dir) = waiting.pop() {
            for entry in std::fs::read_dir(&dir)? {
                let path = entry?.path();
                if path.symlink_metadata()?.is_dir() {
                    waiting.push(path.clone());
                }
                utimensat(
                    nix::fcntl::AT_FDCWD,
                    &path,
                    &time,
                    &time,
                    UtimensatFlags::NoFollowSymlink,
                )
                .with_context(|| format!("set the time of {}", path.display()))?;
            }
        }
        utimensat(
            nix::fcntl::AT_FDCWD,
            &self.path,
            &time,
            &time,
            UtimensatFlags::NoFollowSymlink,
        )
        .context("set the time of the root")
    }
}

/// The end of a program's output.
pub fn last_lines(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let last: Vec<&str> = text.lines().rev().take(TOLD_LINES).collect();
    last.into_iter().rev().collect::<Vec<_>>().join("; ")
}
