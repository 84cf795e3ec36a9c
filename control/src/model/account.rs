//! What is known of accounts beyond their names and passwords, requests for accounts, and what logins are beyond their
//! secrets. Since version 3: an account without a row is active and logs in with its password.

use std::collections::BTreeSet;
use std::fmt;

use imbl::OrdSet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{LogIndex, SecretHash, UnixMs, UserId};
use crate::name::Name;

/// Whether an account may be used.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    #[default]
    Active,
    /// Nobody logs in to it until an admin unlocks it. What it owns stays as it is.
    Locked,
    /// It goes as soon as nothing of it is left on any worker.
    Leaving,
    /// It is in the trash: nobody logs in to it, and an admin may have it back until its time there is over.
    Deleted,
}

impl Standing {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Locked => "locked",
            Self::Leaving => "leaving",
            Self::Deleted => "deleted",
        }
    }
}

/// Who says that somebody is who they say, when they give name and password; and by what a login was opened.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum LoginWay {
    /// The password whose hash is in the account.
    #[default]
    Local,
    /// The PAM of the masters' machines.
    Pam,
    /// An OpenID provider. Name and password are nobody's then.
    Oidc,
}

impl LoginWay {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Pam => "pam",
            Self::Oidc => "oidc",
        }
    }
}

/// Who somebody is outside this cluster, as they say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    pub real_name: String,
    pub mail: String,
    pub affiliation: String,
}

/// What an admin decided last of an account or a request, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ApplicationVerdict")]
pub struct Verdict {
    pub by: UserId,
    pub at: UnixMs,
    pub reason: String,
}

/// One account, beside its [`crate::model::User`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub user: UserId,
    pub standing: Standing,
    pub way: LoginWay,
    pub profile: Profile,
    /// None if it was made as it is, and nothing was decided since.
    pub verdict: Option<Verdict>,
    pub factor: Option<SecondFactor>,
}

impl Account {
    /// Of a person of whom nothing particular is known.
    #[must_use]
    pub fn plain(user: UserId) -> Self {
        Self {
            user,
            ..Self::default()
        }
    }

    /// The second factor, if it counts already.
    #[must_use]
    pub fn confirmed_factor(&self) -> Option<&SecondFactor> {
        self.factor.as_ref().filter(|factor| factor.confirmed)
    }
}

/// Codes that a device of the person shows (RFC 6238), and others for when it is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactor {
    pub secret: FactorSecret,
    pub begun_at: UnixMs,
    /// Whether a code has shown that the person's device has the secret. Before, it counts for nothing.
    pub confirmed: bool,
    /// The time step of the last code that was taken: that code and older ones are worth nothing any more.
    pub last_step: u64,
    /// SHA-256 of the recovery codes that were not used yet.
    pub recovery: OrdSet<SecretHash>,
}

impl SecondFactor {
    /// Recovery codes that are given at once.
    pub const RECOVERY_CODES: usize = 10;
}

/// What codes are computed from. Nothing that prints or is shown to people has it: as text it is a word that says so.
#[derive(Clone, PartialEq, Eq)]
pub struct FactorSecret(pub [u8; Self::LEN]);

impl FactorSecret {
    /// As RFC 4226 recommends.
    pub const LEN: usize = 20;
    const SHOWN: &str = "(secret)";
}

impl fmt::Debug for FactorSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(Self::SHOWN)
    }
}

impl Serialize for FactorSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.serialize_str(Self::SHOWN);
        }
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FactorSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return <[u8; Self::LEN]>::deserialize(deserializer).map(Self);
        }
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; Self::LEN];
        if text != Self::SHOWN {
            let read = hex::decode_to_slice(&text, &mut bytes);
            read.map_err(serde::de::Error::custom)?;
        }
        Ok(Self(bytes))
    }
}

/// A request for an account. It is none: nobody acts by it, and it takes no number of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Application {
    /// The entry by which it came.
    pub id: LogIndex,
    /// What the person would be called.
    pub name: Name,
    /// Argon2id of the password that they chose, in PHC string form.
    pub password_hash: String,
    pub profile: Profile,
    /// Why they want it.
    pub reason: String,
    pub asked_at: UnixMs,
    /// None while nobody has decided. What was granted is an account, and a request no more.
    pub declined: Option<Verdict>,
    /// How they would log in. Only of those that have a password of this cluster there is a hash.
    pub way: LoginWay,
}

impl Application {
    /// Requests that are kept, open and declined.
    pub const KEPT_MAX: usize = 1_000;
    /// A declined one is forgotten after this time.
    pub const DECLINED_KEPT_MS: u64 = 30 * 24 * 3_600_000;
}

/// Whether strangers may ask for accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountPolicy {
    pub registration: bool,
}

/// What is known of a login beside its [`crate::model::Session`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The session's.
    pub id: SecretHash,
    /// What people call it: the entry by which it was opened.
    pub number: LogIndex,
    pub user: UserId,
    /// Where it was opened from, as the door saw it.
    pub from: String,
    /// What it may do, if it is a token of a program.
    pub token: Option<ApiToken>,
    /// By what it was opened.
    pub way: LoginWay,
}

impl Login {
    /// Whether whoever comes with it has the role of the person: a token only if it says so.
    #[must_use]
    pub fn keeps_role(&self) -> bool {
        let token = self.token.as_ref();
        token.is_none_or(|token| token.scopes.contains(&Scope::Admin))
    }
}

/// A token of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiToken {
    /// Unique among the tokens of its person.
    pub name: Name,
    pub scopes: BTreeSet<Scope>,
    /// Day since 1970 on which it was used last.
    pub used_day: Option<u64>,
}

impl ApiToken {
    /// Tokens of one person.
    pub const PER_USER_MAX: usize = 50;
    /// What can be given as its time: a minute to a year.
    pub const TTL_MS_RANGE: std::ops::RangeInclusive<u64> = 60_000..=366 * 24 * 3_600_000;
}

/// What a token may do of what its person may.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Look at everything that the person sees, and follow it.
    Read,
    /// Make, change and delete vclusters, their ports, snapshots and moves.
    Vclusters,
    /// Run programs and open terminals in vnodes.
    Terminals,
    /// Add, change, share and delete images.
    Images,
    /// Read `/metrics`, if the person is an admin.
    Metrics,
    /// The person's role counts: without it an admin's token is that of a plain user.
    Admin,
    /// Look at files in vnodes, and fetch them.
    #[serde(rename = "read-files")]
    ReadFiles,
    /// Bring files to vnodes, move and delete them.
    #[serde(rename = "write-files")]
    WriteFiles,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Read,
        Self::Vclusters,
        Self::Terminals,
        Self::Images,
        Self::Metrics,
        Self::Admin,
        Self::ReadFiles,
        Self::WriteFiles,
    ];

    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Vclusters => "vclusters",
            Self::Terminals => "terminals",
            Self::Images => "images",
            Self::Metrics => "metrics",
            Self::Admin => "admin",
            Self::ReadFiles => "read-files",
            Self::WriteFiles => "write-files",
        }
    }
}
