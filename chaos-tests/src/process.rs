//! Processes: started in a network namespace, signalled, waited for.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A command that is to run inside a network namespace; `ip` replaces itself by it, so that the pid is the program's.
pub fn inside(namespace: &str, program: &Path) -> Command {
    let mut command = Command::new("ip");
    command
        .args(["netns", "exec", namespace])
        .arg(program)
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end; answers its standard output.
pub fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .output()
        .with_context(|| format!("run {command:?}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?}: {}", text.trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Starts a command that stays; its output goes to the end of a file.
pub fn start(command: &mut Command, log: &Path) -> anyhow::Result<Child> {
    let output = fs::OpenOptions::new().create(true).append(true).open(log);
    let output = output.with_context(|| format!("write {}", log.display()))?;
    command.stdout(output.try_clone()?).stderr(output);
    command.spawn().with_context(|| format!("run {command:?}"))
}

/// Sends a signal to a child.
pub fn signal(child: &Child, signal: Signal) -> anyhow::Result<()> {
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    kill(pid, signal).with_context(|| format!("send {signal} to {pid}"))
}

/// Waits until a child has ended; answers after how long.
pub fn wait(child: &mut Child, patience: Duration) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    while child.try_wait()?.is_none() {
        if begun.elapsed() > patience {
            bail!("process {} did not end within {patience:?}", child.id());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(begun.elapsed())
}

/// A pid with the time at which that process started, so that it is never mistaken for another.
pub fn note(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain anything; fields are counted from its end.
    let (_, fields) = stat.rsplit_once(") ")?;
    let started = fields.split(' ').nth(19)?;
    Some(format!("{pid} {started}"))
}

/// Kills a process that [`note`] described, if it still runs.
pub fn kill_noted(noted: &str) {
    let pid = noted
        .split(' ')
        .next()
        .and_then(|pid| pid.parse::<u32>().ok());
    let Some(pid) = pid.filter(|pid| note(*pid).as_deref() == Some(noted)) else {
        return;
    };
    if let Ok(raw) = i32::try_from(pid) {
        // It may have ended in between.
        let _ = kill(Pid::from_raw(raw), Signal::SIGKILL);
    }
}
