//! Who holds what is short on a worker.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::VclusterId;
use crate::model::{User, Vnode, VnodeWanted, Worker};
use crate::permit;
use crate::place::Dimension;
use crate::state::State;

/// More are not told one by one.
const TOLD_MAX: usize = 5;
const OTHERS: &str = "vclusters of other people";

/// Who holds how much of what is short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Holder {
    /// A vcluster as who asks calls it, or what of all others has no names for whoever asks.
    pub who: String,
    /// In the unit of the dimension.
    pub amount: u64,
    pub vnodes: u32,
}

/// A vcluster as who asks calls it.
pub(super) fn vcluster_called(state: &State, asker: &User, id: VclusterId) -> Option<String> {
    let vcluster = state.vclusters.get(&id)?;
    if vcluster.owner == asker.id {
        return Some(vcluster.name.to_string());
    }
    let owner = state.users.get(&vcluster.owner)?;
    Some(format!("{}/{}", owner.name, vcluster.name))
}

/// A vnode as who asks calls it.
pub(crate) fn called(state: &State, asker: &User, vnode: &Vnode) -> String {
    let vcluster = vcluster_called(state, asker, vnode.vcluster).unwrap_or_default();
    format!("{vcluster}/{}", vnode.hostname())
}

/// Those on `worker` that hold what `vnode` lacks there, by how much; empty where nobody holds it.
pub(super) fn of(
    state: &State,
    asker: &User,
    worker: &Worker,
    vnode: &Vnode,
    dimension: &Dimension,
) -> Vec<Holder> {
    let mut held: BTreeMap<Option<VclusterId>, (u64, u32)> = BTreeMap::new();
    for other in state
        .vnodes_on(worker.id)
        .filter(|other| other.id != vnode.id)
    {
        let amount = amount(state, other, dimension);
        if amount > 0 {
            let known = permit::watches(asker, other.owner);
            let (sum, vnodes) = held.entry(known.then_some(other.vcluster)).or_default();
            *sum += amount;
            *vnodes += 1;
        }
    }
    let who = |id: Option<VclusterId>| id.and_then(|id| vcluster_called(state, asker, id));
    let mut holders: Vec<Holder> = held
        .into_iter()
        .map(|(id, (amount, vnodes))| Holder {
            who: who(id).unwrap_or_else(|| OTHERS.to_owned()),
            amount,
            vnodes,
        })
        .collect();
    holders.sort_by(|one, other| (other.amount, &one.who).cmp(&(one.amount, &other.who)));
    holders.truncate(TOLD_MAX);
    holders
}

/// What one vnode holds of it. A GPU stays with who goes away until that is gone.
fn amount(state: &State, other: &Vnode, dimension: &Dimension) -> u64 {
    let size = state.promised_to(other);
    let promised = |amount: u64| match other.wanted {
        VnodeWanted::Removed => 0,
        VnodeWanted::Running | VnodeWanted::Stopped => amount,
    };
    match dimension {
        Dimension::Cpu { .. } => promised(size.cpu_milli.0.into()),
        Dimension::Memory { .. } => promised(size.memory_mib.0.into()),
        Dimension::Disk { .. } => promised(state.wishes_of(other.id).disk_mib.0),
        Dimension::Gpus { .. } => state.gpus_of(other.id).len() as u64,
        Dimension::Status(_)
        | Dimension::Snapshot { .. }
        | Dimension::Cordoned { .. }
        | Dimension::Label { .. }
        | Dimension::PerWorker { .. } => 0,
    }
}
