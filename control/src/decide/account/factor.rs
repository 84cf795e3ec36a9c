//! Second factors. Doors compute codes and compare; what is decided here is that each code works once.

use std::collections::BTreeSet;

use super::super::{Decision, Ground, in_range};
use super::{event, user_of};
use crate::account::command::Proof;
use crate::account::event::AccountEvent;
use crate::account::refusal::AccountRefusal;
use crate::event::Event;
use crate::id::{SecretHash, UserId};
use crate::model::account::{FactorSecret, SecondFactor};
use crate::model::receipt::Subject;
use crate::permit;
use crate::refusal::Refusal;

/// What was begun before and never confirmed is forgotten.
pub(super) fn begin(ground: Ground<'_>, secret: &FactorSecret) -> Result<Decision, Refusal> {
    let user = permit::person(ground.state, ground.entry.actor)?.id;
    if ground.state.account_of(user).confirmed_factor().is_some() {
        return Err(AccountRefusal::FactorPresent.into());
    }
    let factor = SecondFactor {
        secret: secret.clone(),
        begun_at: ground.entry.at,
        confirmed: false,
        last_step: 0,
        recovery: imbl::OrdSet::new(),
    };
    let begun = event(AccountEvent::FactorBegun { user, factor });
    Ok(Decision::new(Subject::User(user), vec![begun]))
}

pub(super) fn confirm(
    ground: Ground<'_>,
    step: u64,
    recovery: &BTreeSet<SecretHash>,
) -> Result<Decision, Refusal> {
    let user = permit::person(ground.state, ground.entry.actor)?.id;
    let codes = SecondFactor::RECOVERY_CODES as u64;
    in_range(
        "recovery codes",
        recovery.len() as u64,
        codes..=codes,
        "codes",
    )?;
    let account = ground.state.account_of(user);
    if account.confirmed_factor().is_some() {
        return Err(AccountRefusal::FactorPresent.into());
    }
    let factor = account.factor.ok_or_else(|| missing("confirm"))?;
    let factor = SecondFactor {
        confirmed: true,
        last_step: step,
        recovery: recovery.iter().copied().collect(),
        ..factor
    };
    let confirmed = event(AccountEvent::FactorConfirmed { user, factor });
    Ok(Decision::new(Subject::User(user), vec![confirmed]))
}

/// Whoever is logged in as somebody must still show a code; an admin may for others.
pub(super) fn remove(ground: Ground<'_>, user: UserId, proof: Proof) -> Result<Decision, Refusal> {
    user_of(ground.state, user)?;
    let by = permit::person(ground.state, ground.entry.actor)?.id;
    let account = ground.state.account_of(user);
    let factor = account.factor.as_ref().ok_or_else(|| missing("remove"))?;
    if by == user && factor.confirmed {
        used(user, factor, proof)?;
    }
    let removed = event(AccountEvent::FactorRemoved { user, by });
    Ok(Decision::new(Subject::User(user), vec![removed]))
}

fn missing(action: &str) -> AccountRefusal {
    AccountRefusal::FactorMissing {
        action: action.to_owned(),
    }
}

/// What the proof uses up.
pub(super) fn used(
    user: UserId,
    factor: &SecondFactor,
    proof: Proof,
) -> Result<Event, AccountRefusal> {
    match proof {
        Proof::Nothing => Err(AccountRefusal::CodeNeeded),
        Proof::Code { step } if step > factor.last_step => {
            Ok(event(AccountEvent::CodeUsed { user, step }))
        }
        Proof::Recovery { code } if factor.recovery.contains(&code) => {
            let left = factor.recovery.len() - 1;
            Ok(event(AccountEvent::RecoveryCodeUsed { user, code, left }))
        }
        Proof::Code { .. } | Proof::Recovery { .. } => Err(AccountRefusal::CodeWrong),
    }
}
