//! Groups of people, and what is shared with them.

use super::State;
use crate::id::{GroupId, UserId};
use crate::model::{Group, ImageGroups, ImageTitle};
use crate::name::Name;

impl State {
    #[must_use]
    pub fn group_named(&self, name: &Name) -> Option<&Group> {
        self.groups.get(self.lookup.group_by_name.get(name)?)
    }

    /// Groups that an image is shared with.
    pub fn groups_of_image(&self, title: &ImageTitle) -> impl Iterator<Item = &Group> {
        let shared = self.image_groups.get(&title.key());
        let ids = shared.into_iter().flat_map(|shared| &shared.groups);
        ids.filter_map(|id| self.groups.get(id))
    }

    pub(crate) fn put_group(&mut self, group: Group) {
        self.remove_group(&group.id);
        let (name, id) = (group.name.clone(), group.id);
        self.lookup.group_by_name.insert(name, id);
        self.groups.insert(id, group);
    }

    pub(crate) fn remove_group(&mut self, id: &GroupId) {
        if let Some(group) = self.groups.remove(id) {
            self.lookup.group_by_name.remove(&group.name);
        }
    }

    pub(crate) fn put_image_groups(&mut self, shared: ImageGroups) {
        self.image_groups.insert(shared.key(), shared);
    }

    pub(crate) fn remove_image_groups(&mut self, key: &(UserId, Name)) {
        self.image_groups.remove(key);
    }
}
