//! What can be asked about logins by others' word. Texts are unchecked: decide checks them.

use serde::{Deserialize, Serialize};

use crate::account::command::NewLogin;
use crate::id::{IdentityId, SecretHash, UnixMs, UserId};
use crate::model::account::LoginWay;
use crate::model::identity::{OidcProvider, PamDoor};

/// Asks for something about who says who people are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdentityCommand {
    /// People log in by this provider from now on; by none.
    SetProvider { provider: Option<Box<OidcProvider>> },
    /// People log in by the masters' PAM from now on; not any more.
    SetPam { pam: Option<PamDoor> },
    /// A door has seen somebody whom nobody here is yet.
    Welcome { by: Witness, wish: Wish },
    /// A door has seen somebody who has an account.
    OpenLogin { by: Witness, login: NewLogin },
    /// Who asks is also that person of the provider.
    Connect { seen: Seen },
    /// They are it no more.
    Disconnect { user: UserId, identity: IdentityId },
    /// By what somebody's name and password are checked from now on.
    SetWay { user: UserId, way: LoginWay },
}

/// Who says who somebody is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Witness {
    Provider(Seen),
    /// The PAM of the master that asks.
    Pam,
}

/// What a provider said of somebody, after a door has checked that it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub issuer: String,
    pub subject: String,
    /// Empty if it said none.
    pub mail: String,
    pub mail_verified: bool,
    /// SHA-256 of what the login was begun with: it ends once.
    pub ticket: SecretHash,
    /// When it was begun.
    pub asked_at: UnixMs,
}

/// What somebody new would be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    pub name: String,
    pub real_name: String,
}

impl IdentityCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SetProvider { .. } => "SetOidcProvider",
            Self::SetPam { .. } => "SetPam",
            Self::Welcome { .. } => "Welcome",
            Self::OpenLogin { .. } => "OpenLoginBy",
            Self::Connect { .. } => "ConnectIdentity",
            Self::Disconnect { .. } => "DisconnectIdentity",
            Self::SetWay { .. } => "SetLoginWay",
        }
    }
}
