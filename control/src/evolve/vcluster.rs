//! Vclusters and the segments they use.

use crate::id::VclusterId;
use crate::model::{Network, Vcluster, VclusterWanted};
use crate::state::State;

pub(super) fn network_created(state: &mut State, network: Network) {
    state.counters.network = state.counters.network.max(network.id.0);
    state.put_network(network);
}

pub(super) fn created(state: &mut State, vcluster: Vcluster) {
    state.counters.vcluster = state.counters.vcluster.max(vcluster.id.0);
    state.put_vcluster(vcluster);
}

pub(super) fn deleted(state: &mut State, id: VclusterId) {
    state.remove_vcluster_wishes(&id);
    state.remove_vcluster_bandwidth(&id);
    state.remove_vcluster_rules(&id);
    state.remove_vcluster(&id);
}

pub(super) fn wanted_changed(state: &mut State, id: VclusterId, wanted: VclusterWanted) {
    if let Some(vcluster) = state.vclusters.get(&id).cloned() {
        state.put_vcluster(Vcluster { wanted, ..vcluster });
    }
}
