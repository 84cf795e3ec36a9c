//! What happened to accounts.

use serde::{Deserialize, Serialize};

use crate::id::{LogIndex, SecretHash, UserId};
use crate::model::User;
use crate::model::account::{
    Account, AccountPolicy, Application, FactorSecret, Login, Profile, SecondFactor, Standing,
    Verdict,
};
use crate::name::Name;
use crate::permit;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountEvent {
    PolicySet {
        policy: AccountPolicy,
    },
    /// A stranger asks for an account.
    Applied {
        application: Application,
    },
    /// It is an account now, which was made just before.
    Approved {
        application: LogIndex,
        account: Account,
    },
    Declined {
        application: LogIndex,
        name: Name,
        verdict: Verdict,
    },
    /// A request is forgotten, or another took its place.
    ApplicationForgotten {
        application: LogIndex,
    },
    ProfileSet {
        user: UserId,
        profile: Profile,
    },
    Locked {
        user: UserId,
        verdict: Verdict,
    },
    Unlocked {
        user: UserId,
        verdict: Verdict,
    },
    /// It goes as soon as nothing of it is left.
    Leaving {
        user: UserId,
        verdict: Verdict,
    },
    /// It is gone. The name is free again, the number never.
    Left {
        user: UserId,
        name: Name,
    },
    /// Where a session that was opened just before comes from, and what it may do.
    LoginOpened {
        login: Login,
    },
    TokenUsed {
        user: UserId,
        number: LogIndex,
        day: u64,
    },
    /// The same password, hashed otherwise.
    HashUpgraded {
        user: UserId,
        hash: String,
    },
    FactorBegun {
        user: UserId,
        factor: SecondFactor,
    },
    FactorConfirmed {
        user: UserId,
        factor: SecondFactor,
    },
    /// The code of that step was taken.
    CodeUsed {
        user: UserId,
        step: u64,
    },
    RecoveryCodeUsed {
        user: UserId,
        code: SecretHash,
        left: usize,
    },
    FactorRemoved {
        user: UserId,
        by: UserId,
    },
    /// It is in the trash from now on. Codes for when a device is lost are worth nothing any more.
    Discarded {
        user: UserId,
        verdict: Verdict,
    },
    /// It is back, and stands so.
    Restored {
        user: UserId,
        standing: Standing,
        verdict: Option<Verdict>,
    },
}

impl AccountEvent {
    /// Whose account it is about; none where it is none.
    #[must_use]
    pub fn owner(&self) -> Option<UserId> {
        match self {
            Self::PolicySet { .. }
            | Self::Applied { .. }
            | Self::Declined { .. }
            | Self::ApplicationForgotten { .. } => None,
            Self::Approved { account, .. } => Some(account.user),
            Self::LoginOpened { login } => Some(login.user),
            Self::ProfileSet { user, .. }
            | Self::Locked { user, .. }
            | Self::Unlocked { user, .. }
            | Self::Leaving { user, .. }
            | Self::Left { user, .. }
            | Self::TokenUsed { user, .. }
            | Self::HashUpgraded { user, .. }
            | Self::FactorBegun { user, .. }
            | Self::FactorConfirmed { user, .. }
            | Self::CodeUsed { user, .. }
            | Self::RecoveryCodeUsed { user, .. }
            | Self::FactorRemoved { user, .. }
            | Self::Discarded { user, .. }
            | Self::Restored { user, .. } => Some(*user),
        }
    }

    /// Whether `asker` may be told of it: whose account it is, and admins.
    #[must_use]
    pub fn is_for(&self, asker: &User) -> bool {
        let theirs = |owner| permit::owns(asker, owner);
        asker.is_admin() || self.owner().is_some_and(theirs)
    }

    /// As it may be shown: hashes of passwords, codes and secrets of logins never leave the masters.
    pub fn hide_secrets(&mut self) {
        const NONE: SecretHash = SecretHash([0; 32]);
        match self {
            Self::Applied { application } => application.password_hash.clear(),
            Self::Approved { account, .. } => {
                account.factor.iter_mut().for_each(hide);
            }
            Self::LoginOpened { login } => login.id = NONE,
            Self::HashUpgraded { hash, .. } => hash.clear(),
            Self::FactorBegun { factor, .. } | Self::FactorConfirmed { factor, .. } => hide(factor),
            Self::RecoveryCodeUsed { code, .. } => *code = NONE,
            Self::PolicySet { .. }
            | Self::Declined { .. }
            | Self::ApplicationForgotten { .. }
            | Self::ProfileSet { .. }
            | Self::Locked { .. }
            | Self::Unlocked { .. }
            | Self::Leaving { .. }
            | Self::Left { .. }
            | Self::TokenUsed { .. }
            | Self::CodeUsed { .. }
            | Self::FactorRemoved { .. }
            | Self::Discarded { .. }
            | Self::Restored { .. } => {}
        }
    }
}

fn hide(factor: &mut SecondFactor) {
    factor.secret = FactorSecret([0; FactorSecret::LEN]);
    factor.recovery.clear();
}
