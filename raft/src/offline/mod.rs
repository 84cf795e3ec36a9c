//! What is done to a master's files while no master runs on them: making the first master of a new cluster from a
//! backup, and letting the one that is left go on alone. Both begin a generation (`docklet_control::generation`).

mod fault;
mod recover;
mod rehearse;
mod restore;
mod stopped;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use docklet_control::id::{LogIndex, MasterId, RequestId, UnixMs};
use docklet_control::{Actor, Applied, Command, Entry, State, apply};
use openraft::vote::RaftLeaderIdExt;

pub use fault::OfflineFault;
pub use recover::{Survivor, inspect, recover};
pub use rehearse::{Leash, Leashed, Rehearsal, rehearse};
pub use restore::{NewMaster, Restored, restore};

use crate::types::{LogId, MasterAddress, Membership, Types};

/// The only member of a group, at the entry with which it goes on.
struct Alone {
    applied: LogId,
    membership: Membership,
}

impl Alone {
    fn new(term: u64, master: MasterId, index: LogIndex, address: String) -> Self {
        type Leader = <Types as openraft::RaftTypeConfig>::LeaderId;
        let applied = LogId::new(Leader::new_committed(term, master.0), index.0);
        let nodes = BTreeMap::from([(master.0, MasterAddress(address))]);
        let members = openraft::Membership::new(vec![BTreeSet::from([master.0])], nodes);
        let members = members.expect("its only voter is a node");
        Self {
            applied,
            membership: Membership::new(Some(applied), members),
        }
    }
}

/// Applies the entry that begins a generation.
///
/// # Errors
/// It is refused.
fn begin(
    state: &State,
    index: LogIndex,
    at: UnixMs,
    command: Command,
) -> Result<Applied, OfflineFault> {
    let entry = Entry {
        version: state.version().0,
        request: RequestId(rand::random()),
        at,
        actor: Actor::Door(MasterId(index.0)),
        command,
    };
    let applied = apply(state.clone(), index, &entry);
    match applied.receipt.accepted() {
        Ok(_) => Ok(applied),
        Err(refusal) => Err(OfflineFault::Refused(refusal.clone())),
    }
}
