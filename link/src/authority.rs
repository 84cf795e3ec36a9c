//! The cluster's certificate authority: its key lives on masters only.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use ring::hmac;
use sha2::{Digest, Sha256};
use std::time::{Duration, SystemTime};

use crate::fault::LinkFault;
use crate::identity::Identity;

/// How long a process's certificate is good for; it is renewed well before.
pub const CERTIFICATE_TTL: Duration = Duration::from_secs(90 * 24 * 3_600);
/// How long the authority itself is good for.
const AUTHORITY_TTL: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);
/// Clocks of two machines may differ by this much.
const CLOCK_SLACK: Duration = Duration::from_secs(300);

/// The authority with its key.
pub struct Authority {
    certificate_pem: String,
    key_pem: String,
}

/// A fresh key and a request to have it signed; names in it count for nothing.
pub struct SigningRequest {
    pub key_pem: String,
    pub csr_pem: String,
}

impl SigningRequest {
    /// Makes a key pair.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn new() -> Result<Self, LinkFault> {
        let key = KeyPair::generate()?;
        let csr = CertificateParams::default().serialize_request(&key)?;
        Ok(Self {
            key_pem: key.serialize_pem(),
            csr_pem: csr.pem()?,
        })
    }
}

/// Derives secrets of the authority's key: whoever has that can, nobody else, and one secret tells nothing of another.
/// So what all masters must know alike need not be kept anywhere.
#[derive(Clone)]
pub struct Deriver(hmac::Key);

impl Deriver {
    /// The secret for this purpose and subject: HMAC-SHA-256 of both with a zero byte in between.
    #[must_use]
    pub fn derive(&self, purpose: &str, subject: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(purpose.as_bytes());
        context.update(&[0]);
        context.update(subject);
        let tag = context.sign();
        tag.as_ref().try_into().expect("a tag has 32 bytes")
    }
}

impl Authority {
    /// Makes a new authority for a cluster.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn create(cluster: [u8; 16]) -> Result<Self, LinkFault> {
        let key = KeyPair::generate()?;
        let mut params = validity(CertificateParams::default(), AUTHORITY_TTL);
        let name = format!("Docklet cluster {}", hex::encode(cluster));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        Ok(Self {
            certificate_pem: params.self_signed(&key)?.pem(),
            key_pem: key.serialize_pem(),
        })
    }

    /// Takes up an authority from its two PEM texts.
    #[must_use]
    pub fn load(certificate_pem: String, key_pem: String) -> Self {
        Self {
            certificate_pem,
            key_pem,
        }
    }

    /// The authority's certificate.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The authority's key: for other masters only.
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// What derives secrets that every master derives alike.
    ///
    /// # Errors
    /// The key is malformed.
    pub fn deriver(&self) -> Result<Deriver, LinkFault> {
        let key = KeyPair::from_pem(&self.key_pem)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.serialized_der());
        Ok(Deriver(key))
    }

    /// Signs a process's request. The name in the certificate is `identity`, whatever the request says.
    ///
    /// # Errors
    /// The request is malformed or not signed with its own key.
    pub fn sign(&self, csr_pem: &str, identity: Identity) -> Result<String, LinkFault> {
        let mut request = CertificateSigningRequestParams::from_pem(csr_pem)?;
        let mut params = validity(CertificateParams::default(), CERTIFICATE_TTL);
        params
            .distinguished_name
            .push(DnType::CommonName, identity.to_string());
        params.subject_alt_names = vec![SanType::DnsName(identity.to_string().try_into()?)];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        request.params = params;
        Ok(request.signed_by(&self.issuer()?)?.pem())
    }

    /// A certificate and key for the public listener, good for these names and addresses.
    ///
    /// # Errors
    /// A name is no DNS name.
    pub fn sign_public(&self, names: &[String]) -> Result<(String, String), LinkFault> {
        let key = KeyPair::generate()?;
        let mut params = validity(CertificateParams::new(names)?, CERTIFICATE_TTL);
        params
            .distinguished_name
            .push(DnType::CommonName, "Docklet portal");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer()?)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    fn issuer(&self) -> Result<Issuer<'static, KeyPair>, LinkFault> {
        let key = KeyPair::from_pem(&self.key_pem)?;
        Ok(Issuer::from_ca_cert_pem(&self.certificate_pem, key)?)
    }
}

fn validity(mut params: CertificateParams, ttl: Duration) -> CertificateParams {
    let now = SystemTime::now();
    params.not_before = (now - CLOCK_SLACK).into();
    params.not_after = (now + ttl).into();
    params
}

/// SHA-256 of a certificate's DER form: what a join token says of the authority.
#[must_use]
pub fn fingerprint(certificate_der: &[u8]) -> [u8; 32] {
    Sha256::digest(certificate_der).into()
}
