//! The loop's part in vnodes on their way: what is being copied, what failed, and what the masters were told.

use std::collections::BTreeMap;
use std::time::Duration;

use docklet_control::assignment::Assignment;
use docklet_control::id::{LogIndex, VnodeId};
use docklet_control::report::{MoveReport, MoveTold};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Agent, Done, perform};
use crate::host::{Act, Host, Observation};
use crate::plan::{self, Plan};

/// Copying is tried so often in a row before the move is given up.
const ATTEMPTS_MAX: u32 = 16;
/// Before the second attempt: the other worker may not have heard of the move yet. Then twice as long each time, up to the
/// longest. While it lasts the vnode may be standing still.
const RETRY_AFTER: Duration = Duration::from_millis(20);
const RETRY_AFTER_MAX: Duration = Duration::from_millis(300);
/// How far copying is, is told this often.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// Longest cause that is told, in characters.
const CAUSE_MAX: usize = 300;

type Key = (VnodeId, LogIndex);

/// What the loop remembers between two looks.
#[derive(Default)]
pub(super) struct Moves {
    /// Acts under way, by vnode.
    busy: BTreeMap<VnodeId, Act>,
    failed: BTreeMap<Key, (u32, Instant, String)>,
    /// What could not be taken along.
    not_live: BTreeMap<Key, String>,
    told: BTreeMap<Key, (MoveTold, Instant)>,
}

impl Moves {
    /// A new connection may be to a master that knows less.
    pub(super) fn tell_anew(&mut self) {
        self.told.clear();
    }

    pub(super) fn settle(&mut self, id: VnodeId, cause: Option<String>) {
        let act = self.busy.remove(&id);
        let Some(key) = act.as_ref().and_then(key) else {
            return;
        };
        match cause {
            None => {
                self.failed.remove(&key);
            }
            Some(cause) => {
                let attempts = self.failed.get(&key).map_or(0, |(attempts, ..)| *attempts);
                let pause = RETRY_AFTER.saturating_mul(1 << attempts.min(10));
                let retry_at = Instant::now() + pause.min(RETRY_AFTER_MAX);
                self.failed.insert(key, (attempts + 1, retry_at, cause));
            }
        }
    }

    /// The processes of a vnode that leaves cannot be taken along.
    pub(super) fn not_live(&mut self, wanted: Option<&Assignment>, id: VnodeId, cause: &str) {
        let departures = wanted.into_iter().flat_map(|wanted| &wanted.departures);
        for departure in departures.filter(|departure| departure.vnode == id) {
            let cause = cause.chars().take(CAUSE_MAX).collect();
            self.not_live.insert((id, departure.number), cause);
        }
    }

    /// Whether it was tried to no avail already, and the masters have not said what else is to be done.
    pub(super) fn is_not_live(&self, id: VnodeId, acts: &[Act]) -> bool {
        let checkpoints = matches!(acts.first(), Some(Act::Checkpoint(_)));
        checkpoints && self.not_live.keys().any(|(vnode, _)| *vnode == id)
    }

    fn waits(&self, act: &Act) -> bool {
        let failed = key(act).and_then(|key| self.failed.get(&key));
        failed.is_some_and(|(attempts, retry_at, _)| {
            *attempts >= ATTEMPTS_MAX || Instant::now() < *retry_at
        })
    }

    /// When something is to be tried again.
    pub(super) fn retries(&self) -> impl Iterator<Item = Instant> {
        let failed = self.failed.values();
        let again = failed.filter(|(attempts, ..)| *attempts < ATTEMPTS_MAX);
        again.map(|(_, retry_at, _)| *retry_at)
    }

    /// What the masters do not know yet and were not told.
    pub(super) fn news(&mut self, wanted: &Assignment, seen: &Observation) -> Vec<MoveReport> {
        let arrivals = wanted.arrivals.iter().map(|a| (a.vnode, a.number));
        let departures = wanted.departures.iter().map(|d| (d.vnode, d.number));
        let open: Vec<Key> = arrivals.chain(departures).collect();
        self.failed.retain(|key, _| open.contains(key));
        self.not_live.retain(|key, _| open.contains(key));
        self.told.retain(|key, _| open.contains(key));
        let mut reports = plan::moves::reports(wanted, seen);
        for report in &mut reports {
            let failed = self.failed.get(&(report.vnode, report.number));
            if let Some((_, _, cause)) = failed.filter(|(n, ..)| *n >= ATTEMPTS_MAX) {
                report.told = MoveTold::Failed {
                    cause: cause.clone(),
                };
            }
        }
        let not_live = self
            .not_live
            .iter()
            .map(|((vnode, number), cause)| MoveReport {
                vnode: *vnode,
                number: *number,
                told: MoveTold::NotLive {
                    cause: cause.clone(),
                },
            });
        reports.extend(not_live);
        let near = reports
            .iter()
            .filter(|report| report.told == MoveTold::Near);
        let near: Vec<Key> = near.map(|near| (near.vnode, near.number)).collect();
        reports.retain(|report| self.is_news(report, &near));
        reports
    }

    /// Of those that are near everything is told at once.
    fn is_news(&mut self, report: &MoveReport, near: &[Key]) -> bool {
        let key = (report.vnode, report.number);
        let now = Instant::now();
        if let Some((told, at)) = self.told.get(&key) {
            let progress = matches!(
                (told, &report.told),
                (MoveTold::Copied(_), MoveTold::Copied(_))
            );
            let behind = matches!(report.told, MoveTold::Copied(_)) && !progress;
            let early =
                progress && !near.contains(&key) && now.duration_since(*at) < PROGRESS_EVERY;
            if *told == report.told || behind || early {
                return false;
            }
        }
        self.told.insert(key, (report.told.clone(), now));
        true
    }
}

/// Which move an act is about.
fn key(act: &Act) -> Option<Key> {
    if let Act::Copy(arrival) | Act::CopyRest(arrival) = act {
        return Some((arrival.vnode, arrival.number));
    }
    if let Act::ForgetArrival(vnode, number) = act {
        return Some((*vnode, *number));
    }
    None
}

impl<H: Host> Agent<H> {
    /// Says which vnodes leave and to whom, before anything is begun that writes to one which does not leave any more.
    pub(super) fn tell_departures(&self, wanted: &Assignment, seen: &Observation) {
        self.departures.learn(plan::moves::departures(wanted, seen));
    }

    /// Ends at once what is being copied and not wanted any more.
    pub(super) async fn cancel_copies(&self, wanted: &Assignment) {
        let comes = |key: Key| {
            let mut arrivals = wanted.arrivals.iter();
            arrivals.any(|arrival| (arrival.vnode, arrival.number) == key)
        };
        let busy = self.moves.busy.values().filter_map(key);
        for (vnode, number) in busy.filter(|key| !comes(*key)) {
            let act = Act::CancelCopy(vnode, number);
            if let Err((step, cause)) = perform(self.host.clone(), act).await {
                tracing::warn!(step, cause, "act failed");
            }
        }
    }

    /// Begins copying what comes, and deletes what nobody wants of what came.
    pub(super) fn begin_moves(&mut self, plan: &Plan, done: &mpsc::Sender<Done>) {
        for (id, act) in &plan.arrivals {
            let busy = self.busy.contains(id) || self.moves.busy.contains_key(id);
            if busy || self.moves.waits(act) {
                continue;
            }
            self.moves.busy.insert(*id, act.clone());
            let (host, id, act, done) = (self.host.clone(), *id, act.clone(), done.clone());
            tokio::spawn(async move {
                let performed = perform(host, act).await;
                let cause = performed.err().map(|(step, cause)| {
                    tracing::warn!(step, cause, "act failed");
                    cause.chars().take(CAUSE_MAX).collect()
                });
                // The loop is gone only when the process ends.
                drop(done.send(Done::Move(id, cause)).await);
            });
        }
    }

    /// How long until it is to be told how far copying is.
    pub(super) fn next_progress(&self) -> Option<Duration> {
        let copies = !self.moves.busy.is_empty();
        copies.then_some(PROGRESS_EVERY)
    }
}
