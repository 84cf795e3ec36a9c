//! The fields of groups of people.

use super::{Building, Noun, Shown};

impl Shown<'_> {
    /// Those that who looks is in; all for an admin.
    pub(super) fn groups(&mut self) {
        let (state, asker) = (self.state, self.asker);
        let groups = state.groups.values();
        for group in groups.filter(|group| group.is_shown_to(asker)) {
            let fields = Building::default()
                .number("id", group.id.0)
                .text("description", &group.description)
                .list("members", group.members.iter().map(|id| self.person(*id)))
                .number("created_at", group.created_at.0);
            self.add(Noun::Groups, group.name.to_string(), group.id, fields.0);
        }
    }
}
