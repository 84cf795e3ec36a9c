//! Services and visits: finding them, and rows that come and go.

use imbl::OrdSet;

use super::State;
use crate::id::{SecretHash, ServiceId, VclusterId, VnodeId};
use crate::model::{Service, Visit};
use crate::name::Name;

/// Derived from the tables.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lookup {
    by_vnode: OrdSet<(VnodeId, ServiceId)>,
    by_vcluster: OrdSet<(VclusterId, ServiceId)>,
    visits_by_session: OrdSet<(SecretHash, SecretHash)>,
    visits_by_service: OrdSet<(ServiceId, SecretHash)>,
}

const FIRST: SecretHash = SecretHash([0; 32]);
const LAST: SecretHash = SecretHash([255; 32]);

impl State {
    /// Services at a vnode, by number.
    pub fn services_at(&self, vnode: VnodeId) -> impl Iterator<Item = &Service> + use<'_> {
        let range = (vnode, ServiceId(0))..=(vnode, ServiceId(u64::MAX));
        let found = self.lookup.services.by_vnode.range(range);
        found.filter_map(|(_, id)| self.services.get(id))
    }

    /// Services of a vcluster, by number.
    pub fn services_of(&self, vcluster: VclusterId) -> impl Iterator<Item = &Service> {
        let range = (vcluster, ServiceId(0))..=(vcluster, ServiceId(u64::MAX));
        let found = self.lookup.services.by_vcluster.range(range);
        found.filter_map(|(_, id)| self.services.get(id))
    }

    #[must_use]
    pub fn service_named(&self, vnode: VnodeId, name: &Name) -> Option<&Service> {
        self.services_at(vnode)
            .find(|service| service.name == *name)
    }

    /// Visits by a login, tickets included.
    pub fn visits_of(&self, session: SecretHash) -> impl Iterator<Item = &Visit> {
        let range = (session, FIRST)..=(session, LAST);
        let found = self.lookup.services.visits_by_session.range(range);
        found.filter_map(|(_, id)| self.visits.get(id))
    }

    /// Visits to a service, tickets included.
    pub fn visits_to(&self, service: ServiceId) -> impl Iterator<Item = &Visit> {
        let range = (service, FIRST)..=(service, LAST);
        let found = self.lookup.services.visits_by_service.range(range);
        found.filter_map(|(_, id)| self.visits.get(id))
    }

    pub(crate) fn put_service(&mut self, service: Service) {
        self.remove_service(&service.id);
        let lookup = &mut self.lookup.services;
        lookup.by_vnode.insert((service.vnode, service.id));
        lookup.by_vcluster.insert((service.vcluster, service.id));
        self.services.insert(service.id, service);
    }

    pub(crate) fn remove_service(&mut self, id: &ServiceId) {
        if let Some(service) = self.services.remove(id) {
            let lookup = &mut self.lookup.services;
            lookup.by_vnode.remove(&(service.vnode, *id));
            lookup.by_vcluster.remove(&(service.vcluster, *id));
        }
    }

    pub(crate) fn put_visit(&mut self, visit: Visit) {
        self.remove_visit(&visit.id);
        let lookup = &mut self.lookup.services;
        lookup.visits_by_session.insert((visit.session, visit.id));
        lookup.visits_by_service.insert((visit.service, visit.id));
        self.visits.insert(visit.id, visit);
    }

    pub(crate) fn remove_visit(&mut self, id: &SecretHash) {
        if let Some(visit) = self.visits.remove(id) {
            let lookup = &mut self.lookup.services;
            lookup.visits_by_session.remove(&(visit.session, *id));
            lookup.visits_by_service.remove(&(visit.service, *id));
        }
    }
}
