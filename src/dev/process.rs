//! The dev cluster's processes: started in the background, known by their pid and start time.

use std::fs;
use std::num::NonZero;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, setsid};

/// What Tokio reads.
const THREADS: &str = "TOKIO_WORKER_THREADS";
/// A process that is told to stop has this long.
const STOP_DEADLINE: Duration = Duration::from_secs(8);

/// How many threads of a process take turns on the machine's cores. The cluster's processes share these: a thread that is woken
/// for what another would have come to itself costs more than it gives.
fn threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    (cores / 2).max(1)
}

/// Starts this program with these arguments in the background, in its own directory, and in a network namespace if one is
/// named.
pub fn start(
    arguments: &[&str],
    dir: &Path,
    namespace: Option<&str>,
    log: &Path,
    pid_file: &Path,
) -> anyhow::Result<()> {
    for file in [log, pid_file] {
        if let Some(dir) = file.parent() {
            fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
        }
    }
    let output = fs::OpenOptions::new().create(true).append(true).open(log);
    let output = output.with_context(|| format!("write {}", log.display()))?;
    let inside = namespace.map(|name| Path::new("/run/netns").join(name));
    let inside = inside
        .map(|path| fs::File::open(&path).with_context(|| format!("open {}", path.display())));
    let inside = inside.transpose()?;
    let mut command = Command::new(std::env::current_exe().context("find this program")?);
    command
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    if std::env::var_os(THREADS).is_none() {
        command.env(THREADS, threads().to_string());
    }
    // SAFETY: between fork and exec only setsid and setns are called, which are safe there.
    unsafe {
        command.pre_exec(move || {
            setsid()?;
            if let Some(file) = &inside {
                setns(file, CloneFlags::CLONE_NEWNET)?;
            }
            Ok(())
        });
    }
    let child = command
        .spawn()
        .context("start a process of the dev cluster")?;
    let pid = i32::try_from(child.id())?;
    let started = start_time(pid).context("the process ended at once")?;
    fs::write(pid_file, format!("{pid} {started}\n"))?;
    Ok(())
}

/// The pid in a file, if that very process still runs.
pub fn running(pid_file: &Path) -> Option<i32> {
    let text = fs::read_to_string(pid_file).ok()?;
    let (pid, started) = text.trim().split_once(' ')?;
    let pid = pid.parse().ok()?;
    (start_time(pid)? == started).then_some(pid)
}

/// When a process started, in the kernel's own count; none if it is gone or a zombie.
fn start_time(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain anything; fields are counted from its end.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let alive = fields
        .first()
        .is_some_and(|state| !matches!(*state, "Z" | "X"));
    alive
        .then(|| fields.get(19).map(|time| (*time).to_owned()))
        .flatten()
}

/// Stops a process, and kills it if it takes too long.
pub fn stop(pid_file: &Path) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut signal = Some(Signal::SIGTERM);
    while let Some(pid) = running(pid_file) {
        let late = begun.elapsed() > STOP_DEADLINE;
        if let Some(signal) = signal.take().or(late.then_some(Signal::SIGKILL)) {
            kill(Pid::from_raw(pid), signal).with_context(|| format!("stop process {pid}"))?;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    match fs::remove_file(pid_file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Kills everything in a worker's cgroups, and removes them.
pub fn clear_cgroups(prefix: &str) -> anyhow::Result<()> {
    let root = Path::new("/sys/fs/cgroup");
    let unified = root.join("cgroup.controllers").exists();
    let hierarchies: Vec<PathBuf> = if unified {
        vec![root.to_owned()]
    } else {
        let entries = fs::read_dir(root).context("list /sys/fs/cgroup")?;
        entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect()
    };
    let dirs = hierarchies.into_iter().map(|dir| dir.join(prefix));
    let dirs: Vec<PathBuf> = dirs.filter(|dir| dir.exists()).collect();
    // What is frozen in one hierarchy dies in none of them.
    for dir in &dirs {
        thaw(dir)?;
    }
    dirs.iter().try_for_each(|dir| clear(dir))
}

fn thaw(dir: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            thaw(&path)?;
        }
    }
    for (file, thawed) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
        let path = dir.join(file);
        if path.exists() {
            // Whoever is gone meanwhile is not frozen.
            let _ = fs::write(path, thawed);
        }
    }
    Ok(())
}

fn clear(dir: &Path) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        // One that a dying monitor makes for itself comes while others go.
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                clear(&path)?;
            }
        }
        let procs = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        for pid in procs.lines().filter_map(|line| line.parse().ok()) {
            // A process that ended meanwhile is what was wanted.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        match fs::remove_dir(dir) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) if begun.elapsed() > STOP_DEADLINE => {
                bail!("cgroup {} cannot be removed: {error}", dir.display())
            }
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Unmounts everything below a directory, the newest first.
pub fn unmount_below(dir: &Path) -> anyhow::Result<()> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("read the table of mounts")?;
    let points = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(PathBuf::from);
    let mut below: Vec<PathBuf> = points
        .filter(|point| point.starts_with(dir) && point != dir)
        .collect();
    below.reverse();
    for point in below {
        umount2(&point, MntFlags::MNT_DETACH)
            .with_context(|| format!("unmount {}", point.display()))?;
    }
    Ok(())
}
