//! The fence: a process of its own that ends vnodes when the worker's lease is over.
//!
//! It is the agent's program, re-executed, with one thread, and needs nothing but the note and the cgroups' files. It
//! outlives the agent, which may be killed or stopped, and an agent that comes later goes on with it. It is not called as
//! the agent is, so that who ends all processes of that name does not end it. It goes when nothing needs a lease.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};
use nix::unistd::Pid;

use super::note::{Note, boot_ms};
use crate::fault::AgentFault;
use crate::open_files;

/// First argument by which the program knows that it is to be the fence.
pub const ARGUMENT: &str = "__fence";
/// What the kernel calls it.
const NAME: &std::ffi::CStr = c"vnode-fence";
/// While the lease is over it looks this often whether anything runs.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// It reads the note at least this often, so that it goes when it is not needed.
const READ_EVERY_MS: u64 = 5_000;
/// A lock that is held for so long is another fence's.
const HOLD_MAX: Duration = Duration::from_millis(300);
/// A fence that was started holds its lock within this time.
const START_MAX: Duration = Duration::from_secs(2);
/// A fence that was killed is gone within this time.
const END_MAX: Duration = Duration::from_secs(2);
/// So long after the lease nothing that was begun under it can still come: then it goes.
const LINGER_MS: u64 = 30_000;
/// The kernel ends others before it when memory is short.
const OOM_SCORE: &str = "-1000";

/// Becomes the fence if the arguments say so. To be called before any thread exists.
#[must_use]
pub fn dispatch(arguments: &[String]) -> Option<ExitCode> {
    match arguments {
        [_, first, note, lock] if first == ARGUMENT => {
            let served = serve(Path::new(note), Path::new(lock));
            Some(served.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS))
        }
        _ => None,
    }
}

fn serve(note: &Path, lock: &Path) -> Result<(), AgentFault> {
    let Some(_held) = hold(lock)? else {
        // Another was sooner.
        return Ok(());
    };
    open_files::lower()?;
    // Whatever ends the agent's terminal or group does not concern it. Who leads a session already has one of its own.
    let _ = nix::unistd::setsid();
    // It talks to nobody, and a network that it were in could not go.
    let _ = unshare(CloneFlags::CLONE_NEWNET);
    nix::sys::prctl::set_name(NAME).map_err(std::io::Error::from)?;
    // It is a wish; where it is refused the fence is one process among others.
    let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    let mut known: Option<Note> = None;
    let mut any_at_ms = boot_ms();
    loop {
        match Note::read(note) {
            Ok(Some(read)) => known = Some(read),
            // Nobody adds to a lease whose note is gone; what it was for ends with it.
            Ok(None) if known.as_ref().is_none_or(is_over_and_done) => return Ok(()),
            // As long as it cannot be read, what it said last counts.
            Ok(None) | Err(_) => {}
        }
        let Some(now) = known.as_ref().filter(|note| !note.vnodes.is_empty()) else {
            return Ok(());
        };
        if boot_ms() < now.ends_ms && now.is_of_this_boot() {
            sleep_until(now.ends_ms.min(boot_ms() + READ_EVERY_MS));
            any_at_ms = boot_ms();
        } else if end(now) {
            any_at_ms = boot_ms();
        } else if boot_ms() - any_at_ms > LINGER_MS {
            return Ok(());
        } else {
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

fn is_over_and_done(note: &Note) -> bool {
    boot_ms() >= note.ends_ms && !end(note)
}

/// Kills whatever there is of all of them, none after the other; answers whether there was anything.
fn end(note: &Note) -> bool {
    let mut any = false;
    for vnode in &note.vnodes {
        // What cannot be looked at now is looked at again at once.
        any |= note.cgroups.kill(*vnode).unwrap_or(true);
    }
    any
}

/// By the clock that runs on while the machine sleeps.
fn sleep_until(ms: u64) {
    let until = TimeSpec::from_duration(Duration::from_millis(ms));
    // Whoever is woken early looks again.
    let _ = clock_nanosleep(
        ClockId::CLOCK_BOOTTIME,
        ClockNanosleepFlags::TIMER_ABSTIME,
        &until,
    );
}

/// None if another fence holds it.
fn hold(lock: &Path) -> Result<Option<Flock<File>>, AgentFault> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(lock)
        .map_err(AgentFault::file("open", lock))?;
    // Whoever looks whether a fence lives has it for a moment.
    let held = lock_within(lock, file, FlockArg::LockExclusiveNonblock, HOLD_MAX)?;
    let Some(mut held) = held else {
        return Ok(None);
    };
    held.set_len(0)
        .and_then(|()| write!(held, "{}", std::process::id()))
        .map_err(AgentFault::file("write", lock))?;
    Ok(Some(held))
}

/// The lock as soon as it is free; none if somebody holds it for all of this time.
fn lock_within(
    lock: &Path,
    mut file: File,
    how: FlockArg,
    most: Duration,
) -> Result<Option<Flock<File>>, AgentFault> {
    let begun = Instant::now();
    loop {
        file = match Flock::lock(file, how) {
            Ok(held) => return Ok(Some(held)),
            Err((file, Errno::EWOULDBLOCK)) if begun.elapsed() < most => file,
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, errno)) => return Err(AgentFault::file("lock", lock)(errno.into())),
        };
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a fence lives that can act. One that somebody has stopped is ended.
pub(super) fn lives(lock: &Path) -> Result<bool, AgentFault> {
    let file = match File::open(lock) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        file => file.map_err(AgentFault::file("open", lock))?,
    };
    let shared = FlockArg::LockSharedNonblock;
    if lock_within(lock, file, shared, Duration::ZERO)?.is_some() {
        return Ok(false);
    }
    let text = fs::read_to_string(lock).map_err(AgentFault::file("read", lock))?;
    let Some(pid) = text.trim().parse().ok().map(Pid::from_raw) else {
        // It is about to write it.
        return Ok(false);
    };
    if acts(pid) {
        return Ok(true);
    }
    // It may have ended meanwhile.
    let _ = kill(pid, Signal::SIGKILL);
    // Until it is gone it looks like one that acts, and holds the lock that the next one needs.
    gone(lock)?;
    Ok(false)
}

/// Waits until nobody holds the lock: a fence that was killed has ended.
fn gone(lock: &Path) -> Result<(), AgentFault> {
    let file = File::open(lock).map_err(AgentFault::file("open", lock))?;
    let free = lock_within(lock, file, FlockArg::LockSharedNonblock, END_MAX)?;
    free.map(drop)
        .ok_or_else(|| AgentFault::Lease("its fence was stopped and does not end".to_owned()))
}

/// Whether a process is neither stopped nor at its end.
fn acts(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !"TtZXx".contains(state))
}

/// Starts one, and waits until it holds its lock.
pub(super) fn start(program: &PathBuf, note: &Path, lock: &Path) -> Result<Child, AgentFault> {
    let mut child = Command::new(program)
        .arg(ARGUMENT)
        .args([note, lock])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|source| AgentFault::Spawn {
            program: program.display().to_string(),
            source,
        })?;
    let begun = Instant::now();
    while begun.elapsed() < START_MAX {
        if lives(lock)? {
            return Ok(child);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    drop(child.kill());
    drop(child.wait());
    Err(AgentFault::Lease("its fence does not start".to_owned()))
}
