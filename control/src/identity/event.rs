//! What happened about logins by others' word.

use serde::{Deserialize, Serialize};

use crate::id::{IdentityId, SecretHash, UnixMs, UserId};
use crate::model::User;
use crate::model::account::{Account, LoginWay};
use crate::model::identity::{ClientSecret, Holder, Identity, OidcProvider, PamDoor};
use crate::permit;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdentityEvent {
    ProviderSet {
        provider: Option<Box<OidcProvider>>,
    },
    PamSet {
        pam: Option<PamDoor>,
    },
    /// Somebody new has the account that was made just before.
    Welcomed {
        account: Account,
    },
    /// A person of the provider is somebody here.
    Connected {
        identity: Identity,
    },
    /// A login that was begun at the provider has ended here.
    Used {
        identity: IdentityId,
        user: UserId,
        ticket: SecretHash,
        until: UnixMs,
    },
    Disconnected {
        identity: IdentityId,
        user: UserId,
    },
    WaySet {
        user: UserId,
        way: LoginWay,
    },
}

impl IdentityEvent {
    /// Whose account it is about; none where it is none.
    #[must_use]
    pub fn owner(&self) -> Option<UserId> {
        match self {
            Self::ProviderSet { .. } | Self::PamSet { .. } => None,
            Self::Welcomed { account } => Some(account.user),
            Self::Connected { identity } => match identity.holder {
                Holder::User(user) => Some(user),
                Holder::Application(_) => None,
            },
            Self::Used { user, .. }
            | Self::Disconnected { user, .. }
            | Self::WaySet { user, .. } => Some(*user),
        }
    }

    /// Whether `asker` may be told of it: whose account it is, and admins.
    #[must_use]
    pub fn is_for(&self, asker: &User) -> bool {
        let theirs = |owner| permit::owns(asker, owner);
        asker.is_admin() || self.owner().is_some_and(theirs)
    }

    /// As it may be shown: neither what the provider is shown nor what logins were begun with.
    pub fn hide_secrets(&mut self) {
        match self {
            Self::ProviderSet {
                provider: Some(provider),
            } => provider.secret = ClientSecret::default(),
            Self::Connected { identity } => identity.spent.clear(),
            Self::Used { ticket, .. } => *ticket = SecretHash([0; 32]),
            Self::ProviderSet { provider: None }
            | Self::PamSet { .. }
            | Self::Welcomed { .. }
            | Self::Disconnected { .. }
            | Self::WaySet { .. } => {}
        }
    }
}
