//! Stopping this very process for a while, as SIGSTOP does, with all its threads, listeners and pages.
//!
//! A timer of the kernel lets it go on when the time is over: that needs nobody's help and cannot be forgotten. To go
//! on earlier there is a helper, this program anew, that holds the lifeline meanwhile: see [`dispatch`].

use std::io::Write;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use docklet_control::id::{DrillId, MasterId};
use docklet_control::model::drill::FaultEnd;
use docklet_link::{Credentials, Dialer};
use nix::sys::signal::{SigEvent, SigevNotify, Signal, kill, raise};
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use nix::unistd::{Pid, getppid};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines, stdin};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::lifeline::{Lifeline, Outside};

/// First argument by which the program knows that it is to be the helper.
const ARGUMENT: &str = "__drill-lifeline";
/// The helper has this long to hold the lifeline.
const START_DEADLINE: Duration = Duration::from_secs(3);
/// After the process went on the helper has this long to say why.
const WORD_DEADLINE: Duration = Duration::from_millis(500);
/// Should the first signal be undone by somebody, another follows this much later.
const INSIST_EVERY: Duration = Duration::from_millis(100);
/// What the helper says when it holds the lifeline, and what it is told when it matters.
const READY: &str = "ready";
const GO: &str = "go";
/// What it says of the end.
const SILENCE: &str = "silence";

/// The helper of a process that is going to stop.
pub struct Helper {
    /// Killed when dropped.
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Helper {
    /// Starts the helper and waits until it holds the lifeline.
    ///
    /// # Errors
    /// It cannot: then this process must not stop.
    pub async fn start(
        program: &Path,
        dir: &Path,
        drill: DrillId,
        others: &[Outside],
    ) -> Result<Self, String> {
        let mut child = Command::new(program)
            .arg(ARGUMENT)
            .arg(dir)
            .arg(drill.to_string())
            .args(
                others
                    .iter()
                    .map(|other| format!("{}={}", other.id, other.addr)),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("the helper cannot be started: {error}"))?;
        let input = child.stdin.take().ok_or("the helper has no input")?;
        let output = child.stdout.take().ok_or("the helper has no output")?;
        let mut helper = Self {
            _child: child,
            input,
            output: BufReader::new(output).lines(),
        };
        match helper.word(START_DEADLINE).await {
            Some(word) if word == READY => Ok(helper),
            Some(cause) => Err(cause),
            None => Err("the helper does not get ready".to_owned()),
        }
    }

    async fn word(&mut self, deadline: Duration) -> Option<String> {
        let line = tokio::time::timeout(deadline, self.output.next_line()).await;
        line.ok()?.ok()?
    }

    /// Stops this process; returns when it goes on: for how long it stood still, and why it goes on.
    ///
    /// # Errors
    /// It did not stop.
    pub async fn stop_this_process(
        mut self,
        time: Duration,
    ) -> Result<(Duration, FaultEnd), String> {
        let told = self.input.write_all(format!("{GO}\n").as_bytes()).await;
        told.map_err(|error| format!("the helper is gone: {error}"))?;
        let stopped = stop_for(time).map_err(|errno| format!("it cannot be stopped: {errno}"))?;
        if stopped >= time {
            return Ok((stopped, FaultEnd::Time));
        }
        let end = match self.word(WORD_DEADLINE).await {
            Some(word) if word == SILENCE => FaultEnd::Silence,
            Some(cause) => FaultEnd::Told { cause },
            None => FaultEnd::Told {
                cause: "somebody else let the process go on".to_owned(),
            },
        };
        Ok((stopped, end))
    }
}

/// Stops all threads of this process until the time is over or somebody sends SIGCONT; for how long.
fn stop_for(time: Duration) -> Result<Duration, nix::Error> {
    let event = SigEvent::new(SigevNotify::SigevSignal {
        signal: Signal::SIGCONT,
        si_value: 0,
    });
    let mut timer = Timer::new(ClockId::CLOCK_MONOTONIC, event)?;
    let expiration = Expiration::IntervalDelayed(time.into(), INSIST_EVERY.into());
    timer.set(expiration, TimerSetTimeFlags::empty())?;
    let began = Instant::now();
    raise(Signal::SIGSTOP)?;
    Ok(began.elapsed())
}

/// Runs as the helper if the arguments say so.
pub fn dispatch(arguments: &[String]) -> Option<ExitCode> {
    let [_, argument, dir, drill, others @ ..] = arguments else {
        return None;
    };
    if argument != ARGUMENT {
        return None;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let helped = match runtime {
        Ok(runtime) => runtime.block_on(help(dir, drill, others)),
        Err(error) => Err(error.to_string()),
    };
    match helped {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(cause) => {
            say(&cause);
            Some(ExitCode::FAILURE)
        }
    }
}

/// One line for the process that started this one, which may be gone.
fn say(word: &str) {
    let line = format!("{}\n", word.replace('\n', " "));
    let mut output = std::io::stdout();
    drop(
        output
            .write_all(line.as_bytes())
            .and_then(|()| output.flush()),
    );
}

async fn help(dir: &str, drill: &str, others: &[String]) -> Result<(), String> {
    let parent = getppid();
    let drill = drill.parse().map_err(|_| "the helper got no drill")?;
    let others: Option<Vec<Outside>> = others.iter().map(|text| outside(text)).collect();
    let others = others.ok_or("the helper got masters that are none")?;
    let credentials = Credentials::load(Path::new(dir)).map_err(|fault| fault.to_string())?;
    let own = credentials.identity;
    let around = Arc::new(Dialer::new(credentials));
    let lifeline = Lifeline::tie(around, own, drill, &others).await?;
    say(READY);
    let mut input = BufReader::new(stdin()).lines();
    if input.next_line().await.ok().flatten().as_deref() != Some(GO) {
        return Ok(());
    }
    tokio::select! {
        end = lifeline.gives_way() => let_go_on(parent, &end).await,
        // Its end of the pipe closes when the process has gone on or died.
        _ = input.next_line() => Ok(()),
    }
}

fn outside(text: &str) -> Option<Outside> {
    let (id, addr) = text.split_once('=')?;
    Some(Outside {
        id: MasterId(id.parse().ok()?),
        addr: addr.to_owned(),
    })
}

/// Lets the stopped process go on. It may not have stopped yet: so again, until it ends this one.
async fn let_go_on(parent: Pid, end: &FaultEnd) -> Result<(), String> {
    match end {
        FaultEnd::Told { cause } | FaultEnd::NotDone { cause } => say(cause),
        FaultEnd::Silence | FaultEnd::Time => say(SILENCE),
    }
    while getppid() == parent {
        kill(parent, Signal::SIGCONT).map_err(|errno| errno.to_string())?;
        tokio::time::sleep(INSIST_EVERY).await;
    }
    Ok(())
}
