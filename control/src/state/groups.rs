//! Groups of people, and what is shared with them.

use imbl::OrdSet;
use imbl::ordset::DiffItem;

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
        let id = group.id;
        let known = self.groups.get(&id);
        let before = known.map(|known| known.members.clone());
        self.set_members(id, &before.unwrap_or_default(), &group.members);
        if let Some(known) = self.groups.remove(&id) {
            self.lookup.group_by_name.remove(&known.name);
        }
        self.lookup.group_by_name.insert(group.name.clone(), id);
        self.groups.insert(id, group);
    }

    pub(crate) fn remove_group(&mut self, id: &GroupId) {
        if let Some(group) = self.groups.remove(id) {
            self.lookup.group_by_name.remove(&group.name);
            self.set_members(*id, &group.members, &OrdSet::new());
        }
    }

    /// Costs in proportion to who comes and goes.
    fn set_members(&mut self, id: GroupId, before: &OrdSet<UserId>, after: &OrdSet<UserId>) {
        for member in before.diff(after) {
            match member {
                DiffItem::Add(user) => self.lookup.groups_by_member.insert((*user, id)),
                DiffItem::Remove(user) => self.lookup.groups_by_member.remove(&(*user, id)),
            };
        }
    }

    pub(crate) fn put_image_groups(&mut self, shared: ImageGroups) {
        self.image_groups.insert(shared.key(), shared);
    }

    pub(crate) fn remove_image_groups(&mut self, key: &(UserId, Name)) {
        self.image_groups.remove(key);
    }
}
