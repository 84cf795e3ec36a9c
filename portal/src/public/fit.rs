//! Whether a certificate and a key are fit for the public listener, and what they say of themselves.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use x509_parser::error::X509Error;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Why a certificate is not used: the cause, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error(
        "{path} cannot be read ({cause}): mend public_certificate and public_key in master.toml, or the file's mode"
    )]
    Unreadable { path: String, cause: String },
    #[error(
        "{path} is larger than {most} bytes: give the certificate and those that lead to its authority, nothing else"
    )]
    TooLarge { path: String, most: u64 },
    #[error(
        "everybody on this machine can read the key {path}: chmod o= it, and have a new certificate issued if others are there"
    )]
    OpenKey { path: String },
    #[error(
        "{path} holds no certificate as PEM: give the certificate first, then those that lead to its authority"
    )]
    NoCertificate { path: String },
    #[error("{path} holds no key as PEM that can be used (PKCS#8, PKCS#1 or SEC1, not encrypted)")]
    NoKey { path: String },
    #[error("certificate {number} of {path} cannot be read: have it issued anew")]
    Malformed { path: String, number: usize },
    #[error(
        "the key {key} is not that of the first certificate in {path}: give both of one issue, the server's own certificate first"
    )]
    OtherKey { path: String, key: String },
    #[error(
        "certificate {number} of {path} was not issued by the next one ({subject}): put the server's own first, then each one's issuer"
    )]
    Order {
        path: String,
        number: usize,
        subject: String,
    },
    #[error(
        "the certificate in {path} is not for servers: have one issued with the extended usage serverAuth"
    )]
    Usage { path: String },
    #[error(
        "the certificate in {path} is not good for {missing}, which is in public_names: have it issued for that name, or take the name out of master.toml"
    )]
    Names { path: String, missing: String },
    #[error(
        "the certificate in {path} is good from {from} on only: mend this machine's clock, or wait"
    )]
    NotYet { path: String, from: String },
    #[error("the certificate in {path} ended at {at}: put its successor into {path}")]
    Ended { path: String, at: String },
}

/// A certificate with its key, ready to be shown.
#[derive(Clone, Debug)]
pub(crate) struct Certified {
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) names: Vec<String>,
    pub(crate) issuer: String,
    pub(crate) fingerprint: String,
    pub(crate) begins_ms: u64,
    pub(crate) ends_ms: u64,
    /// What it is called in what people are told.
    path: String,
}

impl Certified {
    /// Takes certificate and key apart, and checks all but names and dates.
    pub(crate) fn of_pem(
        path: &str,
        certificate_pem: &[u8],
        key_path: &str,
        key_pem: &[u8],
    ) -> Result<Self, Unfit> {
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| Unfit::NoKey {
            path: key_path.to_owned(),
        })?;
        Self::of_parts(path, certificate_pem, key_path, key)
    }

    /// The same of a key that was read already.
    pub(super) fn of_parts(
        path: &str,
        certificate_pem: &[u8],
        key_path: &str,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, Unfit> {
        let named = || path.to_owned();
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate_pem).collect();
        let chain = chain.map_err(|_| Unfit::NoCertificate { path: named() })?;
        let no_key = || Unfit::NoKey {
            path: key_path.to_owned(),
        };
        let parsed = parse(path, &chain)?;
        let Some(own) = parsed.first() else {
            return Err(Unfit::NoCertificate { path: named() });
        };
        check_order(path, &parsed)?;
        let usage = own.extended_key_usage().ok().flatten();
        if usage.is_some_and(|usage| !usage.value.server_auth && !usage.value.any) {
            return Err(Unfit::Usage { path: named() });
        }
        let (names, issuer) = (names_of(own), own.issuer().to_string());
        let (begins_ms, ends_ms) = (
            ms(own.validity().not_before.timestamp()),
            ms(own.validity().not_after.timestamp()),
        );
        let fingerprint = hex::encode(Sha256::digest(&chain[0]));
        let provider = rustls::crypto::ring::default_provider();
        let signing = provider.key_provider.load_private_key(key);
        let certified = CertifiedKey::new(chain, signing.map_err(|_| no_key())?);
        certified.keys_match().map_err(|_| Unfit::OtherKey {
            path: named(),
            key: key_path.to_owned(),
        })?;
        Ok(Self {
            key: Arc::new(certified),
            names,
            issuer,
            fingerprint,
            begins_ms,
            ends_ms,
            path: named(),
        })
    }

    /// Whether it is good for this name or address.
    pub(crate) fn is_for(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let is_address = name.parse::<IpAddr>().is_ok();
        self.names.iter().any(|own| match own.strip_prefix("*.") {
            Some(parent) => name
                .split_once('.')
                .is_some_and(|(label, rest)| !is_address && !label.is_empty() && rest == parent),
            None => *own == name,
        })
    }

    /// Each DNS name that people use must be covered; addresses and `localhost` have the cluster's own certificate.
    pub(crate) fn check_names(&self, wanted: &[String]) -> Result<(), Unfit> {
        let missing = wanted.iter().find(|name| {
            name.as_str() != "localhost" && name.parse::<IpAddr>().is_err() && !self.is_for(name)
        });
        missing.map_or(Ok(()), |missing| {
            Err(Unfit::Names {
                path: self.path.clone(),
                missing: missing.clone(),
            })
        })
    }

    /// Two thirds of its life.
    pub(super) fn renewed_ms(&self) -> u64 {
        self.ends_ms - self.ends_ms.saturating_sub(self.begins_ms) / 3
    }

    pub(crate) fn check_dates(&self, now_ms: u64) -> Result<(), Unfit> {
        let path = self.path.clone();
        if now_ms < self.begins_ms {
            let from = instant(self.begins_ms);
            return Err(Unfit::NotYet { path, from });
        }
        if now_ms >= self.ends_ms {
            let at = instant(self.ends_ms);
            return Err(Unfit::Ended { path, at });
        }
        Ok(())
    }
}

fn parse<'c>(
    path: &str,
    chain: &'c [CertificateDer<'_>],
) -> Result<Vec<X509Certificate<'c>>, Unfit> {
    let parse = |(at, der): (usize, &'c CertificateDer<'_>)| {
        let parsed = X509Certificate::from_der(der);
        let (_, parsed) = parsed.map_err(|_| Unfit::Malformed {
            path: path.to_owned(),
            number: at + 1,
        })?;
        Ok(parsed)
    };
    chain.iter().enumerate().map(parse).collect()
}

fn check_order(path: &str, chain: &[X509Certificate<'_>]) -> Result<(), Unfit> {
    for (at, pair) in chain.windows(2).enumerate() {
        let [own, issuer] = pair else { continue };
        // Of a way to sign that is not known here clients have to judge.
        let signed = match own.verify_signature(Some(issuer.public_key())) {
            Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm) => true,
            Err(_) => false,
        };
        if own.issuer() != issuer.subject() || !signed {
            return Err(Unfit::Order {
                path: path.to_owned(),
                number: at + 1,
                subject: issuer.subject().to_string(),
            });
        }
    }
    Ok(())
}

fn names_of(certificate: &X509Certificate<'_>) -> Vec<String> {
    let listed = certificate.subject_alternative_name().ok().flatten();
    let listed = listed.map(|names| names.value.general_names.iter());
    listed
        .into_iter()
        .flatten()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            GeneralName::IPAddress(bytes) => address(bytes).map(|it| it.to_string()),
            GeneralName::OtherName(..)
            | GeneralName::RFC822Name(_)
            | GeneralName::X400Address(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::URI(_)
            | GeneralName::RegisteredID(_)
            | GeneralName::Invalid(..) => None,
        })
        .collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

fn ms(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000)
}

fn instant(at_ms: u64) -> String {
    let seconds = i64::try_from(at_ms / 1_000).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "?".to_owned(), |at| at.to_string())
}
