//! Services and visits.

use crate::id::{SecretHash, ServiceId, VnodeId};
use crate::service::event::ServiceEvent;
use crate::state::State;

pub(super) fn evolve(state: &mut State, event: ServiceEvent) {
    match event {
        ServiceEvent::Added { service } => {
            if state.vnodes.contains_key(&service.vnode) {
                state.put_service(service);
            }
        }
        ServiceEvent::Removed { service } => remove(state, service.id),
        ServiceEvent::Shared { service, .. } => {
            if state.services.contains_key(&service.id) {
                state.put_service(service);
            }
        }
        ServiceEvent::Opened { visit, .. } => put(state, visit),
        ServiceEvent::Entered { ticket, visit, .. } => {
            state.remove_visit(&ticket);
            put(state, visit);
        }
        ServiceEvent::Left { visit } => state.remove_visit(&visit.id),
    }
}

fn put(state: &mut State, visit: crate::model::Visit) {
    let there = state.services.contains_key(&visit.service);
    if there && state.sessions.contains_key(&visit.session) {
        state.put_visit(visit);
    }
}

fn remove(state: &mut State, id: ServiceId) {
    let visits: Vec<SecretHash> = state.visits_to(id).map(|visit| visit.id).collect();
    visits.iter().for_each(|visit| state.remove_visit(visit));
    state.remove_service(&id);
}

/// No service outlives its vnode.
pub(super) fn vnode_removed(state: &mut State, vnode: VnodeId) {
    let left: Vec<ServiceId> = state.services_at(vnode).map(|row| row.id).collect();
    left.into_iter().for_each(|service| remove(state, service));
}

/// No visit outlives its login.
pub(super) fn session_closed(state: &mut State, session: SecretHash) {
    let visits: Vec<SecretHash> = state.visits_of(session).map(|visit| visit.id).collect();
    visits.iter().for_each(|visit| state.remove_visit(visit));
}
