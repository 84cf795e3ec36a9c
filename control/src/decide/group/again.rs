//! Groups that come back out of the trash: who was in them and still has an account is in them again, and what they gave,
//! shared and kept for their people they do again.

use std::collections::BTreeSet;

use super::check_new;
use crate::bean::event::BeanEvent;
use crate::decide::{Ground, image, template};
use crate::event::Event;
use crate::group::event::GroupEvent;
use crate::id::UserId;
use crate::model::kept::KeptGroup;
use crate::model::{Group, PurseOf};
use crate::name::Name;
use crate::quota::event::QuotaEvent;
use crate::refusal::Refusal;

pub(in crate::decide) fn again(
    ground: Ground<'_>,
    kept: &KeptGroup,
    name: &Name,
) -> Result<Vec<Event>, Refusal> {
    check_new(ground, name)?;
    let state = ground.state;
    let there = |id: &&UserId| state.users.contains_key(*id);
    let group = Group {
        name: name.clone(),
        members: kept.group.members.iter().filter(there).copied().collect(),
        managers: kept.group.managers.iter().filter(there).copied().collect(),
        ..kept.group.clone()
    };
    let managers: BTreeSet<UserId> = group.managers.iter().copied().collect();
    let members = group.members.iter().copied();
    let told: BTreeSet<UserId> = members.chain(managers.iter().copied()).collect();
    let quota = kept.quota.clone().map(|set| {
        let told = told.clone();
        Event::Quota(QuotaEvent::OfGroupSet { set, told })
    });
    let shares = kept.shares.iter();
    let shares = shares.filter(|share| group.members.contains(&share.user));
    let shares = shares.map(|share| {
        Event::Quota(QuotaEvent::ShareSet {
            set: share.clone(),
            told: managers.clone(),
        })
    });
    let images = image::again::shared_with_group(ground, group.id, &group.members, &kept.images);
    let templates = template::with_group(ground, &kept.templates, &told);
    let purse = kept.beans.map(|beans| {
        Event::Bean(BeanEvent::Opened {
            of: PurseOf::Group(group.id),
            beans,
            number: ground.index,
            told: managers.clone(),
        })
    });
    let formed = Event::Group(GroupEvent::Formed {
        group: group.clone(),
        left: BTreeSet::new(),
    });
    Ok(std::iter::once(formed)
        .chain(quota)
        .chain(shares)
        .chain(images)
        .chain(templates)
        .chain(purse)
        .collect())
}
