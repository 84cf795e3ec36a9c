//! The fields of services.

use super::{Building, Noun, Shown};
use crate::permit;

impl Shown<'_> {
    /// Those at one's own vnodes; of whom they are shared with, how many there are.
    pub(super) fn services(&mut self) {
        let (state, asker) = (self.state, self.asker);
        let services = state.services.values();
        for service in services.filter(|service| permit::owns(asker, service.owner)) {
            let vnode = state.vnodes.get(&service.vnode);
            let audience = &service.audience;
            let fields = Building::default()
                .text_if("vnode", vnode.map(|vnode| self.vnode(vnode)))
                .number("port", service.port.0)
                .text("path", &service.path)
                .flag("everybody", audience.everybody)
                .number("people", audience.people.len() as u64)
                .number("groups", audience.groups.len() as u64)
                .flag("by_image", service.by_image)
                .flag("tells_user", service.tells_user)
                .number("added_at", service.added_at.0);
            let name = self.theirs(service.owner, service.name.as_str());
            self.add(Noun::Services, name, service.id, fields.0);
        }
    }
}
