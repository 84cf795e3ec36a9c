//! Whether an account may be used.

use crate::account::refusal::AccountRefusal;
use crate::id::UserId;
use crate::model::account::Standing;
use crate::state::State;

/// Refuses whoever is locked out or goes.
///
/// # Errors
/// `Locked` with the reason, or `Leaving`.
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
    }
}
