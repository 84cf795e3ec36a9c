//! Public certificates that the cluster gets itself from an authority of the world, by ACME (RFC 8555).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{LogIndex, UnixMs};

/// All there is of it: what an admin set, and how far it has come. One row, or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acme {
    pub setting: AcmeSetting,
    /// The entry that set it: what was begun under another counts for nothing.
    pub number: LogIndex,
    /// By which the authority knows the cluster.
    pub account_key: Option<Sealed>,
    pub order: Option<AcmeOrder>,
    pub certificate: Option<AcmeCertificate>,
    /// Of the last try, if it failed.
    pub failure: Option<AcmeFailure>,
    /// An admin wants the next certificate now.
    pub wanted: bool,
}

/// What an admin sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcmeSetting {
    /// Where the authority says what it offers, as a URL.
    pub directory: String,
    /// Where the authority reaches people, as `mailto:` URLs.
    pub contacts: Vec<String>,
    /// What the certificate is for.
    pub domains: Vec<String>,
    /// Certificates in PEM that the authority's own server is checked by; those that each master's machine trusts if empty.
    pub authorities: String,
    /// By which an account at the authority is found that was made elsewhere.
    pub binding: Option<AcmeBinding>,
    /// Somebody has read the authority's terms of service and agreed.
    pub terms_agreed: bool,
}

/// An external account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcmeBinding {
    pub key_id: String,
    pub key: Sealed,
}

/// A certificate that is being asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcmeOrder {
    /// The entry that began it.
    pub number: LogIndex,
    pub begun_at: UnixMs,
    /// The key that the certificate will be for.
    pub key: Sealed,
    /// Where the authority keeps it; empty until it has it.
    pub url: String,
    /// What each domain's challenge is answered with: a digest, which is no secret.
    pub challenges: BTreeMap<String, [u8; 32]>,
}

/// What the authority issued last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcmeCertificate {
    /// The entry by which it came.
    pub number: LogIndex,
    pub directory: String,
    pub domains: Vec<String>,
    /// As PEM, with those that lead to the authority.
    pub chain: String,
    pub key: Sealed,
    pub begins_at: UnixMs,
    pub ends_at: UnixMs,
}

/// Why there is no newer one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcmeFailure {
    pub at: UnixMs,
    pub cause: String,
    /// How many tries failed, one after the other.
    pub tries: u32,
    pub next_at: UnixMs,
}

impl Acme {
    /// Domains of one certificate.
    pub const DOMAINS_MAX: u64 = 20;
    pub const CONTACTS_MAX: u64 = 5;
    pub const CAUSE_LEN_MAX: usize = 500;
    pub const CHAIN_LEN_MAX: usize = 64 << 10;
    /// After so many failures, in seconds; the last for all that come after. Authorities count failures by the hour.
    const PAUSES_S: [u64; 6] = [60, 300, 1_800, 3_600, 6 * 3_600, 24 * 3_600];
    /// An authority that asks for more patience than that is asked again all the same.
    const PAUSE_MS_MAX: u64 = 7 * 24 * 3_600_000;

    /// How long to wait after this failure, if the authority wants at least so much.
    #[must_use]
    pub fn pause_ms(tries: u32, wanted_ms: u64) -> u64 {
        let at = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
        let last = Self::PAUSES_S.len() - 1;
        let pause_ms = Self::PAUSES_S[at.min(last)].saturating_mul(1_000);
        pause_ms.max(wanted_ms.min(Self::PAUSE_MS_MAX))
    }

    /// When something is to be done: an order goes on, a first certificate is wanted, what failed is tried again, or two thirds
    /// of the last one's life have passed; not before the pause after a failure is over.
    #[must_use]
    pub fn due_at(&self) -> UnixMs {
        let fits = |has: &&AcmeCertificate| {
            (&has.directory, &has.domains) == (&self.setting.directory, &self.setting.domains)
        };
        let renewed = |has: &AcmeCertificate| has.renewed_at();
        let wanted = match self.certificate.as_ref().filter(fits) {
            Some(has) if self.order.is_none() && !self.wanted && self.failure.is_none() => {
                renewed(has)
            }
            Some(_) | None => UnixMs(0),
        };
        let paused = self.failure.as_ref().map(|failure| failure.next_at);
        wanted.max(paused.unwrap_or(UnixMs(0)))
    }
}

impl AcmeCertificate {
    /// When the next one is asked for.
    #[must_use]
    pub fn renewed_at(&self) -> UnixMs {
        let life_ms = self.ends_at.0.saturating_sub(self.begins_at.0);
        self.ends_at.minus_ms(life_ms / 3)
    }
}

/// Bytes that masters alone can read, by the key of their authority. Nothing that prints or is shown to people has them: as
/// text it is a word that says so.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

impl Sealed {
    pub const BYTES_MAX: usize = 4_096;
    const SHOWN: &str = "(sealed)";
}

impl fmt::Debug for Sealed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(Self::SHOWN)
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.serialize_str(Self::SHOWN);
        }
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            let hidden = text == Self::SHOWN;
            return Ok(Self(if hidden {
                Vec::new()
            } else {
                text.into_bytes()
            }));
        }
        Ok(Self(Vec::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::Acme;

    #[test]
    fn pauses_grow_and_an_authority_may_ask_for_more() {
        let pauses: Vec<_> = (1..=7).map(|tries| Acme::pause_ms(tries, 0)).collect();
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert_eq!(pauses[5], pauses[6]);
        assert_eq!(Acme::pause_ms(1, 90_000), 90_000);
        assert!(Acme::pause_ms(1, u64::MAX) <= 7 * 24 * 3_600_000);
    }
}
