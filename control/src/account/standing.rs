//! Whether an account may be used.

use crate::account::refusal::AccountRefusal;
use crate::id::UserId;
use crate::model::account::Standing;
use crate::state::State;

/// Refuses whoever is locked out, goes, or is in the trash.
///
/// # Errors
/// `Locked` with the reason, `Leaving`, or `Deleted`.
pub fn admit(state: &State, user: UserId) -> Result<(), AccountRefusal> {
    let Some(account) = state.accounts.get(&user) else {
        return Ok(());
    };
    match account.standing {
        Standing::Active => Ok(()),
        Standing::Locked => {
            let verdict = account.verdict.as_ref();
            let reason = verdict.map_or_else(String::new, |verdict| verdict.reason.clone());
            Err(AccountRefusal::Locked { reason })
        }
        Standing::Leaving => Err(AccountRefusal::Leaving),
        Standing::Deleted => Err(deleted(state, user)),
    }
}

/// An account in the trash, by its name.
pub(crate) fn deleted(state: &State, user: UserId) -> AccountRefusal {
    let row = state.users.get(&user);
    let name = row.map_or_else(String::new, |row| row.name.to_string());
    AccountRefusal::Deleted { name }
}

/// Whether somebody may be given something: not who goes, and not who is in the trash.
#[must_use]
pub(crate) fn stays(state: &State, user: UserId) -> bool {
    match state.account_of(user).standing {
        Standing::Active | Standing::Locked => true,
        Standing::Leaving | Standing::Deleted => false,
    }
}
