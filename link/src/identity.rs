//! Who a process is: a role, a number and a cluster, carried in its certificate as one DNS name.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::authority::{self, CLOCK_SLACK};
use crate::fault::LinkFault;

/// What a certificate lets its holder be. Checked for each purpose, never for a listener as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PeerRole {
    Master,
    Agent,
}

impl PeerRole {
    fn word(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Agent => "agent",
        }
    }
}

/// One process of one cluster; its text form is `<id>.<role>.<cluster>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    pub role: PeerRole,
    pub id: u64,
    pub cluster: [u8; 16],
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cluster = hex::encode(self.cluster);
        write!(formatter, "{}.{}.{cluster}", self.id, self.role.word())
    }
}

impl FromStr for Identity {
    type Err = LinkFault;

    fn from_str(text: &str) -> Result<Self, LinkFault> {
        parse(text).ok_or_else(|| LinkFault::Identity(text.escape_debug().to_string()))
    }
}

fn parse(text: &str) -> Option<Identity> {
    let mut parts = text.split('.');
    let (id, role, cluster_hex) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let role = match role {
        "master" => PeerRole::Master,
        "agent" => PeerRole::Agent,
        _ => return None,
    };
    let mut cluster = [0; 16];
    hex::decode_to_slice(cluster_hex, &mut cluster).ok()?;
    Some(Identity {
        role,
        id: id.parse().ok()?,
        cluster,
    })
}

impl Identity {
    /// The identity in a certificate. Its signature must have been checked by TLS before.
    ///
    /// # Errors
    /// The certificate cannot be parsed, or has not exactly one identity among its names.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Result<Self, LinkFault> {
        let unfit = |cause: &str| LinkFault::Identity(cause.to_owned());
        let (_, parsed) =
            X509Certificate::from_der(certificate).map_err(|_| unfit("not a certificate"))?;
        let names = parsed
            .subject_alternative_name()
            .ok()
            .flatten()
            .ok_or_else(|| unfit("no alternative names"))?;
        let dns_name = |name: &GeneralName<'_>| {
            if let GeneralName::DNSName(text) = name {
                parse(text)
            } else {
                None
            }
        };
        let mut identities = names.value.general_names.iter().filter_map(dns_name);
        match (identities.next(), identities.next()) {
            (Some(identity), None) => Ok(identity),
            _ => Err(unfit("not exactly one identity")),
        }
    }
}

/// What a certificate says beside its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    pub identity: Identity,
    /// The entry by which it was issued; 0 if no entry says so.
    pub number: u64,
    /// Milliseconds since 1970.
    pub begins_ms: u64,
    pub ends_ms: u64,
}

impl Proof {
    /// Reads it. The signature must have been checked by TLS before.
    ///
    /// # Errors
    /// As [`Identity::of_certificate`].
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Result<Self, LinkFault> {
        let identity = Identity::of_certificate(certificate)?;
        let unfit = || LinkFault::Identity("not a certificate".to_owned());
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| unfit())?;
        let (begins_ms, ends_ms) = authority::validity_of(&parsed);
        Ok(Self {
            identity,
            number: authority::number_of(parsed.raw_serial()),
            begins_ms,
            ends_ms,
        })
    }

    /// When it was issued: that is a little later than it begins.
    #[must_use]
    pub fn issued_ms(&self) -> u64 {
        let life = u64::try_from(self.life().as_millis()).unwrap_or(u64::MAX);
        self.ends_ms.saturating_sub(life)
    }

    /// How long it is good for, from when it was issued.
    #[must_use]
    pub fn life(&self) -> Duration {
        let whole = Duration::from_millis(self.ends_ms.saturating_sub(self.begins_ms));
        whole.saturating_sub(CLOCK_SLACK)
    }

    /// From when on the next one is asked for: when two thirds of its life have passed, or so much before.
    #[must_use]
    pub fn due_ms(&self, before: Duration) -> u64 {
        self.left_ms(self.life() / 3 + before)
    }

    /// When so much of it is left.
    fn left_ms(&self, left: Duration) -> u64 {
        let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        self.ends_ms.saturating_sub(left)
    }
}
