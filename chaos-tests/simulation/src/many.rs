//! Many seeds, each in a process of its own, on all cores. The first that fails ends it, with what replays it.

use std::collections::BTreeMap;
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::print;
use crate::violation::{Law, Violation};

/// A run that takes longer hangs.
const RUN_MAX: Duration = Duration::from_secs(600);
/// How often finished runs are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What a run of a seed says at its end, on the last line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    pub seed: u64,
    pub simulated_ms: u64,
    pub took_ms: u64,
    pub accepted: usize,
    pub troubles: u64,
    pub reigns: usize,
    pub fingerprint: u64,
    /// Faults and rare paths that it came through, and how often.
    pub met: BTreeMap<String, u64>,
    pub failed: Option<Violation>,
    /// The last lines of a story that went wrong.
    pub story: Vec<String>,
}

impl Summary {
    pub fn tell(&self) {
        let seconds = |ms: u64| format!("{}.{:03} s", ms / 1_000, ms % 1_000);
        print(&format!(
            "seed {}: {} simulated in {}, {} promises, {} troubles, {} reigns, fingerprint {:016x}",
            self.seed,
            seconds(self.simulated_ms),
            seconds(self.took_ms),
            self.accepted,
            self.troubles,
            self.reigns,
            self.fingerprint
        ));
    }
}

/// Which seeds, and for how long.
pub struct Plan {
    pub seeds: Vec<u64>,
    /// No more are begun after this.
    pub limit: Option<Duration>,
}

struct Running {
    seed: u64,
    child: Child,
    began: Instant,
}

/// What came of a seed: its summary, or why there is none.
type Ended = Result<Summary, String>;

/// Runs them, and stops at the first that fails.
pub fn run(plan: Plan) -> ExitCode {
    let began = Instant::now();
    let mut done = Vec::new();
    let failed = each(plan, |seed, ended| match ended {
        Ok(summary) if summary.failed.is_none() => {
            summary.tell();
            done.push(summary);
            Ok(())
        }
        ended => Err(Box::new((seed, ended))),
    });
    if let Err(failed) = failed {
        let (seed, ended) = *failed;
        tell_failure(seed, ended);
        return ExitCode::FAILURE;
    }
    tell_met(&done);
    sum_up(&done, began.elapsed());
    ExitCode::SUCCESS
}

/// Runs them all, and counts which laws were broken.
pub fn survey(plan: Plan) -> ExitCode {
    let began = Instant::now();
    let mut done = Vec::new();
    let mut broken: BTreeMap<Law, Vec<u64>> = BTreeMap::new();
    let all = each(plan, |seed, ended| {
        let violation = match ended {
            Ok(summary) => {
                let failed = summary.failed.clone();
                done.push(summary);
                failed
            }
            Err(why) => Some(Violation::of(Law::Panics, why)),
        };
        if let Some(violation) = violation {
            let line = violation.to_string();
            let line = line.lines().take(2).collect::<Vec<_>>().join(" ");
            print(&format!("seed {seed}: {line}"));
            broken.entry(violation.law).or_default().push(seed);
        }
        Ok::<(), std::convert::Infallible>(())
    });
    all.expect("a survey does not stop");
    tell_met(&done);
    for (law, seeds) in &broken {
        print(&format!(
            "{law:?} broken in {} seeds: {seeds:?}",
            seeds.len()
        ));
    }
    let all_kept = broken.is_empty();
    done.retain(|run| run.failed.is_none());
    sum_up(&done, began.elapsed());
    ExitCode::from(u8::from(!all_kept))
}

/// Runs seeds on all cores and shows what came of each, in the order in which they end, until `heed` has enough.
fn each<E>(plan: Plan, mut heed: impl FnMut(u64, Ended) -> Result<(), E>) -> Result<(), E> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let began = Instant::now();
    let mut waiting = plan.seeds.into_iter();
    let mut running: Vec<Running> = Vec::new();
    loop {
        let in_time = plan.limit.is_none_or(|limit| began.elapsed() < limit);
        while running.len() < cores && in_time {
            match waiting.next() {
                Some(seed) => running.push(begin(seed)),
                None => break,
            }
        }
        if running.is_empty() {
            return Ok(());
        }
        match finished(&mut running) {
            None => std::thread::sleep(LOOK_EVERY),
            Some((seed, output)) => {
                if let Err(enough) = heed(seed, judge(seed, &output)) {
                    running.iter_mut().for_each(end);
                    return Err(enough);
                }
            }
        }
    }
}

fn tell_failure(seed: u64, ended: Ended) {
    match ended {
        Ok(summary) => {
            summary.story.iter().for_each(|line| print(line));
            if let Some(violation) = summary.failed {
                print(&violation.to_string());
            }
        }
        Err(why) => print(&why),
    }
    print(&format!(
        "seed {seed} FAILED. Replay it with: make sim SEED={seed}"
    ));
}

/// Prints what runs came through: how often, and in how many of them.
pub fn tell_met<'s>(runs: impl IntoIterator<Item = &'s Summary>) {
    let mut met: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for run in runs {
        for (what, times) in &run.met {
            let (all, seeds) = met.entry(what).or_default();
            *all += times;
            *seeds += 1;
        }
    }
    for (what, (times, seeds)) in met {
        print(&format!("{times:>10} times in {seeds:>5} seeds  {what}"));
    }
}

/// Runs a seed twice, each time in a process of its own, and compares everything that happened.
pub fn twice(seed: u64) -> ExitCode {
    let runs = [begin(seed), begin(seed)].map(|run| {
        let output = run.child.wait_with_output().expect("it ends");
        judge(seed, &output).map(|summary| (summary.failed.is_none(), summary.fingerprint))
    });
    print(&format!("seed {seed} twice: {runs:016x?}"));
    let [first, second] = runs;
    let same =
        matches!((first, second), (Ok((true, first)), Ok((true, second))) if first == second);
    ExitCode::from(u8::from(!same))
}

fn begin(seed: u64) -> Running {
    let program = std::env::current_exe().expect("a program knows where it is");
    let child = Command::new(program)
        .args(["quietly", &seed.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts again");
    Running {
        seed,
        child,
        began: Instant::now(),
    }
}

fn end(running: &mut Running) {
    // It may have ended by itself.
    drop(running.child.kill());
    drop(running.child.wait());
}

/// One that has finished, if any has. What they print fits into a pipe until then.
fn finished(running: &mut Vec<Running>) -> Option<(u64, Output)> {
    let over = running.iter_mut().position(|run| {
        if run.began.elapsed() > RUN_MAX {
            end(run);
        }
        run.child
            .try_wait()
            .expect("own children can be asked")
            .is_some()
    })?;
    let over = running.swap_remove(over);
    let output = over.child.wait_with_output().expect("it has ended");
    Some((over.seed, output))
}

/// The summary of a run, or what its process left without one.
fn judge(seed: u64, output: &Output) -> Ended {
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).map_err(|_| {
        let errors = String::from_utf8_lossy(&output.stderr);
        let status = output.status;
        format!("seed {seed} ended with {status}: {text}{errors}")
    })
}

fn sum_up(done: &[Summary], took: Duration) {
    let simulated_ms: u64 = done.iter().map(|run| run.simulated_ms).sum();
    let accepted: usize = done.iter().map(|run| run.accepted).sum();
    let troubles: u64 = done.iter().map(|run| run.troubles).sum();
    let seconds = took.as_secs_f64().max(0.001);
    print(&format!(
        "{} seeds without a fault in {seconds:.1} s: {} simulated seconds, {accepted} promises kept through {troubles} troubles; \
         {:.0} seeds a minute, {:.1} simulated seconds a second",
        done.len(),
        simulated_ms / 1_000,
        done.len() as f64 * 60.0 / seconds,
        simulated_ms as f64 / 1_000.0 / seconds,
    ));
}
