//! The fields of groups of people, and of quotas.

use super::{Building, Field, Fields, Noun, Shown};
use crate::id::{GroupId, UserId};
use crate::model::Quota;

impl Shown<'_> {
    /// Those that who looks is in or manages; all for an admin.
    pub(super) fn groups(&mut self) {
        let (state, asker) = (self.state, self.asker);
        let groups = state.groups.values();
        for group in groups.filter(|group| group.is_shown_to(asker)) {
            let names = |ids: &imbl::OrdSet<UserId>| {
                let ids = ids.iter().map(|id| self.person(*id));
                ids.collect::<Vec<String>>()
            };
            let given = state.group_quotas.get(&group.id);
            let own = state.group_shares.get(&(group.id, asker.id));
            let managed = group.is_managed_by(asker);
            let shares = managed.then(|| self.shares(group.id));
            let fields = Building::default()
                .number("id", group.id.0)
                .text("description", &group.description)
                .list("members", names(&group.members))
                .list("managers", names(&group.managers))
                .group_if("quota", given.map(|given| quota(&given.quota)))
                .group_if("own_share", own.map(|own| quota(&own.quota)))
                .group_if("shares", shares)
                .number("created_at", group.created_at.0);
            self.add(Noun::Groups, group.name.to_string(), group.id, fields.0);
        }
    }

    fn shares(&self, group: GroupId) -> Fields {
        let all = (group, UserId(0))..=(group, UserId(u64::MAX));
        let shares = self.state.group_shares.range(all);
        let shares = shares.map(|((_, user), share)| {
            let fields = Field::Group(quota(&share.quota));
            (self.person(*user), fields)
        });
        shares.collect()
    }
}

/// Bounds by what they are of.
pub(super) fn quota(quota: &Quota) -> Fields {
    let bounds = quota.0.iter().map(|(item, bound)| {
        let bound = bound.number().map(Field::Number);
        let bound = bound.unwrap_or_else(|| Field::Text("unlimited".to_owned()));
        (item.code().to_owned(), bound)
    });
    bounds.collect()
}
