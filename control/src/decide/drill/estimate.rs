//! What a drill will cost, before it is done: as much as the worst of the last ones of its kind; if there were none, what
//! the election timeouts allow.

use crate::drill::command::{DrillAsk, GroupView};
use crate::drill::refusal::DrillRefusal;
use crate::model::drill::{Drill, DrillKind, Verdict};
use crate::refusal::Refusal;
use crate::state::State;

/// So many of the last drills are looked at.
const LOOKED_AT: usize = 5;
/// The lease of the old leader, then the longest wait for an election, and half of that again.
const ELECTIONS_X10: u64 = 25;
/// A probe comes this often: what is shorter is not seen.
const PROBE_MS: u64 = 50;

/// What to expect.
pub(super) struct Estimate {
    pub(super) ms: u64,
    basis: String,
}

impl Estimate {
    /// Refuses what costs more than is accepted.
    pub(super) fn accept(&self, accepted_ms: u64) -> Result<(), Refusal> {
        if self.ms <= accepted_ms {
            return Ok(());
        }
        let refusal = DrillRefusal::CostsMore {
            estimate_ms: self.ms,
            accepted_ms,
            basis: self.basis.clone(),
        };
        Err(refusal.into())
    }
}

/// The time without writes that the drill will cost.
pub(super) fn estimate(state: &State, ask: &DrillAsk, group: &GroupView) -> Estimate {
    // While no quorum is there nobody writes, and that is wanted.
    let wanted_ms = match ask.kind {
        DrillKind::QuorumLoss => ask.fault_ms,
        DrillKind::LeaderLoss
        | DrillKind::Partition
        | DrillKind::Restore
        | DrillKind::WorkerLoss => 0,
    };
    let before = state
        .drills
        .values()
        .rev()
        .filter(|drill| is_like(drill, ask));
    let beyond = before.take(LOOKED_AT).filter_map(beyond_the_fault);
    if let Some(ms) = beyond.max() {
        return Estimate {
            ms: wanted_ms.saturating_add(ms),
            basis: format!("as the worst of the last {LOOKED_AT} of its kind"),
        };
    }
    let elections_ms = match ask.kind {
        DrillKind::Restore | DrillKind::WorkerLoss => 0,
        DrillKind::LeaderLoss | DrillKind::Partition | DrillKind::QuorumLoss => {
            group.election_ms.saturating_mul(ELECTIONS_X10) / 10
        }
    };
    Estimate {
        ms: wanted_ms
            .saturating_add(elections_ms)
            .saturating_add(PROBE_MS),
        basis: "by the election timeouts, as there was none of its kind yet".to_owned(),
    }
}

fn is_like(drill: &Drill, ask: &DrillAsk) -> bool {
    drill.plan.kind == ask.kind && drill.plan.cut == ask.cut
}

/// What a drill cost beyond what its fault had to; nothing is learned from one that was cut short.
fn beyond_the_fault(drill: &Drill) -> Option<u64> {
    let ending = drill.ending.as_ref()?;
    if ending.verdict == Verdict::Aborted {
        return None;
    }
    let gap_ms = ending.figures.write_gap_ms;
    Some(match drill.plan.kind {
        DrillKind::QuorumLoss => gap_ms.saturating_sub(ending.figures.held_ms),
        DrillKind::LeaderLoss
        | DrillKind::Partition
        | DrillKind::Restore
        | DrillKind::WorkerLoss => gap_ms,
    })
}
