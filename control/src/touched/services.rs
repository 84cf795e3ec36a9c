//! Services: whose they are, and who may open them.

use super::{Tracing, both, differing};
use crate::id::GroupId;

impl Tracing<'_> {
    pub(super) fn services(&mut self) {
        for pair in differing(&self.before.services, &self.after.services) {
            for service in both(pair) {
                self.touched.owners.insert(service.owner);
                let audience = &service.audience;
                self.touched.owners.extend(audience.people.iter().copied());
                self.touched.shared |= audience.everybody;
                for state in self.states() {
                    let members = |group: &GroupId| {
                        let group = state.groups.get(group);
                        group.into_iter().flat_map(|group| group.members.iter())
                    };
                    let members = audience.groups.iter().flat_map(members);
                    self.touched.owners.extend(members.copied());
                }
            }
        }
        for pair in differing(&self.before.visits, &self.after.visits) {
            for visit in both(pair) {
                self.touched.owners.insert(visit.user);
                for state in self.states() {
                    let service = state.services.get(&visit.service);
                    self.touched.owners.extend(service.map(|row| row.owner));
                }
            }
        }
    }
}
