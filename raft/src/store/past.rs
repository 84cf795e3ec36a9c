//! Looking back: changes, and states of the past, from what the checkpoints keep.

use std::sync::Arc;

use docklet_control::event::Change;
use docklet_control::evolve::evolve_all;
use docklet_control::id::{LogIndex, UnixMs};
use docklet_control::rows::{self, Table};
use docklet_control::state::State;
use redb::{ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable};

use super::Base;
use super::recent::Page;
use super::rows::{
    CHECKPOINTS, Checkpoint, HISTORY, META, RowStore, UNDO, UndoRow, read_after_at, read_applied,
    unknown_table,
};
use crate::fault::RaftFault;

/// How far the history reaches back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The state after this entry and all changes since are kept.
    pub after: LogIndex,
    /// When that entry was stamped, or the first one if all are kept; none if that is not known.
    pub at: Option<UnixMs>,
}

impl RowStore {
    /// The next changes after `after`, up to and with `upto` or the last checkpoint.
    ///
    /// # Errors
    /// The disk failed.
    pub fn history(&self, after: LogIndex, upto: LogIndex) -> Result<Page, RaftFault> {
        let transaction = self.database.begin_read()?;
        let applied = read_applied(&transaction.open_table(META)?)?;
        let reached = applied.log_id.map_or(0, |id| id.index());
        let mut page =
            Page::beginning(LogIndex(applied.history_after), upto.min(LogIndex(reached)));
        for piece in transaction.open_table(HISTORY)?.range(after.0 + 1..)? {
            let piece: Vec<Change> = postcard::from_bytes(piece?.1.value())?;
            for change in piece.into_iter().filter(|change| change.index > after) {
                if !page.take(Arc::new(change)) {
                    return Ok(page);
                }
            }
        }
        Ok(page)
    }

    /// How far the history reaches back.
    ///
    /// # Errors
    /// The disk failed.
    pub fn reach(&self) -> Result<Reach, RaftFault> {
        let transaction = self.database.begin_read()?;
        let meta = transaction.open_table(META)?;
        let after = LogIndex(read_applied(&meta)?.history_after);
        let at = match read_after_at(&meta)? {
            None if after == LogIndex(0) => {
                let history = transaction.open_table(HISTORY)?;
                let first = history.first()?;
                let first =
                    first.map(|(_, piece)| postcard::from_bytes::<Vec<Change>>(piece.value()));
                first.transpose()?.and_then(|piece| Some(piece.first()?.at))
            }
            known => known,
        };
        Ok(Reach { after, at })
    }

    /// When the last entry at `index` or before that changed something was stamped; none if that is not kept.
    ///
    /// # Errors
    /// The disk failed.
    pub fn stamp(&self, index: LogIndex) -> Result<Option<UnixMs>, RaftFault> {
        let transaction = self.database.begin_read()?;
        let history = transaction.open_table(HISTORY)?;
        let pieces = [
            history.range(index.0..)?.next().transpose()?,
            history.range(..index.0)?.next_back().transpose()?,
        ];
        for (_, piece) in pieces.into_iter().flatten() {
            let piece: Vec<Change> = postcard::from_bytes(piece.value())?;
            if let Some(change) = piece.iter().rev().find(|change| change.index <= index) {
                return Ok(Some(change.at));
            }
        }
        let meta = transaction.open_table(META)?;
        let kept = index.0 >= read_applied(&meta)?.history_after;
        Ok(read_after_at(&meta)?.filter(|_| kept))
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
        if found.is_none()
            && read_after_at(&transaction.open_table(META)?)?.is_some_and(|at| at <= time)
        {
            found = Some(LogIndex(applied.history_after));
        }
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
