//! Groups of people, with whom images are shared, and how much of them people may have.

use std::collections::BTreeSet;

use crate::id::Digest;
use crate::image::quota;
use crate::model::Group;
use crate::state::State;

/// Members are people, and what is shared with a group is there, as the group is.
pub(super) fn groups_are_sound(state: &State, broken: &mut Vec<String>) {
    for group in state.groups.values() {
        let mut members = group.members.iter();
        let bounded = group.members.len() <= Group::MEMBERS_MAX;
        if !bounded || !members.all(|user| state.users.contains_key(user)) {
            broken.push(format!("group {} is not sound", group.name));
        }
    }
    for own in state.image_quotas.values() {
        if !state.users.contains_key(&own.user) {
            broken.push(format!("nobody has the image quota of user {}", own.user));
        }
    }
    for bound in state.image_save_bounds.values() {
        if !state.vnodes.contains_key(&bound.vnode) {
            let vnode = bound.vnode;
            broken.push(format!("no image is made of vnode {vnode}, which is gone"));
        }
    }
    for shared in state.image_groups.values() {
        let titled = state.image_titles.contains_key(&shared.key());
        let mut groups = shared.groups.iter();
        if !titled
            || shared.groups.is_empty()
            || !groups.all(|group| state.groups.contains_key(group))
        {
            broken.push(format!(
                "image {} of {} is shared with no group",
                shared.name, shared.owner
            ));
        }
    }
}

/// Whoever has another image under one of their names has no more than they may, or no more than before.
pub(super) fn stay_within_quotas(before: &State, after: &State, broken: &mut Vec<String>) {
    let named = |state: &State, owner| {
        let titles = state.image_titles.values();
        let own = titles.filter(|title| title.owner == owner);
        let digests = own.flat_map(|title| title.versions.iter().map(|v| v.digest));
        digests.collect::<BTreeSet<Digest>>()
    };
    // Names for images of before are given whatever quotas there are.
    let kept = before.image_names.is_empty();
    for user in after.users.values().filter(|_| kept) {
        let added = !named(after, user.id).is_subset(&named(before, user.id));
        let (old, new) = (quota::used(before, user.id), quota::used(after, user.id));
        let most = quota::of(after, user).bytes.unwrap_or(u64::MAX);
        if added && new > old.max(most) {
            broken.push(format!("user {} has more images than they may", user.id));
        }
    }
}
