//! One entry of the log, as every master applies it: total, deterministic, the only caller of decide and evolve.

use crate::command::Entry;
use crate::decide::decide;
use crate::event::{Change, Event};
use crate::evolve::evolve_all;
use crate::id::LogIndex;
use crate::model::receipt::{Outcome, Receipt};
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
}

/// Applies `entry` at `index`. A refused entry changes nothing but the receipts.
#[must_use]
pub fn apply(state: &State, index: LogIndex, entry: &Entry) -> Applied {
    if let Some(receipt) = state.receipt_of(entry.request) {
        return Applied {
            state: state.clone(),
            change: change(index, entry, Vec::new()),
            receipt: receipt.clone(),
        };
    }
    let (outcome, events) = match decide(state, index, entry) {
        Ok(decision) => (Outcome::Accepted(decision.subject), decision.events),
        Err(refusal) => (Outcome::Refused(refusal), Vec::new()),
    };
    let change = change(index, entry, events);
    let mut next = evolve_all(state.clone(), &change);
    let receipt = Receipt {
        request: entry.request,
        index,
        at: entry.at,
        actor: entry.actor,
        command: entry.command.name().to_owned(),
        outcome,
    };
    if entry.command.leaves_receipt() {
        next.put_receipt(receipt.clone());
    }
    Applied {
        state: next,
        change,
        receipt,
    }
}

fn change(index: LogIndex, entry: &Entry, events: Vec<Event>) -> Change {
    Change {
        index,
        at: entry.at,
        actor: entry.actor,
        command: entry.command.name().to_owned(),
        events,
    }
}
