//! What else than vclusters is in the trash.

use crate::model::account::Standing;
use crate::model::kept::{Kept, KeptAccount, KeptKind, KeptThing};
use crate::state::State;

/// Everything that is needed to have it back is there, and nobody has too much of it.
pub(super) fn rows_are_sound(state: &State, broken: &mut Vec<String>) {
    for kept in state.kept.values() {
        let blobs = kept
            .digests()
            .all(|digest| state.images.contains_key(&digest));
        let snapshots = kept.snapshots().iter();
        let mut snapshots = snapshots.map(|key| state.snapshots.get(key));
        let snapshots = snapshots.all(|row| row.is_some_and(|row| row.owner == kept.owner));
        let is_something = match &kept.thing {
            KeptThing::Snapshots { of, .. } => !of.is_empty(),
            KeptThing::Image { title, .. } => title.owner == kept.owner,
            KeptThing::ImageVersion { .. } | KeptThing::Group(_) | KeptThing::Template { .. } => {
                true
            }
            KeptThing::Notice(kept) => !state.notices.contains_key(&kept.notice.id),
            KeptThing::Account(account) => account_is_sound(state, kept, account),
        };
        if !blobs || !snapshots || !is_something {
            broken.push(format!(
                "what entry {} deleted cannot be had back",
                kept.number
            ));
        }
    }
    deleted_accounts_are_shut(state, broken);
    for owner in state.users.keys() {
        for kind in KeptKind::ALL.into_iter().filter(|kind| kind.is_bounded()) {
            let kept = state.kept_of(*owner);
            let count = kept.filter(|kept| kept.kind().is_as(kind)).count();
            if count > Kept::PER_OWNER_MAX {
                let word = kind.word();
                broken.push(format!("user {owner} has {count} of {word} in the trash"));
            }
        }
    }
}

/// It is there under its name and its number, nobody uses it, and what went with it comes back with nothing else.
fn account_is_sound(state: &State, kept: &Kept, account: &KeptAccount) -> bool {
    let user = state.users.get(&account.user);
    let found = state.kept_account(account.user) == Some(kept);
    let deleted = state.account_of(account.user).standing == Standing::Deleted;
    let vclusters = account.vclusters.iter().all(|id| {
        let trashed = state.trashed.get(id);
        state.is_going(*id) || trashed.is_some_and(|trashed| trashed.is_with_account())
    });
    user.is_some_and(|user| user.name == account.name) && found && deleted && vclusters
}

/// Who is in the trash is there once, and so is all that they own; nothing is there with an account that is not.
fn deleted_accounts_are_shut(state: &State, broken: &mut Vec<String>) {
    for account in state.accounts.values() {
        let user = account.user;
        if account.standing != Standing::Deleted {
            continue;
        }
        let mut vclusters = state.vclusters_of(user);
        let shut = vclusters.all(|row| state.is_trashed(row.id) || state.is_going(row.id));
        if state.kept_account(user).is_none() || !shut {
            broken.push(format!("user {user} is deleted, and not in the trash"));
        }
    }
    for trashed in state.trashed.values() {
        let account = state.kept_account(trashed.owner).and_then(Kept::account);
        let known = account.is_some_and(|account| account.vclusters.contains(&trashed.vcluster));
        if trashed.is_with_account() && !known && !state.is_going(trashed.vcluster) {
            let vcluster = trashed.vcluster;
            broken.push(format!(
                "vcluster {vcluster} waits for an account that does not"
            ));
        }
    }
}
