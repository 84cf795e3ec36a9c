//! Which vnodes do nothing, and since when: no CPU to speak of, no network, nobody types, opens a service or a file, and nothing
//! is run. Counted over
//! short spans, so that what a quiet system does of itself does not count; an agent that begins takes all for busy.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use docklet_control::id::VnodeId;
use docklet_control::meter::{Live, Totals};

/// What is used is counted over so long.
const SPAN: Duration = Duration::from_secs(10);
/// CPU of one span that is nothing: two hundredths of a core. An init with its timers needs less.
const CPU_US_QUIET: u64 = 200_000;
/// Bytes sent and received in one span that are nothing: neighbours that look for each other, and a probe or two.
const BYTES_QUIET: u64 = 4_096;

/// What is known of all vnodes. Clones are the same.
#[derive(Clone, Default)]
pub struct Activity(Arc<Mutex<BTreeMap<VnodeId, Watched>>>);

struct Watched {
    /// When the span began, and what had been used by then.
    began: Instant,
    before: Totals,
    busy_at: Instant,
}

impl Activity {
    /// Somebody does something with a vnode.
    pub fn touch(&self, vnode: VnodeId) {
        if let Some(watched) = self.watched().get_mut(&vnode) {
            watched.busy_at = Instant::now();
        }
    }

    /// For how long each vnode has done nothing. One that is not known is busy.
    #[must_use]
    pub fn quiet(&self, vnode: VnodeId, now: Instant) -> Duration {
        let watched = self.watched();
        let busy_at = watched.get(&vnode).map(|watched| watched.busy_at);
        busy_at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at))
    }

    /// Looks at what the meter finds each second.
    pub fn observe(&self, live: &Live, now: Instant) {
        let mut watched = self.watched();
        watched.retain(|id, _| live.vnodes.iter().any(|(vnode, _)| vnode == id));
        for (id, usage) in &live.vnodes {
            let totals = usage.totals;
            let known = watched.entry(*id).or_insert(Watched {
                began: now,
                before: totals,
                busy_at: now,
            });
            // What has used no CPU at all does not run: it begins to count when it does.
            if totals.cpu_us == 0 {
                known.busy_at = now;
                known.began = now;
                known.before = totals;
                continue;
            }
            if now.saturating_duration_since(known.began) < SPAN {
                continue;
            }
            if is_busy(known.before, totals) {
                known.busy_at = now;
            }
            known.began = now;
            known.before = totals;
        }
    }

    fn watched(&self) -> MutexGuard<'_, BTreeMap<VnodeId, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Totals that went down are of one that has started anew.
fn is_busy(before: Totals, after: Totals) -> bool {
    let bytes = |totals: Totals| totals.received_bytes.saturating_add(totals.sent_bytes);
    let anew = after.cpu_us < before.cpu_us || bytes(after) < bytes(before);
    anew || after.cpu_us - before.cpu_us > CPU_US_QUIET
        || bytes(after) - bytes(before) > BYTES_QUIET
}

#[cfg(test)]
mod tests {
    use docklet_control::meter::Usage;

    use super::*;

    const VNODE: VnodeId = VnodeId(7);

    /// What had been used after each span.
    fn quiet_after(spans: &[(u64, u64)]) -> Duration {
        let activity = Activity::default();
        let begin = Instant::now();
        let mut now = begin;
        for (cpu_us, bytes) in spans {
            let totals = Totals {
                cpu_us: *cpu_us,
                received_bytes: *bytes,
                ..Totals::default()
            };
            let usage = Usage {
                totals,
                ..Usage::default()
            };
            let live = Live {
                vnodes: vec![(VNODE, usage)],
                ..Live::default()
            };
            activity.observe(&live, now);
            now += SPAN;
        }
        activity.quiet(VNODE, now - SPAN)
    }

    #[test]
    fn what_uses_next_to_nothing_rests_since_it_was_first_seen() {
        assert_eq!(
            quiet_after(&[(5, 5), (90_000, 900), (150_000, 1_500)]),
            SPAN * 2
        );
    }

    #[test]
    fn cpu_and_network_each_wake_it() {
        assert_eq!(quiet_after(&[(9, 0), (300_000, 0), (300_000, 0)]), SPAN);
        assert_eq!(quiet_after(&[(9, 0), (9, 9_000), (9, 9_000)]), SPAN);
        assert_eq!(quiet_after(&[(9, 0), (9, 0), (9, 9_000)]), Duration::ZERO);
    }

    #[test]
    fn what_does_not_run_begins_to_rest_when_it_does() {
        let stopped_for_long = [(90, 0), (90, 0), (0, 0), (0, 0), (0, 0), (50, 0)];
        assert_eq!(quiet_after(&stopped_for_long), SPAN);
    }

    #[test]
    fn what_starts_anew_is_busy() {
        assert_eq!(
            quiet_after(&[(900_000, 0), (900_000, 0), (10, 0)]),
            Duration::ZERO
        );
    }

    #[test]
    fn who_is_not_known_is_busy_and_who_is_touched_too() {
        let activity = Activity::default();
        assert_eq!(activity.quiet(VNODE, Instant::now()), Duration::ZERO);
        let totals = Totals {
            cpu_us: 9,
            ..Totals::default()
        };
        let usage = Usage {
            totals,
            ..Usage::default()
        };
        let live = Live {
            vnodes: vec![(VNODE, usage)],
            ..Live::default()
        };
        let then = Instant::now();
        activity.observe(&live, then);
        let later = then + SPAN * 9;
        assert_eq!(activity.quiet(VNODE, later), SPAN * 9);
        activity.touch(VNODE);
        assert!(activity.quiet(VNODE, later) < SPAN * 9);
    }
}
