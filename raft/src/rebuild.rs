//! Taking the state anew from the other masters, when this one's cannot be trusted: its rows are damaged, or it has
//! diverged. Log and vote are kept, so the master keeps its identity and its promises; it takes part again only when
//! the state is whole. A damaged log is another matter: who has lost promises must come back under a new identity.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use docklet_control::id::LogIndex;
use docklet_control::rows::{self, StateHash, Table};
use docklet_control::{State, version};
use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::fault::RaftFault;
use crate::line::Line;
use crate::master::Master;
use crate::settings::Settings;
use crate::snapshot;
use crate::status::RaftStatus;
use crate::store::Frozen;
use crate::store::rows::{FILE, RowStore};
use crate::types::SnapshotMeta;
use crate::wire::{self, SnapshotId};
use crate::world::World;

/// Its being there means that the state is not to be trusted.
const MARK: &str = "rebuild";
/// Where the other masters were when this one last knew.
const MASTERS: &str = "masters";
/// What becomes of the rows that are not trusted: somebody may want to know what happened.
const DAMAGED: &str = "state.redb.damaged";
/// Parts are large, since each begins by passing over the rows before it.
const PART_BYTES: usize = 8 << 20;
/// A call may take this long.
const CALL_DEADLINE: Duration = Duration::from_secs(20);
/// When no master can be reached, they are asked again after this.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Marks the state as not to be trusted: the next start takes it anew.
///
/// # Errors
/// The disk failed.
pub fn mark(disk: &dyn Disk) -> io::Result<()> {
    disk.open(MARK)?.sync_data()?;
    disk.sync_names()
}

/// Whether the state is marked so.
///
/// # Errors
/// The disk failed.
pub fn is_marked(disk: &dyn Disk) -> io::Result<bool> {
    Ok(disk.list()?.iter().any(|name| name == MARK))
}

/// Keeps on disk where the other masters are, until aborted.
pub async fn remember_masters(master: Master) {
    let mut states = master.watch();
    let mut kept = Vec::new();
    loop {
        let masters = states.borrow_and_update().state.masters.clone();
        let others = masters.values().filter(|other| other.id != master.id());
        let now: Vec<(u64, String)> = others.map(|m| (m.id.0, m.cluster_addr.clone())).collect();
        if now != kept {
            match keep(master.inner.world.disk.as_ref(), &now) {
                Ok(()) => kept = now,
                Err(error) => tracing::warn!(%error, "the other masters' addresses are not kept"),
            }
        }
        // Only who is a member matters here, not every entry.
        let news = states.wait_for(|frozen| !frozen.state.masters.ptr_eq(&masters));
        if news.await.is_err() {
            return;
        }
    }
}

fn keep(disk: &dyn Disk, masters: &[(u64, String)]) -> Result<(), RaftFault> {
    let bytes = postcard::to_stdvec(masters)?;
    let file = disk.open(MASTERS)?;
    file.set_len(bytes.len() as u64)?;
    file.write_at(0, &bytes)?;
    file.sync_data()?;
    Ok(disk.sync_names()?)
}

fn kept(disk: &dyn Disk) -> Result<BTreeMap<u64, String>, RaftFault> {
    let file = disk.open(MASTERS)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
    file.read_at(0, &mut bytes)?;
    let masters: Vec<(u64, String)> = postcard::from_bytes(&bytes)?;
    Ok(masters.into_iter().collect())
}

/// Takes the state from the other masters, trying until one of them gives it, and puts it in the place of this one's.
///
/// # Errors
/// The disk failed, or nobody else is known.
pub async fn run(world: &World, settings: Settings) -> Result<(), RaftFault> {
    let disk = world.disk.as_ref();
    let masters = kept(disk)?;
    if masters.is_empty() {
        return Err(RaftFault::NobodyToAsk);
    }
    tracing::warn!(
        ?masters,
        "this master's state is not trusted: taking it anew from the others"
    );
    let frozen = loop {
        match fetch_from_best(world, settings, &masters).await {
            Ok(frozen) => break frozen,
            Err(fault) => tracing::warn!(%fault, "no other master has given its state yet"),
        }
        tokio::time::sleep(RETRY_AFTER).await;
    };
    version::admit(&frozen.state, settings.knows).map_err(RaftFault::TooOld)?;
    if disk.list()?.iter().any(|name| name == FILE) {
        disk.rename(FILE, DAMAGED)?;
        disk.sync_names()?;
    }
    RowStore::open(disk, settings.history)?.replace(&frozen)?;
    if is_marked(disk)? {
        disk.remove(MARK)?;
    }
    disk.sync_names()?;
    tracing::info!(index = %frozen.index, "the state is taken anew");
    Ok(())
}

/// The state of the leader, or else of whoever has come furthest.
async fn fetch_from_best(
    world: &World,
    settings: Settings,
    masters: &BTreeMap<u64, String>,
) -> Result<Frozen, RaftFault> {
    let mut reached: Vec<(bool, LogIndex, Line)> = Vec::new();
    for (id, addr) in masters {
        let line = Line::to(world.dial.clone(), settings.identity, *id, addr.clone());
        match line
            .call::<_, RaftStatus>(wire::STATUS, &(), CALL_DEADLINE)
            .await
        {
            Ok(status) => reached.push((status.leader == Some(status.id), status.applied, line)),
            Err(fault) => tracing::debug!(master = id, %fault, "not reached"),
        }
    }
    let best = reached
        .into_iter()
        .max_by_key(|(leads, applied, _)| (*leads, *applied));
    let nobody = || RaftFault::Raft("no other master can be reached".to_owned());
    let (_, _, line) = best.ok_or_else(nobody)?;
    fetch(&line).await
}

async fn fetch(line: &Line) -> Result<Frozen, RaftFault> {
    let (mut state, mut hash, mut count) = (State::default(), StateHash::default(), 0);
    let mut of: Option<SnapshotId> = None;
    loop {
        let ask = Fetch { of, first: count };
        let part: Fetched = line.call(wire::FETCH, &ask, CALL_DEADLINE).await?;
        if part.rows.is_empty() {
            return whole(part, state, hash);
        }
        for (number, key, value) in &part.rows {
            let table = Table::from_number(*number);
            let table =
                table.ok_or_else(|| RaftFault::Raft(format!("a row of unknown table {number}")))?;
            rows::put(&mut state, table, value)?;
            hash = hash.with_row(table, key, value);
        }
        count += part.rows.len() as u64;
        of = Some(part.of);
    }
}

/// The state that arrived, if it is the one that was sent.
fn whole(last: Fetched, state: State, hash: StateHash) -> Result<Frozen, RaftFault> {
    if hash != last.of.hash {
        return Err(RaftFault::HashDiffers {
            found: last.of.hash.to_string(),
            computed: hash.to_string(),
        });
    }
    Ok(Frozen {
        index: last.of.index,
        state: Arc::new(state),
        applied: last.meta.last_log_id,
        membership: Arc::new(last.meta.last_membership),
        ..Frozen::default()
    })
}

/// Asks for rows of a state from number `first` on: of the newest state if it does not say which.
#[derive(Serialize, Deserialize)]
pub struct Fetch {
    pub of: Option<SnapshotId>,
    pub first: u64,
}

/// Some rows; none if there are no more.
#[derive(Serialize, Deserialize)]
pub struct Fetched {
    pub of: SnapshotId,
    pub meta: SnapshotMeta,
    pub rows: Vec<wire::SnapshotRow>,
}

impl Master {
    /// Gives rows of this master's state to one that rebuilds its own.
    pub(crate) async fn give(&self, ask: Fetch) -> Result<Fetched, String> {
        let frozen = self.inner.serving.frozen(ask.of, || self.local());
        let frozen = frozen.ok_or("that state is not kept any more: begin anew")?;
        let part = move || {
            let first = usize::try_from(ask.first).unwrap_or(usize::MAX);
            let mut rows = rows::iter(&frozen.1.state).skip(first);
            let rows = snapshot::next_part(&mut rows, PART_BYTES);
            let meta = SnapshotMeta {
                last_log_id: frozen.1.applied,
                last_membership: (*frozen.1.membership).clone(),
            };
            Ok(Fetched {
                of: frozen.0,
                meta,
                rows,
            })
        };
        self.inner
            .view
            .off(part)
            .await
            .map_err(|fault| fault.to_string())
    }
}

/// The state that is being given, kept from one part to the next.
#[derive(Default)]
pub struct Serving(Mutex<Option<(SnapshotId, Frozen)>>);

impl Serving {
    fn frozen(
        &self,
        of: Option<SnapshotId>,
        now: impl FnOnce() -> Frozen,
    ) -> Option<(SnapshotId, Frozen)> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match of {
            Some(wanted) => slot.clone().filter(|(id, _)| *id == wanted),
            None => {
                let frozen = now();
                let id = SnapshotId {
                    index: frozen.index,
                    hash: frozen.hash(),
                };
                *slot = Some((id, frozen));
                slot.clone()
            }
        }
    }
}
