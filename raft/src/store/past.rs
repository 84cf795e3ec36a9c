//! Looking back: changes, and states of the past, from what the checkpoints keep.

use docklet_control::event::Change;
use docklet_control::evolve::evolve_all;
use docklet_control::id::{LogIndex, UnixMs};
use docklet_control::rows::{self, Table};
use docklet_control::state::State;
use redb::{ReadOnlyTable, ReadTransaction, ReadableDatabase};

use super::Base;
use super::rows::{
    CHECKPOINTS, Checkpoint, HISTORY, META, RowStore, UNDO, UndoRow, read_applied, unknown_table,
};
use crate::fault::RaftFault;

impl RowStore {
    /// Changes after `after` as far as the last checkpoint, at most about `limit`, and the index after which none
    /// is missing.
    ///
    /// # Errors
    /// The disk failed.
    pub fn history(
        &self,
        after: LogIndex,
        limit: usize,
    ) -> Result<(LogIndex, Vec<Change>), RaftFault> {
        let transaction = self.database.begin_read()?;
        let applied = read_applied(&transaction.open_table(META)?)?;
        let mut changes = Vec::new();
        for piece in transaction.open_table(HISTORY)?.range(after.0 + 1..)? {
            if changes.len() >= limit {
                break;
            }
            let piece: Vec<Change> = postcard::from_bytes(piece?.1.value())?;
            changes.extend(piece.into_iter().filter(|change| change.index > after));
        }
        Ok((LogIndex(applied.history_after), changes))
    }

    /// The state after the entry at `index`, without receipts, going back from the checkpoint `base`. None if the
    /// history does not reach back so far, or another checkpoint has come meanwhile.
    ///
    /// # Errors
    /// The disk failed.
    pub fn state_at(&self, base: &Base, index: LogIndex) -> Result<Option<State>, RaftFault> {
        let transaction = self.database.begin_read()?;
        let applied = read_applied(&transaction.open_table(META)?)?;
        let reached = applied.log_id.map_or(0, |id| id.index());
        if index.0 < applied.history_after || reached != base.index.0 {
            return Ok(None);
        }
        let mut state = State::clone(&base.state);
        state.forget_receipts();
        let mut from = base.index.0;
        let checkpoints = transaction.open_table(CHECKPOINTS)?;
        let undo = transaction.open_table(UNDO)?;
        for checkpoint in checkpoints.range(index.0 + 1..)?.rev() {
            let (to, checkpoint) = checkpoint?;
            undo_rows(&mut state, &undo, to.value())?;
            from = postcard::from_bytes::<Checkpoint>(checkpoint.value())?.from;
        }
        forward(&transaction, state, from, index.0).map(Some)
    }

    /// The last entry that was stamped at `time` or before; none if the history does not reach back so far.
    ///
    /// # Errors
    /// The disk failed.
    pub fn index_at(&self, time: UnixMs) -> Result<Option<LogIndex>, RaftFault> {
        let transaction = self.database.begin_read()?;
        let applied = read_applied(&transaction.open_table(META)?)?;
        let checkpoints = transaction.open_table(CHECKPOINTS)?;
        // Stamps of different leaders may run backwards by their clocks' difference: checkpoints are searched as if not.
        let (mut low, mut high) = (
            applied.history_after,
            applied.log_id.map_or(0, |id| id.index()),
        );
        while low < high {
            let middle = low + (high - low) / 2;
            match checkpoints.range(middle + 1..)?.next().transpose()? {
                Some((to, bytes)) => {
                    let checkpoint: Checkpoint = postcard::from_bytes(bytes.value())?;
                    if checkpoint.at <= time {
                        low = to.value();
                    } else {
                        high = middle;
                    }
                }
                None => high = middle,
            }
        }
        let mut found = (low > applied.history_after).then_some(LogIndex(low));
        for piece in transaction.open_table(HISTORY)?.range(low + 1..)? {
            let piece: Vec<Change> = postcard::from_bytes(piece?.1.value())?;
            for change in &piece {
                if change.at > time {
                    return Ok(found);
                }
                found = Some(change.index);
            }
        }
        Ok(found)
    }
}

/// Puts the rows back that the checkpoint reaching `to` changed.
fn undo_rows(
    state: &mut State,
    undo: &ReadOnlyTable<u64, &'static [u8]>,
    to: u64,
) -> Result<(), RaftFault> {
    let Some(bytes) = undo.get(to)? else {
        return Ok(());
    };
    let undone: Vec<UndoRow<Vec<u8>>> = postcard::from_bytes(bytes.value())?;
    for (number, key, _) in &undone {
        let table = Table::from_number(*number).ok_or_else(|| unknown_table(*number))?;
        rows::remove(state, table, key)?;
    }
    for (number, _, value) in &undone {
        let table = Table::from_number(*number).ok_or_else(|| unknown_table(*number))?;
        if let Some(value) = value {
            rows::put(state, table, value)?;
        }
    }
    Ok(())
}

/// Follows the changes after `from` up to and with `to`.
fn forward(
    transaction: &ReadTransaction,
    mut state: State,
    from: u64,
    to: u64,
) -> Result<State, RaftFault> {
    if from >= to {
        return Ok(state);
    }
    for piece in transaction.open_table(HISTORY)?.range(from + 1..)? {
        let piece: Vec<Change> = postcard::from_bytes(piece?.1.value())?;
        for change in piece {
            if change.index.0 > to {
                return Ok(state);
            }
            if change.index.0 > from {
                state = evolve_all(state, &change);
            }
        }
    }
    Ok(state)
}
