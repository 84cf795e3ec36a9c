//! The cluster's certificate authority: its key lives on masters only.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PublicKeyData as _, SanType, SerialNumber,
};
use ring::{aead, hmac};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::fault::LinkFault;
use crate::identity::Identity;

/// How long a process's certificate is good for; it is renewed well before.
pub const CERTIFICATE_TTL: Duration = Duration::from_secs(90 * 24 * 3_600);
/// How long the authority itself is good for.
const AUTHORITY_TTL: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);
/// Clocks of two machines may differ by this much.
pub const CLOCK_SLACK: Duration = Duration::from_secs(300);

/// The authority with its key.
#[derive(Clone)]
pub struct Authority {
    certificate_pem: String,
    key_pem: String,
    life: Duration,
}

/// Longest signing request that is looked at. A sound one has about 400 bytes.
pub const REQUEST_BYTES_MAX: usize = 4_096;

/// A signing request that was looked at: sound, and signed with its own key. Of what it says only the key counts.
pub struct Request(CertificateSigningRequestParams);

impl Request {
    /// Reads one as PEM.
    ///
    /// # Errors
    /// It is too long, malformed, not signed with its own key, or of another kind of key than processes have.
    pub fn read(csr_pem: &str) -> Result<Self, LinkFault> {
        if csr_pem.len() > REQUEST_BYTES_MAX {
            return Err(rcgen::Error::CouldNotParseCertificationRequest.into());
        }
        let request = CertificateSigningRequestParams::from_pem(csr_pem)?;
        if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(rcgen::Error::UnsupportedSignatureAlgorithm.into());
        }
        Ok(Self(request))
    }

    /// Tells keys apart.
    #[must_use]
    pub fn key_hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.public_key.der_bytes()).into()
    }
}

/// What a certificate is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    pub identity: Identity,
    /// The entry by which it is issued.
    pub number: u64,
    /// Milliseconds since 1970.
    pub begins_ms: u64,
    pub ends_ms: u64,
}

/// How a serial number begins that has the number of an entry in it.
const NUMBERED: u8 = 1;
/// Its bytes: how it begins, the number, and some that nobody foresees.
const SERIAL_BYTES: usize = 16;

fn serial(number: u64) -> SerialNumber {
    let mut bytes: [u8; SERIAL_BYTES] = rand::random();
    bytes[0] = NUMBERED;
    bytes[1..9].copy_from_slice(&number.to_be_bytes());
    SerialNumber::from_slice(&bytes)
}

/// The entry by which a certificate of this serial number was issued; 0 if it does not tell.
pub(crate) fn number_of(serial: &[u8]) -> u64 {
    match serial {
        [NUMBERED, rest @ ..] if serial.len() == SERIAL_BYTES => {
            let number = rest.first_chunk().copied().unwrap_or_default();
            u64::from_be_bytes(number)
        }
        _ => 0,
    }
}

/// From when and until when, in milliseconds since 1970.
pub(crate) fn validity_of(parsed: &X509Certificate<'_>) -> (u64, u64) {
    let ms = |seconds: i64| u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000);
    let validity = parsed.validity();
    (
        ms(validity.not_before.timestamp()),
        ms(validity.not_after.timestamp()),
    )
}

/// When the certificate of an authority ends, in milliseconds since 1970; none if it is none.
#[must_use]
pub fn ends_ms(certificate: &CertificateDer<'_>) -> Option<u64> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(validity_of(&parsed).1)
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

/// A nonce comes before what is sealed.
const NONCE_BYTES: usize = 12;

impl Deriver {
    /// What only those can open that derive the same, for the same purpose.
    #[must_use]
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let mut sealed = plain.to_vec();
        let locked = self.lock(purpose).seal_in_place_append_tag(
            aead::Nonce::assume_unique_for_key(nonce),
            aead::Aad::from(purpose),
            &mut sealed,
        );
        locked.expect("what is sealed fits in memory");
        [nonce.as_slice(), &sealed].concat()
    }

    /// What was sealed; none if it was sealed by another key, for another purpose, or was altered.
    #[must_use]
    pub fn unseal(&self, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let mut sealed = sealed.to_vec();
        let plain = self.lock(purpose).open_in_place(
            aead::Nonce::assume_unique_for_key(*nonce),
            aead::Aad::from(purpose),
            &mut sealed,
        );
        Some(plain.ok()?.to_vec())
    }

    fn lock(&self, purpose: &str) -> aead::LessSafeKey {
        let key = self.derive("seal", purpose.as_bytes());
        let key = aead::UnboundKey::new(&aead::CHACHA20_POLY1305, &key);
        aead::LessSafeKey::new(key.expect("a secret has as many bytes as a key"))
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
            life: CERTIFICATE_TTL,
        })
    }

    /// Takes up an authority from its two PEM texts.
    #[must_use]
    pub fn load(certificate_pem: String, key_pem: String) -> Self {
        Self {
            certificate_pem,
            key_pem,
            life: CERTIFICATE_TTL,
        }
    }

    /// The same, whose certificates for processes are good for so long.
    #[must_use]
    pub fn lasting(self, life: Duration) -> Self {
        Self { life, ..self }
    }

    /// How long a process's certificate is good for.
    #[must_use]
    pub fn life(&self) -> Duration {
        self.life
    }

    /// When its own certificate ends, in milliseconds since 1970; none if that cannot be read.
    #[must_use]
    pub fn ends_ms(&self) -> Option<u64> {
        let certificate = CertificateDer::from_pem_slice(self.certificate_pem.as_bytes());
        ends_ms(&certificate.ok()?)
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

    /// Signs a process's request from now on. The name in the certificate is `identity`, whatever the request says.
    ///
    /// # Errors
    /// The request is none that [`Request::read`] takes.
    pub fn sign(&self, csr_pem: &str, identity: Identity) -> Result<String, LinkFault> {
        self.sign_numbered(csr_pem, identity, 0)
    }

    /// The same, by the entry of this number.
    ///
    /// # Errors
    /// The same.
    pub fn sign_numbered(
        &self,
        csr_pem: &str,
        identity: Identity,
        number: u64,
    ) -> Result<String, LinkFault> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let (begins_ms, ends_ms) = self.span(milliseconds(since.unwrap_or_default()));
        let statement = Statement {
            identity,
            number,
            begins_ms,
            ends_ms,
        };
        self.state(Request::read(csr_pem)?, statement)
    }

    /// From when and until when a certificate is good that is issued now, in milliseconds since 1970. Certificates know whole
    /// seconds only.
    #[must_use]
    pub fn span(&self, now_ms: u64) -> (u64, u64) {
        let now_ms = now_ms / 1_000 * 1_000;
        let begins_ms = now_ms.saturating_sub(milliseconds(CLOCK_SLACK));
        (begins_ms, now_ms.saturating_add(milliseconds(self.life)))
    }

    /// Issues a certificate that says this, for the key of the request.
    ///
    /// # Errors
    /// The authority's own key is malformed.
    pub fn state(&self, request: Request, statement: Statement) -> Result<String, LinkFault> {
        let Statement {
            identity, number, ..
        } = statement;
        let Request(mut request) = request;
        let at = |ms| UNIX_EPOCH + Duration::from_millis(ms);
        let mut params = CertificateParams::default();
        params.not_before = at(statement.begins_ms).into();
        params.not_after = at(statement.ends_ms).into();
        params.serial_number = (number > 0).then(|| serial(number));
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

    /// A certificate and key for the public listener, good for these names and addresses, and for so long.
    ///
    /// # Errors
    /// A name is no DNS name.
    pub fn sign_public(
        &self,
        names: &[String],
        ttl: Duration,
    ) -> Result<(String, String), LinkFault> {
        let key = KeyPair::generate()?;
        let mut params = validity(CertificateParams::new(names)?, ttl);
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

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
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

#[cfg(test)]
mod tests {
    use super::Authority;

    #[test]
    fn what_is_sealed_opens_for_the_same_authority_and_purpose_only() {
        let deriver = |cluster| Authority::create(cluster).and_then(|own| own.deriver());
        let own = deriver([1; 16]).expect("a key");
        let sealed = own.seal("a", b"plain");
        assert_eq!(own.unseal("a", &sealed).as_deref(), Some(&b"plain"[..]));
        assert_ne!(sealed, own.seal("a", b"plain"));
        assert_eq!(own.unseal("b", &sealed), None);
        assert_eq!(deriver([1; 16]).expect("a key").unseal("a", &sealed), None);
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert_eq!(own.unseal("a", &altered), None);
        }
        assert_eq!(own.unseal("a", b"short"), None);
    }
}
