//! What can be asked of services, since version 3. Texts are unchecked: decide checks them.

use serde::{Deserialize, Serialize};

use crate::id::{SecretHash, ServiceId, VnodeId};
use crate::model::PortNumber;

/// Asks for something of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceCommand {
    /// What listens at this port of the vnode is a service from now on.
    Add(NewService),
    Remove {
        service: ServiceId,
    },
    /// Who may open it beside its owner, from now on.
    Share {
        service: ServiceId,
        with: NewAudience,
    },
    /// The asker opens it in a browser: whoever shows the ticket at once, and once, is that browser.
    Open {
        service: ServiceId,
        ticket: SecretHash,
        /// The asker's login, with which it ends.
        session: SecretHash,
    },
    /// A door was shown the ticket, and gave the browser the secret of a visit.
    Enter {
        ticket: SecretHash,
        service: ServiceId,
        visit: SecretHash,
    },
}

/// What a service is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewService {
    pub vnode: VnodeId,
    pub name: String,
    pub port: PortNumber,
    /// What links to it end with; may be empty.
    pub path: String,
    /// Whether it is told who comes.
    pub tells_user: bool,
}

/// By names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewAudience {
    pub everybody: bool,
    pub people: Vec<String>,
    pub groups: Vec<String>,
}

impl ServiceCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Add(_) => "AddService",
            Self::Remove { .. } => "RemoveService",
            Self::Share { .. } => "ShareService",
            Self::Open { .. } => "OpenService",
            Self::Enter { .. } => "EnterService",
        }
    }
}
