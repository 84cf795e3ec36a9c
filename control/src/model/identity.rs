//! Who else says who people are: an OpenID provider, the masters' PAM; and as whom a provider knows the people of this
//! cluster. Since version 3.

use std::collections::BTreeSet;
use std::fmt;

use imbl::OrdMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::id::{IdentityId, LogIndex, SecretHash, UnixMs, UserId};
use crate::name::Name;

/// By what people log in beside passwords of this cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginDoors {
    pub provider: Option<OidcProvider>,
    pub pam: Option<PamDoor>,
}

/// An OpenID provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcProvider {
    /// What people call it.
    pub label: String,
    /// As it names itself in what it signs; what it offers is found below it.
    pub issuer: String,
    pub client_id: String,
    /// That of before, of the same issuer and client, if empty.
    #[serde(default)]
    pub secret: ClientSecret,
    /// Whoever comes must have a mail address in one of them that the provider has verified; if there are none, any or none.
    #[serde(default)]
    pub domains: BTreeSet<String>,
    #[serde(default)]
    pub newcomers: Newcomers,
    /// Certificates of authorities in PEM; those that each master's machine trusts if empty.
    #[serde(default)]
    pub authorities: String,
    /// Where the portal is for people, and so where the provider sends them back; the address by which each comes if empty.
    #[serde(default)]
    pub portal: String,
}

/// What becomes of somebody whom a door knows and nobody here does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Newcomers {
    /// They are sent away.
    #[default]
    Refused,
    /// They have asked for an account by it, and an admin decides.
    Request,
    /// They get an account, in a group if one is named.
    Active { group: Option<Name> },
}

impl Newcomers {
    /// As it is written.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Request => "request",
            Self::Active { .. } => "active",
        }
    }
}

/// The masters' own people, by PAM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PamDoor {
    /// The file below `/etc/pam.d` that says how; it begins with "docklet", so that it was made for this.
    pub service: String,
    #[serde(default)]
    pub newcomers: Newcomers,
}

impl PamDoor {
    /// How names of services begin.
    pub const PREFIX: &str = "docklet";
}

/// What this cluster shows the provider. Nothing that prints or is shown to people has it: as text it is a word that says so.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClientSecret(pub String);

impl ClientSecret {
    const SHOWN: &str = "(secret)";
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(Self::SHOWN)
    }
}

impl Serialize for ClientSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.serialize_str(Self::SHOWN);
        }
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ClientSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let readable = deserializer.is_human_readable();
        let text = String::deserialize(deserializer)?;
        let hidden = readable && text == Self::SHOWN;
        Ok(Self(if hidden { String::new() } else { text }))
    }
}

/// Whose a provider's person is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Holder {
    User(UserId),
    /// Nobody's yet: they asked for an account.
    Application(LogIndex),
}

/// A person of a provider: issuer and subject, never a name or a mail address, which others may have later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub id: IdentityId,
    pub issuer: String,
    pub subject: String,
    pub holder: Holder,
    /// As the provider said when it was connected, if it had verified it; for people to know it again.
    pub mail: String,
    pub since: UnixMs,
    /// Logins that were begun at this provider and have ended here, with when they are too old anyway: each is good once.
    pub spent: OrdMap<SecretHash, UnixMs>,
}

impl Identity {
    /// A login that was begun longer ago is worth nothing.
    pub const TICKET_MS: u64 = 10 * 60_000;
    /// Logins within that time.
    pub const SPENT_MAX: usize = 50;
    /// Of one person.
    pub const PER_USER_MAX: usize = 8;

    /// What a provider's person is called here.
    #[must_use]
    pub fn id_of(issuer: &str, subject: &str) -> IdentityId {
        let mut hasher = Sha256::new();
        hasher.update((issuer.len() as u64).to_be_bytes());
        hasher.update(issuer);
        hasher.update(subject);
        IdentityId(hasher.finalize().into())
    }
}
