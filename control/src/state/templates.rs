//! Templates.

use super::State;
use crate::id::GroupId;
use crate::model::Template;
use crate::name::Name;

impl State {
    /// Templates for a group.
    pub fn templates_for(&self, group: GroupId) -> impl Iterator<Item = &Template> {
        let all = self.templates.values();
        all.filter(move |template| template.group == Some(group))
    }

    pub(crate) fn put_template(&mut self, template: Template) {
        self.templates.insert(template.name.clone(), template);
    }

    pub(crate) fn remove_template(&mut self, name: &Name) {
        self.templates.remove(name);
    }
}
