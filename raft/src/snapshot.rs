//! Bringing a whole state to a master that lags too far: rows in calls of bounded size, from a frozen state while
//! writes go on. A transfer that breaks off goes on where it stopped, also from another leader if that has the same
//! state; what arrived is installed only if it has the hash of what was sent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use docklet_control::id::LogIndex;
use docklet_control::rows::{self, StateHash, Table};
use docklet_control::state::State;
use docklet_link::LinkFault;
use openraft::raft::SnapshotResponse;
use tokio::sync::mpsc;

use crate::line::Line;
use crate::store::Frozen;
use crate::types::{Snapshot, Types, Vote};
use crate::wire::{self, SnapshotId, SnapshotRow};

/// A call carries about this much, usually.
pub const PART_BYTES: usize = 1 << 20;
/// Parts made ready ahead of the one that is sent.
const PARTS_AHEAD: usize = 2;
/// A call may take this long; the last one writes everything to the other's disk.
const CALL_DEADLINE: Duration = Duration::from_secs(20);
const LAST_CALL_DEADLINE: Duration = Duration::from_secs(60);
/// After a broken connection the transfer goes on so many times before Raft is told.
const RESUMED_MAX: u32 = 10;
const RESUME_AFTER: Duration = Duration::from_millis(200);

/// How rows are made into parts.
#[derive(Clone, Copy, Debug)]
pub struct Packing {
    /// About what a part has.
    pub part_bytes: usize,
    /// On a thread of its own: encoding takes milliseconds a part.
    pub on_thread: bool,
}

/// Sends a snapshot, going on after broken connections, and asks to install it.
///
/// # Errors
/// The other master cannot be reached, or does not take it.
pub async fn send(
    line: &Line,
    vote: Vote,
    snapshot: Snapshot,
    packing: Packing,
) -> Result<SnapshotResponse<Types>, LinkFault> {
    let (meta, frozen) = (snapshot.meta, snapshot.snapshot);
    let id = SnapshotId {
        index: LogIndex(meta.last_log_id.map_or(0, |id| id.index())),
        hash: frozen.hash(),
    };
    let mut resumed = 0;
    loop {
        match send_rows(line, id, &frozen, packing).await {
            Ok(()) => break,
            Err(fault @ LinkFault::Remote(_)) => return Err(fault),
            Err(fault) if resumed == RESUMED_MAX => return Err(fault),
            Err(fault) => {
                tracing::info!(%fault, index = %id.index, "a snapshot's transfer broke off, going on");
                resumed += 1;
                tokio::time::sleep(RESUME_AFTER).await;
            }
        }
    }
    let end = wire::SnapshotEnd { id, vote, meta };
    line.call(wire::SNAPSHOT_END, &end, LAST_CALL_DEADLINE)
        .await
}

/// Sends the rows that the other master does not have yet.
async fn send_rows(
    line: &Line,
    id: SnapshotId,
    frozen: &Frozen,
    packing: Packing,
) -> Result<(), LinkFault> {
    let have: u64 = line.call(wire::SNAPSHOT_BEGIN, &id, CALL_DEADLINE).await?;
    let mut parts = parts(id, frozen.state.clone(), have, packing);
    while let Some(part) = parts.recv().await {
        let _: u64 = line.call(wire::SNAPSHOT_ROWS, &part, CALL_DEADLINE).await?;
    }
    Ok(())
}

/// The state's rows from number `start` on, encoded beside the transfer as they are asked for.
fn parts(
    id: SnapshotId,
    state: Arc<State>,
    start: u64,
    packing: Packing,
) -> mpsc::Receiver<wire::SnapshotRows> {
    let (sender, receiver) = mpsc::channel(PARTS_AHEAD);
    // Nobody listens any more once the transfer has ended.
    if packing.on_thread {
        tokio::task::spawn_blocking(move || {
            let mut parts = pack(id, &state, start, packing.part_bytes);
            while parts
                .next()
                .is_some_and(|part| sender.blocking_send(part).is_ok())
            {}
        });
    } else {
        tokio::spawn(async move {
            for part in pack(id, &state, start, packing.part_bytes) {
                if sender.send(part).await.is_err() {
                    return;
                }
            }
        });
    }
    receiver
}

fn pack(
    id: SnapshotId,
    state: &State,
    start: u64,
    part_bytes: usize,
) -> impl Iterator<Item = wire::SnapshotRows> {
    let mut first = start;
    let mut rows = rows::iter(state).skip(usize::try_from(start).unwrap_or(usize::MAX));
    std::iter::from_fn(move || {
        let part = next_part(&mut rows, part_bytes);
        let part = wire::SnapshotRows {
            id,
            first,
            rows: part,
        };
        first += part.rows.len() as u64;
        (!part.rows.is_empty()).then_some(part)
    })
}

/// The next rows, of about so many bytes; none if there are no more.
pub fn next_part(
    rows: &mut impl Iterator<Item = (Table, Vec<u8>, Vec<u8>)>,
    part_bytes: usize,
) -> Vec<SnapshotRow> {
    let mut part = Vec::new();
    let mut bytes = 0;
    while bytes < part_bytes
        && let Some((table, key, value)) = rows.next()
    {
        bytes += key.len() + value.len();
        part.push((table as u8, key, value));
    }
    part
}

/// The one snapshot that is arriving at this master, if any. It outlives connections.
#[derive(Default)]
pub struct Arriving(Mutex<Option<Partial>>);

/// What has arrived of it.
struct Partial {
    id: SnapshotId,
    state: State,
    hash: StateHash,
    rows: u64,
}

impl Arriving {
    fn lock(&self) -> MutexGuard<'_, Option<Partial>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A snapshot is about to come: how many of its rows are here already.
    pub fn begin(&self, id: SnapshotId) -> u64 {
        let mut slot = self.lock();
        let fresh = || Partial {
            id,
            state: State::default(),
            hash: StateHash::default(),
            rows: 0,
        };
        let same = slot.take().filter(|partial| partial.id == id);
        slot.insert(same.unwrap_or_else(fresh)).rows
    }

    /// Takes rows in; answers how many are here now.
    ///
    /// # Errors
    /// They are of another snapshot, do not follow on those that are here, or cannot be read.
    pub fn take(&self, part: wire::SnapshotRows) -> Result<u64, String> {
        let mut slot = self.lock();
        let partial = slot.as_mut().filter(|partial| partial.id == part.id);
        let partial = partial.ok_or("this transfer has not begun")?;
        if part.first != partial.rows {
            return Err(format!(
                "row {} was to come, {} came",
                partial.rows, part.first
            ));
        }
        for (number, key, value) in part.rows {
            let table = Table::from_number(number).ok_or("a row of an unknown table")?;
            rows::put(&mut partial.state, table, &value).map_err(|fault| fault.to_string())?;
            partial.hash = partial.hash.with_row(table, &key, &value);
            partial.rows += 1;
        }
        Ok(partial.rows)
    }

    /// The state that arrived, if it is the one that was sent.
    ///
    /// # Errors
    /// It is not.
    pub fn end(&self, id: SnapshotId) -> Result<Frozen, String> {
        let partial = self.lock().take().filter(|partial| partial.id == id);
        let partial = partial.ok_or("this transfer has not begun")?;
        if partial.hash != id.hash {
            let (found, wanted) = (partial.hash, id.hash);
            return Err(format!("the snapshot has hash {found}, {wanted} was sent"));
        }
        Ok(Frozen {
            index: id.index,
            state: Arc::new(partial.state),
            ..Frozen::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::support::after;

    fn state() -> State {
        after(&State::default(), 1, 1)
    }

    fn part(id: SnapshotId, state: &State, first: u64, count: usize) -> wire::SnapshotRows {
        let start = usize::try_from(first).expect("small");
        let rows = rows::iter(state).skip(start).take(count);
        wire::SnapshotRows {
            id,
            first,
            rows: rows
                .map(|(table, key, value)| (table as u8, key, value))
                .collect(),
        }
    }

    #[test]
    fn a_transfer_goes_on_where_it_stopped_and_arrives_whole() {
        let state = state();
        let id = SnapshotId {
            index: LogIndex(1),
            hash: StateHash::of(&state),
        };
        let arriving = Arriving::default();
        assert_eq!(arriving.begin(id), 0);
        assert_eq!(arriving.take(part(id, &state, 0, 2)), Ok(2));
        assert_eq!(
            arriving.begin(id),
            2,
            "the connection broke, a new one goes on"
        );
        assert!(
            arriving.take(part(id, &state, 1, 1)).is_err(),
            "no row comes twice"
        );
        assert!(
            arriving.take(part(id, &state, 3, 1)).is_err(),
            "no row is left out"
        );
        arriving.take(part(id, &state, 2, 100)).expect("the rest");
        let frozen = arriving.end(id).expect("whole");
        assert_eq!(*frozen.state, state);
    }

    #[test]
    fn what_is_not_what_was_sent_is_not_installed() {
        let state = state();
        let id = SnapshotId {
            index: LogIndex(1),
            hash: StateHash::of(&state),
        };
        let arriving = Arriving::default();
        arriving.begin(id);
        let count = rows::iter(&state).count();
        arriving
            .take(part(id, &state, 0, count - 1))
            .expect("all but one");
        assert!(arriving.end(id).is_err(), "a row is missing");
        assert!(arriving.end(id).is_err(), "nothing is left of it");
    }
}
