//! A log for tests: each entry is applied and then followed by every check that must hold after any entry.

mod explained;
mod tokens;
mod views;

use docklet_control::assignment::assignment;
use docklet_control::audit::chain::Chain;
use docklet_control::event::Event;
use docklet_control::evolve::evolve_all;
use docklet_control::id::{LogIndex, RequestId, UnixMs};
use docklet_control::model::Outcome;
use docklet_control::rows::{self, RowChange, StateHash, Table};
use docklet_control::terminal::event::TerminalEvent;
use docklet_control::touched::touched;
use docklet_control::{Actor, Applied, Change, Command, Entry, State, apply, invariants, permit};

/// The log so far and what it came to.
#[derive(Default)]
pub struct Log {
    pub state: State,
    pub index: LogIndex,
    /// Kept up change by change, as a master does.
    hash: StateHash,
    /// All of it.
    pub entries: Vec<(LogIndex, Entry)>,
    /// Changes as a master writes them down.
    changes: Vec<Vec<u8>>,
    /// The audit trail.
    pub trail: Vec<String>,
}

impl Log {
    /// The next entry begins a generation, as when a single master goes on alone.
    pub fn jump(&mut self) {
        self.index = LogIndex(docklet_control::generation::next(self.index).0 - 1);
    }

    /// Applies one more entry; `request` stands for a retry, by default each entry is a request of its own.
    ///
    /// # Errors
    /// The check that the entry broke, with what was found.
    pub fn enter(
        &mut self,
        at: UnixMs,
        actor: Actor,
        request: Option<RequestId>,
        command: Command,
    ) -> Result<Applied, String> {
        let index = LogIndex(self.index.0 + 1);
        let entry = Entry {
            version: self.state.version().0,
            request: request.unwrap_or(RequestId(u128::from(index.0))),
            at,
            actor,
            command,
        };
        let applied = apply(self.state.clone(), index, &entry);
        self.check_repeats(&entry, index, &applied)?;
        let changed = rows::diff(&self.state, &applied.state);
        check_extent(&self.state, &entry, &applied, &changed)?;
        check_undo(&self.state, &applied.state, &changed)?;
        check_touched(&self.state, &applied)?;
        views::check(&self.state, &applied)?;
        explained::check(&applied.state)?;
        tokens::check(&self.state, &entry, &applied)?;
        self.check_trail(&applied)?;
        let broken = invariants::broken_by(&self.state, &applied.state);
        demand(broken.is_empty(), &format!("invariants: {broken:?}"))?;
        self.index = index;
        self.state = applied.state.clone();
        self.hash = self.hash.after(&changed);
        self.changes.push(written(&applied.change)?);
        self.entries.push((index, entry));
        self.check_state()?;
        Ok(applied)
    }

    /// An entry that was written down and read again does the same.
    fn check_repeats(&self, entry: &Entry, index: LogIndex, first: &Applied) -> Result<(), String> {
        let bytes = written(entry)?;
        let read: Entry = postcard::from_bytes(&bytes).map_err(|fault| fault.to_string())?;
        let second = apply(self.state.clone(), index, &read);
        demand(read == *entry, "the entry reads back as another one")?;
        demand(second == *first, "the same entry came to something else")
    }

    /// What an entry leaves in the trail follows what is there, and is where the state says that the trail ends.
    fn check_trail(&mut self, applied: &Applied) -> Result<(), String> {
        let before = self.state.audit_head.unwrap_or_default();
        let Some(line) = &applied.audit else {
            return demand(
                applied.state.audit_head == self.state.audit_head,
                "the trail ends elsewhere without a line",
            );
        };
        let mut chain = Chain::after(before.records, before.hash);
        let record = chain
            .follow(&line.text)
            .map_err(|broken| broken.to_string())?;
        let head = applied.state.audit_head.unwrap_or_default();
        demand(
            (head.records, head.hash) == (chain.number(), chain.hash()),
            "the state does not know its trail's end",
        )?;
        demand(
            record.index == applied.receipt.index,
            "a line of another entry",
        )?;
        self.trail.push(line.text.clone());
        Ok(())
    }

    fn check_state(&self) -> Result<(), String> {
        let broken = invariants::broken(&self.state);
        demand(broken.is_empty(), &format!("invariants: {broken:?}"))?;
        let whole = rebuilt(&self.state, |_| true)?;
        let from_scratch = StateHash::of(&self.state);
        let from_rows = StateHash::of(&whole);
        demand(whole == self.state, "the rows rebuild another state")?;
        demand(from_rows == self.hash, "rebuilt state has another hash")?;
        demand(from_scratch == self.hash, "the kept hash has drifted")?;
        demand(
            self.replayed()? == rebuilt(&self.state, Table::is_of_events)?,
            "the events replay to another state",
        )
    }

    /// The state from nothing but the changes as they were written down.
    fn replayed(&self) -> Result<State, String> {
        let mut state = State::default();
        for bytes in &self.changes {
            let change: Change = postcard::from_bytes(bytes).map_err(|fault| fault.to_string())?;
            state = evolve_all(state, &change);
        }
        Ok(state)
    }
}

/// Putting back what the changed rows were before gives the state before, look-up tables included.
fn check_undo(before: &State, after: &State, changed: &[RowChange]) -> Result<(), String> {
    let mut undone = after.clone();
    for row in changed.iter().rev() {
        rows::remove(&mut undone, row.table, &row.key).map_err(|fault| fault.to_string())?;
        if let Some(value) = &row.before {
            rows::put(&mut undone, row.table, value).map_err(|fault| fault.to_string())?;
        }
    }
    demand(undone == *before, "undoing the rows gives another state")
}

/// Whoever has another assignment, or sees something of the change, is named by what was touched.
fn check_touched(before: &State, applied: &Applied) -> Result<(), String> {
    let after = &applied.state;
    let touched = touched(before, after);
    for worker in after.workers.keys() {
        let of = |state| assignment(state, *worker, LogIndex(0));
        let told = touched.concerns_worker(*worker) || of(before) == of(after);
        demand(told, &format!("worker {worker} is not told"))?;
    }
    // It changes no row: who follows is told of it with what comes next.
    let changes_nothing = |event: &Event| {
        matches!(
            event,
            Event::MasterDiverged { .. }
                | Event::Audit(_)
                | Event::Terminal(TerminalEvent::Joined { .. })
        )
    };
    if applied.change.events.iter().any(changes_nothing) {
        return Ok(());
    }
    for user in after.users.values() {
        let sees = permit::visible_change(user, &applied.change).is_some();
        let told = touched.concerns(user) || !sees;
        demand(told, &format!("user {} is not told", user.id))?;
    }
    Ok(())
}

/// A refused entry leaves a receipt, perhaps a line of the trail, and nothing else, a retried one nothing at all.
fn check_extent(
    before: &State,
    entry: &Entry,
    applied: &Applied,
    changed: &[RowChange],
) -> Result<(), String> {
    if let Some(first) = before.receipt_of(entry.request) {
        demand(changed.is_empty(), "a retry changed something")?;
        demand(applied.change.events.is_empty(), "a retry has events")?;
        return demand(
            applied.receipt == *first,
            "a retry has a receipt of its own",
        );
    }
    let nothing = changed.iter().all(|row| !row.table.is_of_events());
    match &applied.receipt.outcome {
        Outcome::Accepted(_) => demand(
            nothing || !applied.change.events.is_empty(),
            "something changed without an event",
        ),
        Outcome::Refused(_) => {
            demand(nothing, "a refused entry changed more than receipts")?;
            demand(
                applied.change.events.is_empty(),
                "a refused entry has events",
            )
        }
    }
}

fn rebuilt(state: &State, wanted: impl Fn(Table) -> bool) -> Result<State, String> {
    let kept = rows::iter(state)
        .filter(|(table, ..)| wanted(*table))
        .map(|(table, _, value)| (table, value));
    rows::load(kept).map_err(|fault| fault.to_string())
}

fn written<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, String> {
    postcard::to_stdvec(value).map_err(|fault| fault.to_string())
}

fn demand(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds {
        return Ok(());
    }
    Err(otherwise.to_owned())
}
