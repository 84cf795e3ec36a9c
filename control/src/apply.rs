//! One entry of the log, as every master applies it: total, deterministic, the only caller of decide and evolve.

use crate::audit;
use crate::audit::chain::Line;
use crate::command::Entry;
use crate::decide::decide;
use crate::event::{Change, Event};
use crate::evolve::evolve_all;
use crate::id::LogIndex;
use crate::model::receipt::{Outcome, Receipt};
use crate::refusal::Refusal;
use crate::state::State;

/// What an entry came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The state after it.
    pub state: State,
    /// What happened; without events if it was refused or asked for twice.
    pub change: Change,
    /// The answer to whoever asked: of the first time, if the request was applied before.
    pub receipt: Receipt,
    /// What it leaves in the audit trail.
    pub audit: Option<Line>,
}

/// Applies `entry` at `index`. A refused entry changes nothing but the receipts. The state is taken whole: what
/// nobody else holds of it is changed in place.
#[must_use]
pub fn apply(state: State, index: LogIndex, entry: &Entry) -> Applied {
    if let Some(receipt) = state.receipt_of(entry.request).cloned() {
        return Applied {
            state,
            change: change(index, entry, Vec::new()),
            receipt,
            audit: None,
        };
    }
    let decided = if state.may_have_forgotten(entry.request, index) {
        Err(Refusal::RequestTooOld)
    } else {
        decide(&state, index, entry)
    };
    let (outcome, events) = match decided {
        Ok(decision) => (Outcome::Accepted(decision.subject), decision.events),
        Err(refusal) => (Outcome::Refused(refusal), Vec::new()),
    };
    let (audit, head) = audit::line(&state, index, entry, &outcome, &events).unzip();
    let change = change(index, entry, events);
    let mut next = evolve_all(state, &change);
    next.audit_head = head.or(next.audit_head);
    let receipt = Receipt {
        request: entry.request,
        index,
        at: entry.at,
        actor: entry.actor,
        command: entry.command.name().into(),
        outcome,
    };
    if entry.command.leaves_receipt() {
        next.put_receipt(receipt.clone());
    }
    Applied {
        state: next,
        change,
        receipt,
        audit,
    }
}

fn change(index: LogIndex, entry: &Entry, events: Vec<Event>) -> Change {
    Change {
        index,
        at: entry.at,
        actor: entry.actor,
        command: entry.command.name().into(),
        events,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Actor, Command, ENTRY_VERSION};
    use crate::id::{MasterId, RequestId, UnixMs};

    /// An entry that is refused, and so leaves nothing but a receipt.
    fn entry(request: RequestId) -> Entry {
        Entry {
            version: ENTRY_VERSION,
            request,
            at: UnixMs(1),
            actor: Actor::Door(MasterId(1)),
            command: Command::ForgetExpired,
        }
    }

    #[test]
    fn a_retry_after_its_receipt_is_forgotten_is_refused_and_not_done_again() {
        let kept = Receipt::KEPT_MAX as u64;
        let first = RequestId::issued(LogIndex(3), 7);
        let mut state = apply(State::default(), LogIndex(4), &entry(first)).state;
        let outcome = |state: &State, index, request| {
            apply(state.clone(), LogIndex(index), &entry(request))
                .receipt
                .outcome
        };
        for index in 5..4 + kept {
            let request = RequestId::issued(LogIndex(index - 1), index);
            state = apply(state, LogIndex(index), &entry(request)).state;
        }
        assert_eq!(
            outcome(&state, 4 + kept, first),
            Outcome::Refused(Refusal::ClusterMissing),
            "kept"
        );
        let next = RequestId::issued(LogIndex(3 + kept), 1);
        state = apply(state, LogIndex(4 + kept), &entry(next)).state;
        assert_eq!(
            outcome(&state, 5 + kept, first),
            Outcome::Refused(Refusal::RequestTooOld)
        );
        let slow = RequestId::issued(LogIndex(5), 9);
        assert_eq!(
            outcome(&state, 5 + kept, slow),
            Outcome::Refused(Refusal::ClusterMissing),
            "cannot have been decided before"
        );
        let random = RequestId(u128::MAX - 5);
        assert_eq!(
            outcome(&state, 5 + kept, random),
            Outcome::Refused(Refusal::ClusterMissing)
        );
    }
}
