//! How much people may have, told in one place: what holds of a person and whence, what they have, and whether they may have
//! more. Rows are [`crate::model::quota`]; who may set what, [`crate::permit`]. Since version 3.
//!
//! What counts is what is in the state, stopped or waiting, until it is gone from there: of a vnode that was deleted, or is to
//! have less, when its worker has said so. So nothing can be had twice by letting go of it slowly.

mod amounts;
pub mod command;
pub mod event;
pub mod refusal;

pub use amounts::Amounts;

use crate::bean;
use crate::id::{GroupId, UserId};
use crate::model::{Bound, Group, KbitPerS, Quota, QuotaItem, Role, User};
use crate::refusal::Refusal;
use crate::state::State;
use refusal::{Over, QuotaRefusal};

/// Whence a limit comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whence {
    /// It was set for this person.
    Own,
    /// Admins have none.
    Admin,
    /// A group gives it, the most generous one.
    Group(GroupId),
    /// It is what everybody has.
    Usual,
}

/// What holds of a person, of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub bound: Bound,
    pub whence: Whence,
}

/// What holds: what was set for the person; of an admin no limit; else what the most generous of their groups gives; else
/// the usual.
#[must_use]
pub fn limit(state: &State, person: &User, item: QuotaItem) -> Limit {
    let limit = |bound, whence| Limit { bound, whence };
    if let Some(own) = own(state, person.id, item) {
        return limit(own, Whence::Own);
    }
    // A home has a size, whoever's it is.
    if person.is_admin() && item != QuotaItem::HomeMib {
        return limit(Bound::Unlimited, Whence::Admin);
    }
    let groups = state.groups_of(person.id);
    let given = groups.filter_map(|group| {
        let given = given_by(state, group, person.id, item)?;
        Some((given, group.id))
    });
    // Of two that give as much the elder one is named.
    let most = given.reduce(|one, other| if other.0 > one.0 { other } else { one });
    match most {
        Some((bound, group)) => limit(bound, Whence::Group(group)),
        None => limit(usual(state, item), Whence::Usual),
    }
}

/// What was set for one person. Images and homes have rows of their own.
#[must_use]
pub fn own(state: &State, user: UserId, item: QuotaItem) -> Option<Bound> {
    match item {
        QuotaItem::ImageBytes => {
            let own = state.image_quotas.get(&user)?;
            Some(own.quota.bytes.map_or(Bound::Unlimited, Bound::AtMost))
        }
        QuotaItem::HomeMib => {
            let own = state.user_homes.get(&user)?;
            Some(Bound::AtMost(own.disk_mib.0))
        }
        QuotaItem::Vnodes
        | QuotaItem::CpuMilli
        | QuotaItem::MemoryMib
        | QuotaItem::DiskMib
        | QuotaItem::Gpus
        | QuotaItem::Ports
        | QuotaItem::Snapshots
        | QuotaItem::BandwidthKbitPerS
        | QuotaItem::IdleMinutes => state.user_quotas.get(&user)?.quota.of(item),
    }
}

/// What a group gives a member: its own bound, or the member's share where that is less.
#[must_use]
pub fn given_by(state: &State, group: &Group, user: UserId, item: QuotaItem) -> Option<Bound> {
    let whole = state.group_quotas.get(&group.id)?.quota.of(item)?;
    let share = state.group_shares.get(&(group.id, user));
    let share = share.and_then(|share| share.quota.of(item));
    Some(share.map_or(whole, |share| share.min(whole)))
}

/// What everybody has for whom nothing else was said.
#[must_use]
pub fn usual(state: &State, item: QuotaItem) -> Bound {
    match item {
        QuotaItem::ImageBytes => {
            let bytes = state.image_quota().bytes;
            bytes.map_or(Bound::Unlimited, Bound::AtMost)
        }
        QuotaItem::HomeMib => Bound::AtMost(state.usual_home().disk_mib.0),
        QuotaItem::Vnodes
        | QuotaItem::CpuMilli
        | QuotaItem::MemoryMib
        | QuotaItem::DiskMib
        | QuotaItem::Gpus
        | QuotaItem::Ports
        | QuotaItem::Snapshots
        | QuotaItem::BandwidthKbitPerS
        | QuotaItem::IdleMinutes => {
            let set = state.usual_quota.as_ref().and_then(|quota| quota.of(item));
            set.unwrap_or_else(|| Quota::usual(item))
        }
    }
}

/// How much of one item a person has; none of what is no sum.
#[must_use]
pub fn used(state: &State, user: UserId, item: QuotaItem) -> Option<u64> {
    match item {
        QuotaItem::ImageBytes => Some(crate::image::quota::used(state, user)),
        QuotaItem::HomeMib | QuotaItem::BandwidthKbitPerS | QuotaItem::IdleMinutes => None,
        QuotaItem::Vnodes
        | QuotaItem::CpuMilli
        | QuotaItem::MemoryMib
        | QuotaItem::DiskMib
        | QuotaItem::Gpus
        | QuotaItem::Ports
        | QuotaItem::Snapshots => state.amounts_of(user).of(item),
    }
}

/// What each vnode of a person may send, and as much receive, at most; none if there is no limit.
#[must_use]
pub fn bandwidth(state: &State, owner: UserId) -> Option<KbitPerS> {
    let owner = state.users.get(&owner)?;
    let limit = limit(state, owner, QuotaItem::BandwidthKbitPerS);
    let most = limit.bound.number()?;
    Some(KbitPerS(u32::try_from(most).unwrap_or(u32::MAX)))
}

/// Whence a limit comes, as whoever has it reads it.
#[must_use]
pub fn whence(state: &State, limit: Limit) -> String {
    match limit.whence {
        Whence::Own => "own".to_owned(),
        Whence::Admin => Role::Admin.word().to_owned(),
        Whence::Usual => "usual".to_owned(),
        Whence::Group(id) => {
            let group = state.groups.get(&id);
            group.map_or_else(
                || "group".to_owned(),
                |group| format!("group {}", group.name),
            )
        }
    }
}

/// What a person has more of than they may: nothing is taken away for it.
#[must_use]
pub fn over(state: &State, person: &User, more: &Amounts) -> Vec<Over> {
    let has = state.amounts_of(person.id);
    let over = Amounts::ITEMS.into_iter().filter_map(|item| {
        let (used, wanted) = (has.of(item)?, more.of(item)?);
        let limit = limit(state, person, item);
        (!limit.bound.allows(used.saturating_add(wanted))).then(|| Over {
            item,
            used,
            wanted,
            limit: limit.bound.number().unwrap_or(u64::MAX),
            whence: whence(state, limit),
        })
    });
    over.collect()
}

/// Refuses a wish for more bandwidth than each of the owner's vnodes may have.
///
/// # Errors
/// `BandwidthAbove`.
pub(crate) fn check_bandwidth(state: &State, owner: UserId, rate: KbitPerS) -> Result<(), Refusal> {
    let Some(person) = state.users.get(&owner) else {
        return Ok(());
    };
    let limit = limit(state, person, QuotaItem::BandwidthKbitPerS);
    match limit.bound.number() {
        Some(most) if u64::from(rate.0) > most => Err(QuotaRefusal::BandwidthAbove {
            whose: person.name.to_string(),
            given: rate.0,
            most,
            whence: whence(state, limit),
        }
        .into()),
        Some(_) | None => Ok(()),
    }
}

/// Refuses so much more to the owner of what is asked for, whoever asks. Who has more than they may by now keeps it, and
/// may do whatever takes no more.
///
/// # Errors
/// `Exceeded`, with every item of which there would be too much; or that the owner has no beans left.
pub(crate) fn check(state: &State, owner: UserId, more: &Amounts) -> Result<(), Refusal> {
    if *more != Amounts::default() {
        bean::check(state, owner)?;
    }
    let Some(person) = state
        .users
        .get(&owner)
        .filter(|_| state.version() >= Quota::SINCE)
    else {
        return Ok(());
    };
    let mut over = over(state, person, more);
    over.retain(|over| over.wanted > 0);
    if over.is_empty() {
        return Ok(());
    }
    let whose = person.name.to_string();
    Err(QuotaRefusal::Exceeded { whose, over }.into())
}
