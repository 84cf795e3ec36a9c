//! How much people have and may have, as they see it themselves, whoever manages a group of theirs, and admins.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Bound, Group, QuotaItem, User};
use crate::name::Name;
use crate::permit;
use crate::quota;
use crate::refusal::Refusal;
use crate::state::State;
use crate::view::part::{Part, Wanted};

/// One person's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AllowanceView {
    pub user: String,
    pub items: Vec<AllowedItem>,
}

/// Of one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AllowedItem {
    pub item: QuotaItem,
    /// None of what is no sum.
    pub used: Option<u64>,
    /// None if there is no limit.
    pub limit: Option<u64>,
    /// Whence the limit comes: own, admin, usual, or which group.
    pub whence: String,
}

impl AllowedItem {
    /// Whether nothing more of it may be had.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.used
            .zip(self.limit)
            .is_some_and(|(used, limit)| used >= limit)
    }

    /// How much is used, as people read it.
    #[must_use]
    pub fn used_words(&self) -> Option<String> {
        self.used.map(|used| self.item.words(used))
    }

    /// The limit, as people read it.
    #[must_use]
    pub fn limit_words(&self) -> String {
        let limit = self.limit.map(|limit| self.item.words(limit));
        limit.unwrap_or_else(|| "no limit".to_owned())
    }
}

/// What a group gives, and what each of its members has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct GroupAllowanceView {
    pub group: String,
    /// Each member may have so much; what is not in it is bounded elsewhere.
    pub quota: BTreeMap<QuotaItem, Bound>,
    /// For whoever manages it: members, with what they have of less than that.
    pub members: Vec<MemberAllowance>,
}

/// One member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MemberAllowance {
    /// What they have and may have by all that holds of them.
    #[serde(flatten)]
    pub allowance: AllowanceView,
    /// What the group gives this member, where it is less than it gives others.
    pub share: BTreeMap<QuotaItem, Bound>,
}

/// One person's.
#[must_use]
pub fn of(state: &State, person: &User) -> AllowanceView {
    let items = QuotaItem::ALL.into_iter().map(|item| {
        let limit = quota::limit(state, person, item);
        AllowedItem {
            item,
            used: quota::used(state, person.id, item),
            limit: limit.bound.number(),
            whence: quota::whence(state, limit),
        }
    });
    AllowanceView {
        user: person.name.to_string(),
        items: items.collect(),
    }
}

/// Everybody whom `asker` looks after, in the order in which they came.
#[must_use]
pub fn list(state: &State, asker: &User) -> Vec<AllowanceView> {
    part(state, asker, &Wanted::all()).rows
}

/// Part of that list, by name.
#[must_use]
pub fn part(state: &State, asker: &User, wanted: &Wanted) -> Part<AllowanceView> {
    let people = permit::people::looked_after_by(state, asker);
    let people = people.filter(|person| wanted.finds(person.name.as_str()));
    let rows = people.map(|person| (&person.name, person));
    let read = |text: &str| Name::parse("user", text).ok();
    wanted.of_ordered(rows, read, Name::to_string, |person| of(state, person))
}

/// One of them.
///
/// # Errors
/// `NotFound`, whether there is nobody of that name or `asker` does not look after them.
pub fn named(state: &State, asker: &User, name: &str) -> Result<AllowanceView, Refusal> {
    Ok(of(state, permit::looked_after(state, asker, name)?))
}

/// What a group gives, for whoever is in it.
///
/// # Errors
/// `NotFound`, whether there is no such group or others are in it.
pub fn of_group(state: &State, asker: &User, name: &str) -> Result<GroupAllowanceView, Refusal> {
    Ok(given(
        state,
        asker,
        permit::shown_group(state, asker, name)?,
    ))
}

/// The same of one that `asker` may see.
#[must_use]
pub fn given(state: &State, asker: &User, group: &Group) -> GroupAllowanceView {
    let given = state.group_quotas.get(&group.id);
    let members = if group.is_managed_by(asker) {
        members(state, group)
    } else {
        Vec::new()
    };
    GroupAllowanceView {
        group: group.name.to_string(),
        quota: given.map(|given| given.quota.0.clone()).unwrap_or_default(),
        members,
    }
}

fn members(state: &State, group: &Group) -> Vec<MemberAllowance> {
    let members = group.members.iter();
    let members = members.filter_map(|id| state.users.get(id));
    let members = members.map(|member| {
        let share = state.group_shares.get(&(group.id, member.id));
        MemberAllowance {
            allowance: of(state, member),
            share: share.map(|share| share.quota.0.clone()).unwrap_or_default(),
        }
    });
    members.collect()
}

/// What everybody may have for whom nothing else was said.
#[must_use]
pub fn usual(state: &State) -> BTreeMap<QuotaItem, Bound> {
    let bounds = QuotaItem::ALL.into_iter();
    bounds
        .map(|item| (item, quota::usual(state, item)))
        .collect()
}

/// What a person has of what, in one line.
#[must_use]
pub fn line(state: &State, person: &User) -> String {
    let view = of(state, person);
    let summed = view.items.iter().filter_map(|item| {
        let used = item.used_words()?;
        let limit = item.limit.map(|limit| item.item.words(limit))?;
        let word = item.item.word();
        Some(format!("{word} {used} of {limit} ({})", item.whence))
    });
    let summed: Vec<String> = summed.collect();
    if summed.is_empty() {
        return format!("{} may have as much as they like.", view.user);
    }
    format!("{} has {}.", view.user, summed.join(", "))
}
