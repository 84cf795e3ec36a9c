//! Accounts in the trash. All that is known of one stays under its number: only who is logged in is not any more, and what it
//! runs is in the trash with it. Since version 3 (ADR 0048).

use super::super::account::leave;
use super::super::{Decision, Ground, person, snapshot, vcluster};
use super::kept::Deleted;
use super::{again as vcluster_again, counted, goes_at_once, into_trash, ports_again};
use crate::account::event::AccountEvent;
use crate::event::Event;
use crate::id::UserId;
use crate::model::account::{Standing, Verdict};
use crate::model::kept::{Kept, KeptAccount, KeptThing};
use crate::model::receipt::Subject;
use crate::model::trash::{TrashWhy, Trashed};
use crate::model::{Port, Vcluster};
use crate::name::Name;
use crate::quota::{self, Amounts};
use crate::refusal::Refusal;
use crate::trash::event::{KeptRef, TrashEvent};

/// What of it is in the trash already stays there as it is. Asked again, it is accepted again.
pub(super) fn discard(
    ground: Ground<'_>,
    by: UserId,
    user: UserId,
    with_data: bool,
) -> Result<Deleted, Refusal> {
    let state = ground.state;
    let name = leave::check(ground, user, with_data)?.name.clone();
    let account = state.account_of(user);
    if matches!(account.standing, Standing::Leaving | Standing::Deleted) {
        return Ok((Decision::new(Subject::User(user), Vec::new()), None));
    }
    let verdict = verdict(ground, by);
    let discarded = AccountEvent::Discarded { user, verdict };
    let mut events = vec![Event::Account(discarded)];
    events.extend(person::sessions_ended(ground, user));
    let until = ground.entry.at.plus_ms(state.trash_policy().undo_ms());
    let mut vclusters = Vec::new();
    let there = state.vclusters_of(user);
    for row in there.filter(|row| !state.is_trashed(row.id) && !state.is_going(row.id)) {
        if goes_at_once(state, row.id) {
            events.extend(vcluster::delete_now(ground, row)?);
            continue;
        }
        snapshot::refuse_sources(state, state.live_vnodes_of(row.id))?;
        events.extend(into_trash(ground, row, until, TrashWhy::WithAccount { by }));
        vclusters.push(row.id);
    }
    let thing = KeptThing::Account(Box::new(KeptAccount {
        user,
        name,
        standing: account.standing,
        verdict: account.verdict,
        vclusters,
    }));
    let decision = Decision::new(Subject::User(user), events);
    Ok((decision, Some((by, thing))))
}

/// Whoever decided it now, without a word.
fn verdict(ground: Ground<'_>, by: UserId) -> Verdict {
    Verdict {
        by,
        at: ground.entry.at,
        reason: String::new(),
    }
}

/// As it stood, with what went with it: all of that, or it says what there is no room for.
pub(super) fn again(
    ground: Ground<'_>,
    kept: &KeptAccount,
    name: &Name,
) -> Result<Vec<Event>, Refusal> {
    if *name != kept.name {
        return Err(Refusal::Malformed {
            what: "name".to_owned(),
            cause: "an account has kept its own, and comes back under it".to_owned(),
        });
    }
    let state = ground.state;
    let vclusters = kept.vclusters.iter().filter(|id| !state.is_going(**id));
    let rows: Vec<(&Vcluster, &Trashed)> = vclusters
        .filter_map(|id| Some((state.vclusters.get(id)?, state.trashed.get(id)?)))
        .collect();
    let taken: Amounts = rows.iter().map(|(row, _)| counted(state, row.id)).sum();
    quota::check(state, kept.user, &taken)?;
    let verdict = match kept.standing {
        Standing::Locked => kept.verdict.clone(),
        Standing::Active | Standing::Leaving | Standing::Deleted => {
            Some(verdict(ground, ground.asker()?.id))
        }
    };
    let restored = AccountEvent::Restored {
        user: kept.user,
        standing: kept.standing,
        verdict,
    };
    let mut events = vec![Event::Account(restored)];
    for (row, trashed) in &rows {
        events.extend(vcluster_again(ground, row, trashed, row.name.clone()));
    }
    let ports = rows.iter().flat_map(|(_, trashed)| trashed.ports.iter());
    let ports: Vec<Port> = ports.cloned().collect();
    events.extend(ports_again(ground, kept.user, &ports));
    Ok(events)
}

/// It goes for good now, as if it had been deleted so.
pub(super) fn gone(
    ground: Ground<'_>,
    kept: &Kept,
    account: &KeptAccount,
    by: UserId,
) -> Result<Vec<Event>, Refusal> {
    let begun = leave::begin(ground, account.user, verdict(ground, by))?;
    Ok(std::iter::once(dropped(kept)).chain(begun).collect())
}

/// It is not in the trash any more.
pub(in crate::decide) fn dropped(kept: &Kept) -> Event {
    let about = KeptRef::from(kept);
    Event::Trash(TrashEvent::Dropped { about })
}
