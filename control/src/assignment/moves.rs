//! What workers must make true of vnodes that are on their way.

use serde::{Deserialize, Serialize};

use crate::amount::DiskMib;
use crate::id::{Digest, LogIndex, VnodeId, WorkerId};
use crate::model::{Move, MoveStage, MoveWay, Vnode, VnodeWanted};
use crate::state::State;

/// A vnode that comes from another worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignedArrival {
    pub vnode: VnodeId,
    /// The entry that asked for the move.
    pub number: LogIndex,
    pub from: WorkerId,
    /// Where that worker serves what it has of the vnode.
    pub from_addr: String,
    pub image: Digest,
    /// What its disk may hold.
    pub disk_mib: DiskMib,
    /// First host user id of its owner's range.
    pub uid_base: u32,
    /// Numbers of its snapshots, ascending: they come too.
    pub snapshots: Vec<LogIndex>,
    /// Whether what is left is to be copied: the other worker lets the vnode stand still for it.
    pub switching: bool,
    /// Whether its processes come too, as far as is known: then most of their memory can come while it runs.
    pub live: bool,
}

/// A vnode that goes to another worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AssignedDeparture {
    pub vnode: VnodeId,
    /// The entry that asked for the move.
    pub number: LogIndex,
    /// Who may copy it.
    pub to: WorkerId,
    pub stage: DepartureStage,
}

/// What is to be done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DepartureStage {
    /// It is copied as it is.
    Copied,
    /// It stands still, and is copied so.
    Still,
    /// The same, and its processes are kept so that they can go on.
    Checkpointed,
    /// It is placed at the other worker. It does not run, and nothing of it is touched.
    Kept,
}

/// Vnodes that come to a worker and are not placed there yet.
pub(super) fn coming(state: &State, worker: WorkerId) -> impl Iterator<Item = &Vnode> {
    let moves = arriving(state, worker);
    moves.filter_map(|moving| state.vnodes.get(&moving.vnode))
}

fn arriving(state: &State, worker: WorkerId) -> impl Iterator<Item = &Move> {
    let moves = state.moves_at(worker);
    moves.filter(move |moving| moving.to == worker && moving.is_before_placing())
}

pub(super) fn arrivals(state: &State, worker: WorkerId) -> Vec<AssignedArrival> {
    let arrivals = arriving(state, worker).filter_map(|moving| {
        let vnode = state.vnodes.get(&moving.vnode)?;
        let snapshots = state.snapshots_of(vnode.id);
        let taken = snapshots.filter(|snapshot| snapshot.is_taken());
        Some(AssignedArrival {
            vnode: vnode.id,
            number: moving.number,
            from: moving.from,
            from_addr: state.workers.get(&moving.from)?.data_addr.clone(),
            image: vnode.image,
            disk_mib: state.wishes_of(vnode.id).disk_mib,
            uid_base: state.users.get(&vnode.owner)?.uid_base(),
            snapshots: taken.map(|snapshot| snapshot.number).collect(),
            switching: moving.stage == MoveStage::Switching,
            live: moving.way == MoveWay::Live,
        })
    });
    arrivals.collect()
}

pub(super) fn departures(state: &State, worker: WorkerId) -> Vec<AssignedDeparture> {
    let moves = state.moves_at(worker);
    let leaving = moves.filter(|moving| moving.from == worker);
    let departures = leaving.filter_map(|moving| {
        let stage = match (&moving.stage, moving.way) {
            (MoveStage::Copying, _) => DepartureStage::Copied,
            (MoveStage::Switching, MoveWay::Live) => DepartureStage::Checkpointed,
            (MoveStage::Switching, MoveWay::Refresh | MoveWay::Cold) => DepartureStage::Still,
            (MoveStage::Starting | MoveStage::Returning { .. }, _) => DepartureStage::Kept,
            (MoveStage::Ended(_), _) => return None,
        };
        Some(AssignedDeparture {
            vnode: moving.vnode,
            number: moving.number,
            to: moving.to,
            stage,
        })
    });
    departures.collect()
}

/// What its worker is to make of a vnode: one that did not start where it came to goes from there.
pub(super) fn wanted(state: &State, vnode: &Vnode) -> VnodeWanted {
    match state.open_move(vnode.id).map(|moving| &moving.stage) {
        Some(MoveStage::Returning { .. }) => VnodeWanted::Removed,
        Some(MoveStage::Copying | MoveStage::Switching | MoveStage::Starting)
        | Some(MoveStage::Ended(_))
        | None => vnode.wanted,
    }
}

pub(super) fn arrived_by(state: &State, vnode: &Vnode) -> Option<LogIndex> {
    let moving = state.open_move(vnode.id)?;
    (moving.stage == MoveStage::Starting).then_some(moving.number)
}
