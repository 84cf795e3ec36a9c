//! Seeded simulation of a whole cluster: the real masters, each with a runtime of its own whose time is driven from
//! here, on simulated networks, clocks and disks. The same seed is the same run, to the last message.
//!
//! `sim run SEED` tells the story of a seed; `sim many FIRST COUNT` runs many and stops at the first that fails, `sim
//! survey FIRST COUNT` goes on and counts; `sim stories` runs those that once found something. docs/adr/0010 says why it
//! is built so.

mod clients;
mod disk;
mod entropy;
mod logs;
mod machine;
mod many;
mod network;
mod observe;
mod operator;
mod oracle;
mod paths;
mod profile;
mod settle;
mod simulation;
mod stories;
mod stream;
mod trace;
mod trouble;
mod violation;
mod ways;
mod weather;

use std::io::Write;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use many::{Plan, Summary, tell_met};
use simulation::Simulation;
use trace::Trace;

/// Lines of a story that went wrong.
const STORY_LINES: usize = 200;

static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// A line for people.
fn print(line: &str) {
    // Whoever reads may have gone.
    drop(writeln!(std::io::stdout(), "{line}"));
}

/// What panicked since somebody asked. tokio catches panics of tasks; here none may pass unseen.
fn panicked() -> Option<String> {
    PANIC.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn note_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let text = format!("{panic}\n{}", std::backtrace::Backtrace::capture());
        let mut noted = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
        noted.get_or_insert(text);
    }));
}

fn main() -> ExitCode {
    note_panics();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    obey(&words).unwrap_or_else(|| {
        print(
            "sim run SEED | sim twice SEED | sim many FIRST COUNT [SECONDS] | sim survey FIRST COUNT | sim stories",
        );
        ExitCode::from(2)
    })
}

fn obey(words: &[&str]) -> Option<ExitCode> {
    match words {
        ["run", seed] => Some(tell(seed.parse().ok()?)),
        ["quietly", seed] => Some(summarise(seed.parse().ok()?)),
        ["many", first, count] => Some(many::run(plan(first, count, None)?)),
        ["many", first, count, seconds] => Some(many::run(plan(first, count, Some(seconds))?)),
        ["survey", first, count] => Some(many::survey(plan(first, count, None)?)),
        ["twice", seed] => Some(many::twice(seed.parse().ok()?)),
        ["stories"] => Some(stories::run()),
        _ => None,
    }
}

fn plan(first: &str, count: &str, seconds: Option<&str>) -> Option<Plan> {
    let (first, count): (u64, u64) = (first.parse().ok()?, count.parse().ok()?);
    let limit = match seconds {
        Some(seconds) => Some(Duration::from_secs(seconds.parse().ok()?)),
        None => None,
    };
    Some(Plan {
        seeds: (first..first.checked_add(count)?).collect(),
        limit,
    })
}

/// Runs a seed on a thread of its own, which has drawn nothing yet that was not of the seed.
fn run(seed: u64, trace: Trace) -> Summary {
    let run = std::thread::spawn(move || run_here(seed, trace));
    run.join().expect("what panics within a run is its verdict")
}

fn run_here(seed: u64, trace: Trace) -> Summary {
    entropy::seed(seed);
    let began = Instant::now();
    let outcome = Simulation::new(seed, trace).run();
    Summary {
        seed,
        simulated_ms: outcome.simulated_ms,
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        accepted: outcome.accepted,
        troubles: outcome.troubles,
        reigns: outcome.reigns,
        fingerprint: outcome.fingerprint,
        met: outcome.met,
        failed: outcome.verdict.err(),
        story: Vec::new(),
    }
}

fn exit_code(summary: &Summary) -> ExitCode {
    ExitCode::from(u8::from(summary.failed.is_some()))
}

/// Tells the story as it happens, then the verdict.
fn tell(seed: u64) -> ExitCode {
    let trace = Trace::new(true);
    logs::begin(&trace, true);
    let summary = run(seed, trace);
    summary.tell();
    tell_met([&summary]);
    if let Some(violation) = &summary.failed {
        print(&format!("seed {seed} FAILED: {violation}"));
    }
    exit_code(&summary)
}

/// Only the summary, for [`many`]; with the end of the story if it went wrong.
fn summarise(seed: u64) -> ExitCode {
    let trace = Trace::new(false);
    logs::begin(&trace, false);
    let mut summary = run(seed, trace.clone());
    if summary.failed.is_some() {
        let lines = trace.lines();
        summary.story = lines[lines.len().saturating_sub(STORY_LINES)..].to_vec();
    }
    print(&serde_json::to_string(&summary).expect("plain data"));
    exit_code(&summary)
}
