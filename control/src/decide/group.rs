//! Groups of people: made, changed and deleted by admins. Since version 3.

use std::collections::BTreeSet;

use imbl::OrdSet;

use super::{Decision, Ground, image, in_range, plain_text};
use crate::event::Event;
use crate::group::command::GroupCommand;
use crate::group::event::GroupEvent;
use crate::id::{GroupId, UserId};
use crate::model::Group;
use crate::name::Name;
use crate::refusal::Refusal;

const DESCRIPTION_LEN_MAX: usize = 500;

pub(super) fn decide(ground: Ground<'_>, command: &GroupCommand) -> Result<Decision, Refusal> {
    match command {
        GroupCommand::Create { name, description } => create(ground, name, description),
        GroupCommand::Add { group, users } => change(ground, group, users, |members, user| {
            members.insert(user);
        }),
        GroupCommand::Remove { group, users } => change(ground, group, users, |members, user| {
            members.remove(&user);
        }),
        GroupCommand::Delete { group } => delete(ground, group),
    }
}

fn create(ground: Ground<'_>, name: &str, description: &str) -> Result<Decision, Refusal> {
    let name = Name::parse("group", name)?;
    plain_text("description", description, DESCRIPTION_LEN_MAX)?;
    if ground.state.group_named(&name).is_some() {
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
    let group = Group {
        id: GroupId(ground.index.0),
        name,
        description: description.to_owned(),
        members: OrdSet::new(),
        created_at: ground.entry.at,
    };
    Ok(formed(group, BTreeSet::new()))
}

fn formed(group: Group, left: BTreeSet<UserId>) -> Decision {
    Decision::quiet(vec![Event::Group(GroupEvent::Formed { group, left })])
}

fn named<'e>(ground: Ground<'e>, text: &str) -> Result<&'e Group, Refusal> {
    let name = Name::parse("group", text)?;
    let group = ground.state.group_named(&name);
    group.ok_or_else(|| Refusal::not_found("group", &name))
}

fn change(
    ground: Ground<'_>,
    text: &str,
    users: &[String],
    with: impl Fn(&mut OrdSet<UserId>, UserId),
) -> Result<Decision, Refusal> {
    let before = named(ground, text)?;
    let most = Group::MEMBERS_MAX as u64;
    in_range("people", users.len() as u64, 1..=most, "people")?;
    let mut after = before.clone();
    for user in users {
        let name = Name::parse("user", user)?;
        let user = ground.state.user_named(&name);
        let user = user.ok_or_else(|| Refusal::not_found("user", &name))?;
        with(&mut after.members, user.id);
    }
    in_range("group", after.members.len() as u64, 0..=most, "members")?;
    if after == *before {
        return Ok(Decision::quiet(Vec::new()));
    }
    let was = before.members.iter();
    let left = was.filter(|user| !after.members.contains(*user));
    let left = left.copied().collect();
    Ok(formed(after, left))
}

/// What was shared with it is shared with it no more.
fn delete(ground: Ground<'_>, text: &str) -> Result<Decision, Refusal> {
    let group = named(ground, text)?;
    let mut events = image::without_group(ground, group.id);
    events.push(Event::Group(GroupEvent::Dissolved {
        group: group.clone(),
    }));
    Ok(Decision::quiet(events))
}
