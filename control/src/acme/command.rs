//! What can be asked of certificates by ACME, since version 3. Texts are unchecked: decide checks them.

use serde::{Deserialize, Serialize};

use crate::id::{LogIndex, UnixMs};
use crate::model::acme::{AcmeSetting, Sealed};

/// Asks for something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AcmeCommand {
    /// The cluster gets itself certificates so from now on.
    Set { setting: AcmeSetting },
    /// It does no more, and forgets what it got.
    Off,
    /// The next one is wanted now.
    Renew,
    /// A master is about to order one, with these keys. Of all who would, one begins.
    Begin {
        /// The setting under which.
        setting: LogIndex,
        /// That of a new account, where there is none.
        account_key: Option<Sealed>,
        key: Sealed,
    },
    /// The account's key opens nothing on the masters that there are: a backup of another cluster was restored.
    ForgetKeys { setting: LogIndex },
    /// The authority has the order, and wants to see this.
    Place {
        order: LogIndex,
        url: String,
        challenges: Vec<(String, [u8; 32])>,
    },
    /// The authority issued it.
    Issue {
        order: LogIndex,
        chain: String,
        begins_at: UnixMs,
        ends_at: UnixMs,
    },
    /// It did not come about, or there is not even an account.
    Fail {
        setting: LogIndex,
        order: Option<LogIndex>,
        cause: String,
        /// The authority wants to be left alone for so long.
        pause_ms: u64,
        /// The order can go on: nobody answered, or the authority needs longer.
        keep: bool,
    },
}

impl AcmeCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Set { .. } => "SetAcme",
            Self::Off => "UnsetAcme",
            Self::Renew => "RenewCertificate",
            Self::Begin { .. } => "BeginCertificateOrder",
            Self::ForgetKeys { .. } => "ForgetAcmeKeys",
            Self::Place { .. } => "PlaceCertificateOrder",
            Self::Issue { .. } => "IssueCertificate",
            Self::Fail { .. } => "FailCertificateOrder",
        }
    }
}
