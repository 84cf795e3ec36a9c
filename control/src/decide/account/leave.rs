//! Accounts that go. What a worker has goes first, and only when its worker has said so does the account.

use std::collections::BTreeSet;

use super::super::{Decision, Ground, bean, person, trash, vcluster};
use super::{event, refuse_oneself, user_of, verdict};
use crate::account::due::is_empty;
use crate::account::event::AccountEvent;
use crate::account::refusal::AccountRefusal;
use crate::account::standing::stays;
use crate::event::Event;
use crate::group::event::GroupEvent;
use crate::id::UserId;
use crate::image::event::{Audience, ImageEvent};
use crate::model::account::{Standing, Verdict};
use crate::model::receipt::Subject;
use crate::model::{PurseOf, User};
use crate::refusal::Refusal;

/// With data, its vclusters are deleted now, with all that is on their disks. Asked again, it is accepted again.
pub(in crate::decide) fn delete(
    ground: Ground<'_>,
    user: UserId,
    with_data: bool,
) -> Result<Decision, Refusal> {
    let state = ground.state;
    check(ground, user, with_data)?;
    if state.account_of(user).standing == Standing::Leaving {
        return Ok(Decision::new(Subject::User(user), Vec::new()));
    }
    let mut events = match state.kept_account(user) {
        Some(kept) => vec![trash::dropped(kept)],
        None => Vec::new(),
    };
    events.extend(begin(ground, user, verdict(ground, "")?)?);
    Ok(Decision::new(Subject::User(user), events))
}

/// Whether it may be deleted by who asks.
pub(in crate::decide) fn check(
    ground: Ground<'_>,
    user: UserId,
    with_data: bool,
) -> Result<&User, Refusal> {
    let state = ground.state;
    let row = user_of(state, user)?;
    refuse_oneself(ground, user, "delete")?;
    let leaves = !stays(state, user);
    let vclusters = state.vclusters_of(user).count();
    let images = state.image_titles.values();
    let images = images.filter(|title| title.owner == user).count();
    if leaves || with_data || vclusters + images == 0 {
        return Ok(row);
    }
    Err(AccountRefusal::HasData {
        name: row.name.to_string(),
        vclusters: vclusters as u64,
        images: images as u64,
    }
    .into())
}

/// It goes for good from now on, and all that it owns.
pub(in crate::decide) fn begin(
    ground: Ground<'_>,
    user: UserId,
    verdict: Verdict,
) -> Result<Vec<Event>, Refusal> {
    let mut events = vec![event(AccountEvent::Leaving { user, verdict })];
    events.extend(person::sessions_ended(ground, user));
    for row in ground.state.vclusters_of(user) {
        events.extend(vcluster::delete_now(ground, row)?);
    }
    Ok(events)
}

/// Its images mean nothing any more; of those of which somebody else's vnodes are made, the bytes stay as long as they are.
/// Nobody shares anything with it, it is in no group, and its home stays on the disks under its number.
pub(super) fn finish(ground: Ground<'_>, user: UserId) -> Decision {
    let state = ground.state;
    let Some(row) = state.users.get(&user) else {
        return Decision::quiet(Vec::new());
    };
    let leaves = state.account_of(user).standing == Standing::Leaving;
    if !leaves || !is_empty(state, user) {
        return Decision::quiet(Vec::new());
    }
    let mut events: Vec<Event> = person::sessions_ended(ground, user).collect();
    events.extend(without_images(ground, user));
    events.extend(without_membership(ground, user));
    events.extend(bean::closed(ground, PurseOf::User(user)));
    events.push(event(AccountEvent::Left {
        user,
        name: row.name.clone(),
    }));
    Decision::quiet(events)
}

fn without_images(ground: Ground<'_>, user: UserId) -> impl Iterator<Item = Event> {
    let state = ground.state;
    let titles = state.image_titles.values();
    titles.filter_map(move |title| {
        let audience = Audience::of(state, [title]);
        if title.owner == user {
            let (owner, name) = (user, title.name.clone());
            return Some(Event::Image(ImageEvent::Untitled {
                owner,
                name,
                audience,
            }));
        }
        title.shared_with.contains(&user).then(|| {
            let mut title = title.clone();
            title.shared_with.remove(&user);
            Event::Image(ImageEvent::Titled { title, audience })
        })
    })
}

fn without_membership(ground: Ground<'_>, user: UserId) -> impl Iterator<Item = Event> {
    let groups = ground.state.groups.values();
    let groups = groups.filter(move |group| group.concerns(user));
    groups.map(move |group| {
        let mut group = group.clone();
        group.members.remove(&user);
        group.managers.remove(&user);
        let left = BTreeSet::from([user]);
        Event::Group(GroupEvent::Formed { group, left })
    })
}
