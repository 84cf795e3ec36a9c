//! How much people may have: set by admins, and within what a group gives by its managers. Whoever has more by now keeps it
//! and gets no more. Since version 3.

use std::collections::BTreeSet;

use super::{Decision, Ground, group, in_range, role};
use crate::amount::DiskMib;
use crate::event::Event;
use crate::id::UserId;
use crate::image::event::ImageEvent;
use crate::limit::event::LimitEvent;
use crate::model::{
    Bound, Group, GroupQuota, GroupShare, HomeUsual, ImageQuota, Quota, QuotaChange, QuotaItem,
    UserQuota,
};
use crate::notice::news;
use crate::permit;
use crate::quota::command::QuotaCommand;
use crate::quota::event::QuotaEvent;
use crate::quota::refusal::QuotaRefusal;
use crate::refusal::Refusal;

pub(super) fn decide(ground: Ground<'_>, command: &QuotaCommand) -> Result<Decision, Refusal> {
    let events = match command {
        QuotaCommand::SetUsual { change } => set_usual(ground, change)?,
        QuotaCommand::SetOfUser { user, change } => set_of_user(ground, user, change)?,
        QuotaCommand::SetOfGroup { group, change } => set_of_group(ground, group, change)?,
        QuotaCommand::SetShare {
            group,
            user,
            change,
        } => set_share(ground, group, user, change)?,
    };
    Ok(Decision::quiet(events))
}

fn check(change: &QuotaChange) -> Result<(), Refusal> {
    if change.is_empty() {
        return Err(QuotaRefusal::NothingToChange.into());
    }
    for (item, bound) in change {
        match bound {
            Some(Bound::AtMost(most)) => in_range(item.word(), *most, item.range(), unit(*item))?,
            Some(Bound::Unlimited) if *item == QuotaItem::HomeMib => {
                return Err(QuotaRefusal::HomeWithoutSize.into());
            }
            Some(Bound::Unlimited) | None => {}
        }
    }
    Ok(())
}

fn unit(item: QuotaItem) -> &'static str {
    match item {
        QuotaItem::Vnodes | QuotaItem::Gpus | QuotaItem::Ports | QuotaItem::Snapshots => {
            item.word()
        }
        QuotaItem::CpuMilli => "thousandths of a core",
        QuotaItem::MemoryMib | QuotaItem::DiskMib | QuotaItem::HomeMib => "MiB",
        QuotaItem::ImageBytes => "bytes",
        QuotaItem::BandwidthKbitPerS => "kbit/s",
        QuotaItem::IdleMinutes => "minutes",
    }
}

/// Images and homes have rows of their own; the rest of the change is what is left without them.
fn without_own_rows(change: &QuotaChange) -> QuotaChange {
    let mut rest = change.clone();
    rest.remove(&QuotaItem::ImageBytes);
    rest.remove(&QuotaItem::HomeMib);
    rest
}

fn image_quota(bound: Bound) -> ImageQuota {
    ImageQuota {
        bytes: bound.number(),
    }
}

fn home(bound: Option<Bound>) -> Option<DiskMib> {
    bound.and_then(Bound::number).map(DiskMib)
}

fn set_usual(ground: Ground<'_>, change: &QuotaChange) -> Result<Vec<Event>, Refusal> {
    check(change)?;
    let state = ground.state;
    let mut events = Vec::new();
    if let Some(bound) = change.get(&QuotaItem::ImageBytes) {
        let quota = bound.map_or(ImageQuota::USUAL, image_quota);
        let set = Event::Image(ImageEvent::QuotaSet { quota });
        events.extend((quota != state.image_quota()).then_some(set));
    }
    if let Some(bound) = change.get(&QuotaItem::HomeMib) {
        let size = home(*bound).unwrap_or(HomeUsual::DEFAULT.disk_mib);
        let usual = HomeUsual { disk_mib: size };
        let set = Event::Limit(LimitEvent::UsualHomeSet { usual });
        events.extend((usual != state.usual_home()).then_some(set));
    }
    let before = state.usual_quota.clone().unwrap_or_default();
    let quota = before.with(&without_own_rows(change));
    let news = quota != before;
    let set = Event::Quota(QuotaEvent::UsualSet { quota });
    events.extend(news.then_some(set));
    Ok(events)
}

fn set_of_user(
    ground: Ground<'_>,
    user: &str,
    change: &QuotaChange,
) -> Result<Vec<Event>, Refusal> {
    check(change)?;
    let state = ground.state;
    let user = role::named(state, user)?.id;
    let mut events = Vec::new();
    if let Some(bound) = change.get(&QuotaItem::ImageBytes) {
        let quota = bound.map(image_quota);
        let known = state.image_quotas.get(&user).map(|own| own.quota);
        let set = Event::Image(ImageEvent::QuotaOfSet { user, quota });
        events.extend((known != quota).then_some(set));
    }
    if let Some(bound) = change.get(&QuotaItem::HomeMib) {
        let disk_mib = home(*bound);
        let known = state.user_homes.get(&user).map(|own| own.disk_mib);
        let set = Event::Limit(LimitEvent::HomeSet { user, disk_mib });
        events.extend((known != disk_mib).then_some(set));
    }
    let before = state.user_quotas.get(&user);
    let before = before.map(|own| own.quota.clone()).unwrap_or_default();
    let quota = before.with(&without_own_rows(change));
    let news = quota != before;
    let set = UserQuota { user, quota };
    events.extend(news.then_some(Event::Quota(QuotaEvent::OfUserSet { set })));
    if !events.is_empty() && ground.asker()?.id != user {
        events.extend(news::quota_set(ground.moment(), user, change));
    }
    Ok(events)
}

fn set_of_group(
    ground: Ground<'_>,
    group: &str,
    change: &QuotaChange,
) -> Result<Vec<Event>, Refusal> {
    check(change)?;
    let group = group::named(ground, group)?;
    let before = ground.state.group_quotas.get(&group.id);
    let before = before.map(|set| set.quota.clone()).unwrap_or_default();
    let quota = before.with(change);
    if quota == before {
        return Ok(Vec::new());
    }
    let members = group.members.iter().chain(&group.managers);
    let set = GroupQuota {
        group: group.id,
        quota,
    };
    let told = members.copied().collect();
    Ok(vec![Event::Quota(QuotaEvent::OfGroupSet { set, told })])
}

/// What one member has of what the group gives. It never is more than that, so that nobody gives what is not theirs.
fn set_share(
    ground: Ground<'_>,
    group: &str,
    user: &str,
    change: &QuotaChange,
) -> Result<Vec<Event>, Refusal> {
    check(change)?;
    let state = ground.state;
    let group = group::named(ground, group)?;
    let user = role::named(state, user)?;
    if !group.members.contains(&user.id) {
        return Err(Refusal::not_found("user", &user.name));
    }
    let asker = permit::person(state, ground.entry.actor)?;
    if asker.id == user.id && !asker.is_admin() {
        return Err(group::for_oneself(group));
    }
    for (item, bound) in change {
        if let Some(bound) = bound {
            check_share(ground, group, *item, *bound)?;
        }
    }
    let before = state.group_shares.get(&(group.id, user.id));
    let before = before.map(|set| set.quota.clone()).unwrap_or_default();
    let quota = before.with(change);
    Ok(share_set(group, user.id, &before, quota)
        .into_iter()
        .collect())
}

fn share_set(group: &Group, user: UserId, before: &Quota, quota: Quota) -> Option<Event> {
    let news = quota != *before;
    let told: BTreeSet<UserId> = group.managers.iter().copied().collect();
    let set = GroupShare {
        group: group.id,
        user,
        quota,
    };
    news.then_some(Event::Quota(QuotaEvent::ShareSet { set, told }))
}

fn check_share(
    ground: Ground<'_>,
    group: &Group,
    item: QuotaItem,
    bound: Bound,
) -> Result<(), Refusal> {
    let set = ground.state.group_quotas.get(&group.id);
    let whole = set.and_then(|set| set.quota.of(item));
    let whole = whole.ok_or_else(|| QuotaRefusal::GroupSaysNothing {
        group: group.name.to_string(),
        item,
    })?;
    match whole.number() {
        Some(most) if bound > whole => Err(QuotaRefusal::AboveGroup {
            group: group.name.to_string(),
            item,
            given: bound.number(),
            most,
        }
        .into()),
        Some(_) | None => Ok(()),
    }
}
