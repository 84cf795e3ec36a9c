//! Terminals that are shared by a link. Since version 3.

use std::collections::BTreeSet;

use super::{Decision, Ground, in_range};
use crate::event::{Event, VnodeRef};
use crate::id::{LogIndex, SecretHash, UserId};
use crate::model::{Share, VnodeWanted};
use crate::permit;
use crate::refusal::Refusal;
use crate::terminal::command::TerminalCommand;
use crate::terminal::event::{TerminalEvent, UnshareWhy};
use crate::terminal::{due, found, good, is_shown_to, open_at};

pub(super) fn decide(ground: Ground<'_>, command: &TerminalCommand) -> Result<Decision, Refusal> {
    match command {
        TerminalCommand::Share {
            vnode,
            session,
            secret,
            types,
            minutes,
        } => {
            let most = u64::from(Share::MINUTES_MAX);
            in_range("time", (*minutes).into(), 1..=most, "minutes")?;
            let made_at = ground.entry.at;
            share(
                ground,
                Share {
                    id: ground.index,
                    vnode: *vnode,
                    by: permit::person(ground.state, ground.entry.actor)?.id,
                    session: *session,
                    secret: *secret,
                    types: *types,
                    until: made_at.plus_ms(u64::from(*minutes) * 60_000),
                    made_at,
                    guests: BTreeSet::new(),
                },
            )
        }
        TerminalCommand::Unshare { share } => unshare(ground, *share),
        TerminalCommand::Join { secret } => join(ground, *secret),
        TerminalCommand::Forget => Ok(forget(ground)),
    }
}

fn share(ground: Ground<'_>, share: Share) -> Result<Decision, Refusal> {
    let state = ground.state;
    let vnode = permit::visible_vnode(state, ground.entry.actor, share.vnode)?;
    if vnode.wanted == VnodeWanted::Removed {
        return Err(Refusal::not_found("vnode", share.vnode));
    }
    // Secrets are drawn at doors: one that is known is no accident.
    if state.share_with(share.secret).is_some() {
        return Err(Refusal::Malformed {
            what: "link".to_owned(),
            cause: "its secret is in use".to_owned(),
        });
    }
    // Those that are over and not forgotten yet make room, so that no look-up of rows is ever larger.
    let over = state.shares_of(vnode.id);
    let over = over.filter(|row| good(state, row, ground.entry.at).is_none());
    let mut events: Vec<Event> = over.filter_map(|row| ended(ground, row)).collect();
    if open_at(state, vnode.id, ground.entry.at).count() >= Share::PER_VNODE_MAX {
        return Err(Refusal::Exhausted {
            what: "link".to_owned(),
            scope: format!("the {} that a vnode may have", Share::PER_VNODE_MAX),
        });
    }
    let about = VnodeRef::from(vnode);
    events.push(Event::Terminal(TerminalEvent::Shared { about, share }));
    Ok(Decision::quiet(events))
}

fn unshare(ground: Ground<'_>, id: LogIndex) -> Result<Decision, Refusal> {
    let asker = permit::person(ground.state, ground.entry.actor)?;
    let share = ground.state.shares.get(&id);
    let share = share.filter(|share| is_shown_to(ground.state, share, asker));
    let share = share.ok_or_else(|| Refusal::not_found("shared terminal", id))?;
    let why = UnshareWhy::Revoked { by: asker.id };
    let events = unshared(ground, share, why).into_iter().collect();
    Ok(Decision::quiet(events))
}

/// Whoever is logged in and has the link, whatever else they may. One that was never there, that is over, and that is wrong
/// are one thing.
fn join(ground: Ground<'_>, secret: SecretHash) -> Result<Decision, Refusal> {
    let guest = permit::person(ground.state, ground.entry.actor)?.id;
    let found = found(ground.state, secret, ground.entry.at);
    let (share, vnode) = found.ok_or(Refusal::LinkWorthless)?;
    let joined = TerminalEvent::Joined {
        about: VnodeRef::from(vnode),
        share: share.id,
        guest,
    };
    Ok(Decision::quiet(vec![Event::Terminal(joined)]))
}

fn forget(ground: Ground<'_>) -> Decision {
    let over = due::over(ground.state, ground.entry.at);
    Decision::quiet(over.filter_map(|share| ended(ground, share)).collect())
}

/// One that is good for nothing any more by itself.
fn ended(ground: Ground<'_>, share: &Share) -> Option<Event> {
    let why = if share.until <= ground.entry.at {
        UnshareWhy::Expired
    } else {
        UnshareWhy::Void
    };
    unshared(ground, share, why)
}

/// Whoever knew the old password may have shared what they were not to.
pub(super) fn password_changed(ground: Ground<'_>, user: UserId) -> impl Iterator<Item = Event> {
    let shares = ground.state.shares.values();
    let own = shares.filter(move |share| share.by == user);
    own.filter_map(move |share| unshared(ground, share, UnshareWhy::Password))
}

/// Rows go with their vnode, so that there is one.
fn unshared(ground: Ground<'_>, share: &Share, why: UnshareWhy) -> Option<Event> {
    let vnode = ground.state.vnodes.get(&share.vnode)?;
    Some(Event::Terminal(TerminalEvent::Unshared {
        about: VnodeRef::from(vnode),
        share: share.id,
        why,
    }))
}
