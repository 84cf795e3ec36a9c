//! What must hold of quotas: they are of somebody, the sums are right, and nobody takes what they may not have.

use std::collections::BTreeMap;

use crate::id::UserId;
use crate::model::{Group, Quota, VnodeWanted};
use crate::quota::{self, Amounts};
use crate::state::State;

/// Each row is of somebody who is there and bounds something; managers are people; shares are of members.
pub(super) fn rows_are_of_somebody(state: &State, broken: &mut Vec<String>) {
    let sound = |quota: &Quota| {
        let mut bounds = quota.0.iter();
        let in_range = bounds.all(|(item, bound)| {
            let number = bound.number();
            number.is_none_or(|number| item.range().contains(&number))
        });
        in_range && !quota.0.is_empty()
    };
    for own in state.user_quotas.values() {
        if !sound(&own.quota) || !state.users.contains_key(&own.user) {
            broken.push(format!("the quota of user {} is not sound", own.user));
        }
    }
    for given in state.group_quotas.values() {
        if !sound(&given.quota) || !state.groups.contains_key(&given.group) {
            broken.push(format!("the quota of group {} is not sound", given.group));
        }
    }
    for share in state.group_shares.values() {
        let group = state.groups.get(&share.group);
        let member = group.is_some_and(|group| group.members.contains(&share.user));
        if !sound(&share.quota) || !member {
            let (user, group) = (share.user, share.group);
            broken.push(format!("user {user} has a share of group {group} unduly"));
        }
    }
    if state
        .usual_quota
        .as_ref()
        .is_some_and(|usual| !sound(usual))
    {
        broken.push("the usual quota is not sound".to_owned());
    }
    for group in state.groups.values() {
        let mut managers = group.managers.iter();
        let bounded = group.managers.len() <= Group::MANAGERS_MAX;
        if !bounded || !managers.all(|user| state.users.contains_key(user)) {
            broken.push(format!("group {} has managers that are nobody", group.name));
        }
    }
}

/// Counted anew, from the tables alone.
pub(super) fn sums_are_right(state: &State, broken: &mut Vec<String>) {
    let mut counted: BTreeMap<UserId, Amounts> = BTreeMap::new();
    let vnodes = state.vnodes.values();
    for vnode in vnodes.filter(|vnode| state.is_counted(vnode.vcluster)) {
        let takes = Amounts::of_vnode(state.promised_to(vnode), state.wishes_of(vnode.id));
        let sum = counted.entry(vnode.owner).or_default();
        *sum = sum.plus(takes);
    }
    let snapshots = state.snapshots.values();
    for snapshot in snapshots.filter(|snapshot| snapshot.is_counted()) {
        let vnode = state.vnodes.get(&snapshot.vnode);
        let stays = vnode.is_some_and(|vnode| vnode.wanted != VnodeWanted::Removed);
        let kept = state.kept_as(snapshot.key()).is_some();
        if stays && !kept && state.is_counted(snapshot.vcluster) {
            let sum = counted.entry(snapshot.owner).or_default();
            *sum = sum.plus(Amounts::of_snapshots(1));
        }
    }
    for port in state.ports.values() {
        let sum = counted.entry(port.owner).or_default();
        *sum = sum.plus(Amounts::PORT);
    }
    for user in state.users.keys() {
        let anew = counted.get(user).copied().unwrap_or_default();
        if anew != state.amounts_of(*user) {
            broken.push(format!("the sum of what user {user} has is wrong"));
        }
        let of = state.groups_of(*user).map(|group| group.id);
        let groups = state.groups.values();
        let anew = groups.filter(|group| group.members.contains(user));
        if !of.eq(anew.map(|group| group.id)) {
            broken.push(format!("user {user} is looked for in other groups"));
        }
    }
}

/// Whoever takes more of something may have that much.
pub(super) fn nobody_takes_too_much(before: &State, after: &State, broken: &mut Vec<String>) {
    if before.version() < Quota::SINCE {
        return;
    }
    for person in after.users.values() {
        let (old, new) = (before.amounts_of(person.id), after.amounts_of(person.id));
        for item in Amounts::ITEMS {
            let limit = quota::limit(after, person, item).bound;
            let (old, new) = (old.of(item), new.of(item));
            if new > old && !new.is_none_or(|new| limit.allows(new)) {
                let item = item.word();
                broken.push(format!("user {} has more {item} than they may", person.id));
            }
        }
    }
}

/// There is somebody who can give roles.
pub(super) fn an_admin_remains(state: &State, broken: &mut Vec<String>) {
    let mut people = state.users.values();
    if state.settings.is_some() && !people.any(crate::model::User::is_admin) {
        broken.push("there is no admin".to_owned());
    }
}
