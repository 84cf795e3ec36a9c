//! Rare paths of the product that a run has met, heard from what masters and openraft log. Nothing is asserted of them:
//! they are counted, so that whoever reads a summary sees what the seeds came through, and what they never did.

use std::fmt;

use docklet_raft::PATHS_DIRECTIVES;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::trace::Trace;

/// A leader found that a follower has less than it once acknowledged. No disk of the simulation loses that, so somebody
/// acknowledged too early.
pub const FORGOTTEN: &str = "log: a follower had lost its end";

/// What a line begins with or has in it, and what that stands for.
const PATHS: [(&str, &str); 18] = [
    ("new pre-candidate", "election: asked beforehand"),
    ("new candidate", "election: begun"),
    ("a quorum granted my vote", "election: won"),
    ("leadership handed over", "election: leadership handed over"),
    (
        "did not take over in time",
        "election: leadership taken back",
    ),
    (
        "entries that others do not have",
        "log: entries cut off that others did not have",
    ),
    ("follower log is reverted", FORGOTTEN),
    ("purge log, last_purged", "log: purged"),
    (
        "the log cannot be written",
        "log: not written any more after a fault",
    ),
    ("the state cannot be written", "checkpoint: failed"),
    ("No need to install snapshot", "snapshot: came too late"),
    ("install full snapshot", "snapshot: arrived whole"),
    (
        "a snapshot's transfer broke off",
        "snapshot: transfer went on after a break",
    ),
    (
        "the rows on disk are not those",
        "rebuild: damaged rows found",
    ),
    ("the state is taken anew", "rebuild: state taken anew"),
    ("members not changed yet", "members: change put off"),
    ("members changed", "members: changed"),
    (
        "removed: another takes its place",
        "members: replaced one removed",
    ),
];

/// Counts what is heard.
pub fn layer<S>(trace: Trace) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
{
    let heard: Targets = PATHS_DIRECTIVES.parse().expect("they are well formed");
    Listener(trace).with_filter(heard)
}

struct Listener(Trace);

impl<S: tracing::Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        if let Some((_, path)) = PATHS.iter().find(|(part, _)| line.0.contains(part)) {
            self.0.count(path);
        }
    }
}

/// The message of an event.
#[derive(Default)]
struct Line(String);

impl tracing::field::Visit for Line {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
