//! What can be asked about accounts. Texts are unchecked: decide checks them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::{LogIndex, SecretHash, UserId};
use crate::model::SessionKind;
use crate::model::account::{FactorSecret, Profile, Scope};

/// Asks for something about accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountCommand {
    /// Whether strangers may ask for accounts from now on.
    SetRegistration {
        open: bool,
    },
    /// A stranger asks for an account.
    Apply {
        name: String,
        password_hash: String,
        profile: Profile,
        reason: String,
    },
    /// They get it, under another name if one is given.
    Approve {
        application: LogIndex,
        name: Option<String>,
    },
    /// They do not get it, and are told why when they log in.
    Decline {
        application: LogIndex,
        reason: String,
    },
    /// Declined requests whose time is over.
    ForgetDeclined,
    SetProfile {
        user: UserId,
        profile: Profile,
    },
    /// All logins end, and there are no more until it is unlocked.
    Lock {
        user: UserId,
        reason: String,
    },
    Unlock {
        user: UserId,
    },
    /// The account goes. Without `with_data` only if it owns nothing.
    Delete {
        user: UserId,
        with_data: bool,
    },
    /// Nothing of an account that goes is left on any worker.
    FinishDeletion {
        user: UserId,
    },
    /// Somebody has shown a password at a door.
    OpenLogin(NewLogin),
    /// One login or token ends.
    EndLogin {
        user: UserId,
        number: LogIndex,
    },
    /// All logins and tokens end but this one.
    EndOtherLogins {
        user: UserId,
        keep: SecretHash,
    },
    /// Makes a token for a program of who asks.
    CreateToken {
        id: SecretHash,
        name: String,
        scopes: BTreeSet<Scope>,
        ttl_ms: u64,
    },
    /// A door has seen a token in use, on a day on which it was not used before.
    NoteUse {
        number: LogIndex,
    },
    /// The same password, hashed as passwords are by now. `from` is SHA-256 of the hash that it takes the place of.
    UpgradeHash {
        user: UserId,
        from: SecretHash,
        password_hash: String,
    },
    /// Who asks wants a second factor; it counts when a code was shown.
    BeginFactor {
        secret: FactorSecret,
    },
    /// A door has seen the code of that time step. `recovery` are SHA-256 of codes for when the device is lost.
    ConfirmFactor {
        step: u64,
        recovery: BTreeSet<SecretHash>,
    },
    /// Of oneself with a code, by an admin without.
    RemoveFactor {
        user: UserId,
        proof: Proof,
    },
}

/// A login as a door asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewLogin {
    pub user: UserId,
    pub id: SecretHash,
    pub kind: SessionKind,
    pub ttl_ms: u64,
    /// Where it comes from.
    pub from: String,
    pub proof: Proof,
    /// The login that waited for the proof; it ends.
    pub after: Option<SecretHash>,
}

/// What a door has seen beside the password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proof {
    #[default]
    Nothing,
    /// The code of that time step.
    Code { step: u64 },
    /// A recovery code with this SHA-256.
    Recovery { code: SecretHash },
}

impl AccountCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SetRegistration { .. } => "SetRegistration",
            Self::Apply { .. } => "ApplyForAccount",
            Self::Approve { .. } => "ApproveAccount",
            Self::Decline { .. } => "DeclineAccount",
            Self::ForgetDeclined => "ForgetDeclined",
            Self::SetProfile { .. } => "SetProfile",
            Self::Lock { .. } => "LockUser",
            Self::Unlock { .. } => "UnlockUser",
            Self::Delete { .. } => "DeleteUser",
            Self::FinishDeletion { .. } => "FinishDeletion",
            Self::OpenLogin(_) => "OpenLogin",
            Self::EndLogin { .. } => "EndLogin",
            Self::EndOtherLogins { .. } => "EndOtherLogins",
            Self::CreateToken { .. } => "CreateToken",
            Self::NoteUse { .. } => "NoteUse",
            Self::UpgradeHash { .. } => "UpgradeHash",
            Self::BeginFactor { .. } => "BeginFactor",
            Self::ConfirmFactor { .. } => "ConfirmFactor",
            Self::RemoveFactor { .. } => "RemoveFactor",
        }
    }
}
