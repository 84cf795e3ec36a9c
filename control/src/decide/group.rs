//! Groups of people: made and deleted by admins, who also say who manages them. Managers say who is in them. Since version 3.
//!
//! What a group gives is its managers' to give, and to nobody's harm: a manager neither adds nor removes themselves, finds no
//! admins and operators, and adds nobody who would have less of something by it.

mod again;

use std::collections::BTreeSet;

use imbl::OrdSet;

use super::{Decision, Ground, bean, image, in_range, notice, plain_text, template};
use crate::event::Event;
use crate::evolve::evolve;
use crate::group::command::GroupCommand;
use crate::group::event::GroupEvent;
use crate::id::{GroupId, UserId};
use crate::model::{Group, PurseOf, QuotaItem};
use crate::name::Name;
use crate::permit;
use crate::quota;
use crate::quota::refusal::QuotaRefusal;
use crate::refusal::Refusal;

pub(super) use again::again;

const DESCRIPTION_LEN_MAX: usize = 500;

pub(super) fn decide(ground: Ground<'_>, command: &GroupCommand) -> Result<Decision, Refusal> {
    match command {
        GroupCommand::Create { name, description } => create(ground, name, description),
        GroupCommand::Add { group, users } => add(ground, group, users),
        GroupCommand::Remove { group, users } => change(ground, group, users, |group, user| {
            group.members.remove(&user);
        }),
        GroupCommand::Delete { group } => delete(ground, group),
        GroupCommand::AddManagers { group, users } => {
            change(ground, group, users, |group, user| {
                group.managers.insert(user);
            })
        }
        GroupCommand::RemoveManagers { group, users } => {
            change(ground, group, users, |group, user| {
                group.managers.remove(&user);
            })
        }
    }
}

fn add(ground: Ground<'_>, text: &str, users: &[String]) -> Result<Decision, Refusal> {
    let decision = change(ground, text, users, |group, user| {
        group.members.insert(user);
    })?;
    if !permit::person(ground.state, ground.entry.actor)?.is_admin() {
        refuse_harm(ground, text, &decision)?;
    }
    Ok(decision)
}

/// Refuses a manager to add somebody who would have less of something than before.
fn refuse_harm(ground: Ground<'_>, text: &str, decision: &Decision) -> Result<(), Refusal> {
    let (before, at) = (ground.state, ground.entry.at);
    let events = decision.events.iter();
    let after = events.fold(before.clone(), |state, event| evolve(state, at, event));
    let (was, group) = (
        named(ground, text)?,
        after.group_named(&Name::parse("group", text)?),
    );
    let members = group.into_iter().flat_map(|group| &group.members);
    let new = members.filter(|user| !was.members.contains(*user));
    for user in new.filter_map(|user| before.users.get(user)) {
        let limit = |state, item| quota::limit(state, user, item).bound;
        let mut items = QuotaItem::ALL.into_iter();
        if let Some(item) = items.find(|item| limit(&after, *item) < limit(before, *item)) {
            return Err(QuotaRefusal::WouldHaveLess {
                group: was.name.to_string(),
                user: user.name.to_string(),
                item,
            }
            .into());
        }
    }
    Ok(())
}

pub(super) fn for_oneself(group: &Group) -> Refusal {
    let group = group.name.to_string();
    QuotaRefusal::ForOneself { group }.into()
}

/// Somebody whom the asker can put in the group or take out of it: for its managers that is nobody with a rank, and not
/// themselves.
fn person(ground: Ground<'_>, group: &Group, text: &str) -> Result<UserId, Refusal> {
    let asker = permit::person(ground.state, ground.entry.actor)?;
    let name = Name::parse("user", text)?;
    let user = ground.state.user_named(&name);
    let user = user.filter(|user| asker.is_admin() || user.id == asker.id || !user.operates());
    let user = user.ok_or_else(|| Refusal::not_found("user", &name))?;
    if user.id == asker.id && !asker.is_admin() {
        return Err(for_oneself(group));
    }
    Ok(user.id)
}

fn create(ground: Ground<'_>, name: &str, description: &str) -> Result<Decision, Refusal> {
    let name = Name::parse("group", name)?;
    plain_text("description", description, DESCRIPTION_LEN_MAX)?;
    check_new(ground, &name)?;
    let group = Group {
        id: GroupId(ground.index.0),
        name,
        description: description.to_owned(),
        members: OrdSet::new(),
        created_at: ground.entry.at,
        managers: OrdSet::new(),
    };
    Ok(formed(group, BTreeSet::new()))
}

/// Refuses a group more of this name.
fn check_new(ground: Ground<'_>, name: &Name) -> Result<(), Refusal> {
    if ground.state.group_named(name).is_some() {
        return Err(Refusal::NameTaken {
            kind: "group".to_owned(),
            name: name.to_string(),
        });
    }
    if ground.state.groups.len() >= Group::GROUPS_MAX {
        return Err(Refusal::Exhausted {
            what: "group".to_owned(),
            scope: format!("the {} of this cluster", Group::GROUPS_MAX),
        });
    }
    Ok(())
}

fn formed(group: Group, left: BTreeSet<UserId>) -> Decision {
    Decision::quiet(vec![Event::Group(GroupEvent::Formed { group, left })])
}

pub(super) fn named<'e>(ground: Ground<'e>, text: &str) -> Result<&'e Group, Refusal> {
    let name = Name::parse("group", text)?;
    let group = ground.state.group_named(&name);
    group.ok_or_else(|| Refusal::not_found("group", &name))
}

fn change(
    ground: Ground<'_>,
    text: &str,
    users: &[String],
    with: impl Fn(&mut Group, UserId),
) -> Result<Decision, Refusal> {
    let before = named(ground, text)?;
    let most = Group::MEMBERS_MAX as u64;
    in_range("people", users.len() as u64, 1..=most, "people")?;
    let mut after = before.clone();
    for user in users {
        let user = person(ground, before, user)?;
        with(&mut after, user);
    }
    in_range("group", after.members.len() as u64, 0..=most, "members")?;
    let managers_most = Group::MANAGERS_MAX as u64;
    let managers = after.managers.len() as u64;
    in_range("group", managers, 0..=managers_most, "managers")?;
    if after == *before {
        return Ok(Decision::quiet(Vec::new()));
    }
    let was = before.members.iter().chain(&before.managers);
    let left = was.filter(|user| !after.concerns(**user));
    let left = left.copied().collect();
    Ok(formed(after, left))
}

/// What was shared with it is shared with it no more.
pub(super) fn delete(ground: Ground<'_>, text: &str) -> Result<Decision, Refusal> {
    let group = named(ground, text)?;
    let mut events = image::without_group(ground, group.id);
    events.extend(template::without_group(ground, group.id));
    events.extend(notice::without_group(ground, group.id));
    events.extend(bean::closed(ground, PurseOf::Group(group.id)));
    events.push(Event::Group(GroupEvent::Dissolved {
        group: group.clone(),
    }));
    Ok(Decision::quiet(events))
}
