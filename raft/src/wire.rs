//! What masters say to each other: the numbers of the calls and their bodies. Numbers are never used again.

use docklet_control::drill::command::GroupView;
use docklet_control::id::{DrillId, LogIndex, MasterId, RequestId, WorkerId};
use docklet_control::model::drill::Prober;
use docklet_control::model::runs::Runs;
use docklet_control::model::{Receipt, User};
use docklet_control::rows::StateHash;
use docklet_control::{Actor, Command, Refusal};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::types::{SnapshotMeta, Vote};

pub const APPEND: u8 = 1;
pub const VOTE: u8 = 2;
pub const PRE_VOTE: u8 = 3;
pub const TRANSFER: u8 = 4;
pub const SNAPSHOT_BEGIN: u8 = 5;
pub const SNAPSHOT_ROWS: u8 = 6;
pub const SNAPSHOT_END: u8 = 7;
pub const PROPOSE: u8 = 8;
pub const READ_INDEX: u8 = 9;
pub const HEARD: u8 = 10;
pub const PROPOSE_THROUGH: u8 = 11;
pub const READ_USER: u8 = 12;
pub const STATUS: u8 = 13;
pub const PING: u8 = 14;
pub const TRANSFER_TO: u8 = 15;
pub const HASHES: u8 = 16;
pub const FETCH: u8 = 17;
pub const REMOVE_MASTER: u8 = 18;
pub const GROUP: u8 = 19;
pub const DRILL_GROUP: u8 = 20;
pub const DRILL_PULSE: u8 = 21;
pub const DRILL_CHECK: u8 = 22;
pub const FACTS: u8 = 23;
pub const DRAIN: u8 = 24;
pub const APPLIED: u8 = 25;
pub const GRANT: u8 = 26;
pub const TRAIL: u8 = 27;
pub const MACHINE: u8 = 28;

/// Asks the leader to put a command into the log. The answer is a receipt.
#[derive(Clone, Serialize, Deserialize)]
pub struct Propose {
    pub actor: Actor,
    pub request: RequestId,
    pub command: Command,
}

/// Asks any master to put a command into the log through whoever leads, and to keep trying for so long.
#[derive(Serialize, Deserialize)]
pub struct ProposeThrough {
    pub ask: Propose,
    pub deadline_ms: u64,
}

/// What became of it.
#[derive(Serialize, Deserialize)]
pub enum Proposed {
    Accepted(Receipt),
    Refused(Refusal),
    /// No answer in time; why, in words.
    Unknown(String),
}

/// Asks any master for an account.
#[derive(Serialize, Deserialize)]
pub struct ReadUser {
    pub name: String,
    /// As new as every acknowledged write; otherwise what this master has, which may lag.
    pub linearizable: bool,
    pub deadline_ms: u64,
}

/// The account, and the entry after which it was so.
#[derive(Serialize, Deserialize)]
pub struct UserRead {
    pub user: Option<User>,
    pub index: LogIndex,
}

/// Workers heard of by a follower, and how long ago in milliseconds: clocks of masters may differ.
#[derive(Serialize, Deserialize)]
pub struct Heard(pub Vec<(WorkerId, u64)>);

/// Workers that a follower has just heard of, and that ask for their leases.
#[derive(Serialize, Deserialize)]
pub struct Grant(pub Vec<WorkerId>);

/// Those of them that have them, after this entry.
#[derive(Serialize, Deserialize)]
pub struct Granted {
    pub index: LogIndex,
    pub workers: Vec<WorkerId>,
}

/// The index up to which a reader must have applied.
#[derive(Serialize, Deserialize)]
pub struct ReadIndex(pub LogIndex);

/// Which snapshot: the same for every master that has this state. The answer to `SNAPSHOT_BEGIN` with it is how many
/// of its rows have arrived already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotId {
    pub index: LogIndex,
    pub hash: StateHash,
}

/// One row: number of the table, key, value.
pub type SnapshotRow = (u8, Vec<u8>, Vec<u8>);

/// Some rows of a snapshot, in the order of tables and keys. The answer is how many have arrived.
#[derive(Serialize, Deserialize)]
pub struct SnapshotRows {
    pub id: SnapshotId,
    /// Number of the first of them.
    pub first: u64,
    pub rows: Vec<SnapshotRow>,
}

/// All rows are sent; install them if they have the hash.
#[derive(Serialize, Deserialize)]
pub struct SnapshotEnd {
    pub id: SnapshotId,
    pub vote: Vote,
    pub meta: SnapshotMeta,
}

/// The group as the leader sees it.
#[derive(Serialize, Deserialize)]
pub struct DrillGroup(pub GroupView);

/// Asks whether this drill may go on.
#[derive(Serialize, Deserialize)]
pub struct DrillAbout(pub DrillId);

/// Whether it may.
#[derive(Serialize, Deserialize)]
pub struct DrillPulse {
    /// Whether the answering master has followed the drill since before its fault.
    pub follows: bool,
    /// Why not.
    pub stop: Option<String>,
    /// The longest time without an acknowledged write since the fault, if it measures.
    pub worst_gap_ms: u64,
}

/// Asks what a master has of acknowledged probes, and for its state after an entry.
#[derive(Serialize, Deserialize)]
pub struct DrillCheck {
    pub drill: DrillId,
    pub at: LogIndex,
    pub acked: Vec<(Prober, Runs)>,
}

/// A master's newest state hashes. The answer is the entry after which it has diverged, if it has.
#[derive(Serialize, Deserialize)]
pub struct Hashes {
    pub master: MasterId,
    pub hashes: Vec<(LogIndex, StateHash)>,
}

/// Encodes a body.
pub fn encode<T: Serialize>(body: &T) -> Result<Vec<u8>, String> {
    postcard::to_stdvec(body).map_err(|error| error.to_string())
}

/// Decodes a body.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    postcard::from_bytes(bytes).map_err(|error| error.to_string())
}
