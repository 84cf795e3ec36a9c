//! Identities: opaque numbers that are never reused. Names are for people and live elsewhere.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares a number newtype that prints as its bare number.
macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
            schemars::JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map($name)
            }
        }
    };
}

number_id!(
    /// Position of an entry in the replicated log; the first entry that the fold sees is at least 1.
    LogIndex
);
number_id!(
    /// A master: the log index of the entry that let it join, so that it can never come back as another.
    MasterId
);
number_id!(
    /// A worker: the log index of the entry that let it join.
    WorkerId
);
number_id!(
    /// A person's account.
    UserId
);
number_id!(
    /// A private layer-2 segment; also its VXLAN network identifier.
    NetworkId
);
number_id!(
    /// A vcluster.
    VclusterId
);
number_id!(
    /// A vnode. `host-1` of a vcluster may be deleted and made anew: then it has another id.
    VnodeId
);
number_id!(
    /// A drill: the log index of the entry that ordered it.
    DrillId
);
number_id!(
    /// A group of people: the log index of the entry that made it.
    GroupId
);
number_id!(
    /// A service of a vnode: from the log index of the entry that made it.
    ServiceId
);
number_id!(
    /// Placement counter of a vnode: each placement has a higher one, and only the latest may run.
    Epoch
);

/// Milliseconds since 1970-01-01T00:00:00Z, stamped by the leader, never read inside the fold.
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
    Default,
    schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct UnixMs(pub u64);

impl UnixMs {
    /// This instant, later by `ms`.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// This much before; not before 1970.
    #[must_use]
    pub fn minus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms))
    }

    /// Milliseconds since `earlier`; zero if that is in the future.
    #[must_use]
    pub fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Milliseconds by a clock of one master that nobody can set, since some moment. It says nothing outside that process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct SteadyMs(pub u64);

impl SteadyMs {
    /// Milliseconds since `earlier`; zero if that is in the future.
    #[must_use]
    pub fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Declares so many opaque bytes that print as hexadecimal digits and travel so in JSON.
macro_rules! opaque {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $length]);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!(stringify!($name), "({})"), self)
            }
        }

        impl std::str::FromStr for $name {
            type Err = hex::FromHexError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0; $length];
                hex::decode_to_slice(text, &mut bytes)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    <[u8; $length]>::deserialize(deserializer).map(Self)
                }
            }
        }

        crate::schema::text!($name, concat!("^([0-9a-f]{2}){", stringify!($length), "}$"));
    };
}

opaque!(
    /// SHA-256 of an image's blob: what the image is, whatever it is called.
    Digest,
    32
);
opaque!(
    /// SHA-256 of an OpenID issuer and what it calls somebody: that person of that provider.
    IdentityId,
    32
);
opaque!(
    /// SHA-256 of a secret (a session's or a join token's): what the log keeps instead of it.
    SecretHash,
    32
);

opaque!(
    /// By which a worker finds one terminal of a vnode. It opens nothing for whoever may not go into the vnode.
    TerminalSession,
    16
);

/// Chosen by whoever asks; the same id asks for the same effect once. The upper half is the newest entry that the
/// asker knew when it first asked, the lower is random: so a request that comes back after its receipt was forgotten
/// is known for what it is. An id that is random as a whole is good for retries within seconds only.
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
    Default,
    schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct RequestId(pub u128);

impl RequestId {
    /// An id for a request first made when `known` was the newest entry known.
    #[must_use]
    pub fn issued(known: LogIndex, random: u64) -> Self {
        Self(u128::from(known.0) << 64 | u128::from(random))
    }

    /// The newest entry that the asker knew, if the id says so.
    #[must_use]
    pub fn known(self) -> LogIndex {
        LogIndex(u64::try_from(self.0 >> 64).unwrap_or(u64::MAX))
    }
}

/// Declares the name of one of several things that one entry makes: the entry, and which of them. It prints as `17`, or as
/// `17.2` for the third, and travels so in JSON.
macro_rules! part_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name {
            pub entry: LogIndex,
            pub part: u32,
        }

        impl $name {
            /// None is after it.
            pub const GREATEST: Self = Self {
                entry: LogIndex(u64::MAX),
                part: u32::MAX,
            };
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.part {
                    0 => self.entry.fmt(formatter),
                    part => write!(formatter, "{}.{part}", self.entry),
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let (entry, part) = text.split_once('.').unwrap_or((text, "0"));
                let (entry, part) = (entry.parse()?, part.parse()?);
                Ok(Self { entry, part })
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    (self.entry, self.part).serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    let (entry, part) = Deserialize::deserialize(deserializer)?;
                    Ok(Self { entry, part })
                }
            }
        }

        crate::schema::text!($name, "^[0-9]+(\\.[0-9]+)?$");
    };
}

part_id!(
    /// A notice.
    NoticeId
);
part_id!(
    /// A mail that waits, is on its way, or could not be delivered.
    MailId
);
number_id!(
    /// What somebody found wrong: the log index of the entry that told it.
    BugId
);
