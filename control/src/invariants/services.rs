//! Services and visits.

use crate::model::{Service, Visit, VnodeWanted};
use crate::service::is_path;
use crate::state::State;

/// Each service is at a vnode that stays, of the same owner, under a name of its own; each visit is to a service that is there
/// by a login that is there.
pub(super) fn services_are_sound(state: &State, broken: &mut Vec<String>) {
    for service in state.services.values() {
        let vnode = state.vnodes.get(&service.vnode);
        let sound = vnode.is_some_and(|vnode| {
            vnode.wanted != VnodeWanted::Removed
                && (vnode.owner, vnode.vcluster) == (service.owner, service.vcluster)
        });
        let named = state.service_named(service.vnode, &service.name);
        let alone = named.is_some_and(|named| named.id == service.id);
        if !sound || !alone || !is_path(&service.path) || service.port.0 == 0 {
            broken.push(format!("service {} is not sound", service.id));
        }
    }
    for vcluster in state.vclusters.keys() {
        if state.services_of(*vcluster).count() > Service::PER_VCLUSTER_MAX {
            broken.push(format!("vcluster {vcluster} has too many services"));
        }
    }
    for visit in state.visits.values() {
        let session = state.sessions.get(&visit.session);
        let user = session.is_some_and(|session| session.user == visit.user);
        if !user || !state.services.contains_key(&visit.service) {
            broken.push(format!("a visit of user {} leads nowhere", visit.user));
        }
        if state.visits_of(visit.session).count() > Visit::PER_SESSION_MAX {
            broken.push(format!("user {} has too many visits", visit.user));
        }
    }
}
