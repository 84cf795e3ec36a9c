//! What a provider signs: whether it did, and whether it is for this login.

use std::sync::Once;

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey, Validation};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;
use signature::Verifier;

use super::Fault;

/// Clocks may differ by so much, in seconds.
const LEEWAY_S: u64 = 60;

/// A key as the provider shows it (RFC 7517).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Key {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    used_for: Option<String>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// All that it shows.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Keys {
    keys: Vec<Value>,
}

/// For whom, and for which login.
pub(super) struct Expected<'e> {
    pub(super) issuer: &'e str,
    pub(super) client_id: &'e str,
    pub(super) nonce: &'e str,
}

/// What it says of somebody. Types are looked at where something hangs on them.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Claims {
    iss: String,
    pub(super) sub: String,
    aud: Audience,
    azp: Option<String>,
    nonce: Option<String>,
    #[serde(flatten)]
    pub(super) person: PersonClaims,
}

/// What it may say in the token or beside it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct PersonClaims {
    pub(super) email: Option<Value>,
    pub(super) email_verified: Option<Value>,
    pub(super) name: Option<Value>,
    pub(super) preferred_username: Option<Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// How a token says that it is signed.
#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
}

/// Whether the token names a key that is not among these: then the provider may have newer ones.
pub(super) fn lacks_key(token: &str, keys: &Keys) -> bool {
    head(token).is_ok_and(|head| fitting(&head, keys).is_none())
}

/// Checks all of it.
pub(super) fn check(token: &str, keys: &Keys, expected: &Expected<'_>) -> Result<Claims, Fault> {
    install();
    let head = head(token)?;
    let algorithm = algorithm(&head)?;
    let key = fitting(&head, keys).ok_or(Fault::KeyUnknown)?;
    let key = decoding_key(&key).ok_or(Fault::KeyUnknown)?;
    let mut validation = Validation::new(algorithm);
    validation.leeway = LEEWAY_S;
    validation.validate_nbf = true;
    validation.set_issuer(&[expected.issuer]);
    validation.set_audience(&[expected.client_id]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let decoded = jsonwebtoken::decode::<Claims>(token, &key, &validation);
    let claims = decoded.map_err(|error| fault(&error))?.claims;
    if claims.iss != expected.issuer {
        return Err(Fault::TokenIssuer);
    }
    if !claims.is_for(expected.client_id) {
        return Err(Fault::Audience);
    }
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return Err(Fault::Nonce);
    }
    Ok(claims)
}

impl Claims {
    /// OpenID Connect Core 3.1.3.7: of several audiences the one that may use it is named.
    fn is_for(&self, client_id: &str) -> bool {
        let (there, alone) = match &self.aud {
            Audience::One(aud) => (aud == client_id, true),
            Audience::Several(all) => (all.iter().any(|aud| aud == client_id), all.len() == 1),
        };
        let authorized = match self.azp.as_deref() {
            Some(azp) => azp == client_id,
            None => alone,
        };
        there && authorized
    }
}

/// Read apart from the library, which knows no name for a token that is not signed at all.
fn head(token: &str) -> Result<Head, Fault> {
    use base64::Engine as _;
    let first = token.split('.').next().unwrap_or_default();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(first);
    let bytes = bytes.map_err(|_| Fault::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Fault::Malformed)
}

/// Signatures with a public key only: with any other, whoever knows the public key or the client's secret could sign.
fn algorithm(head: &Head) -> Result<Algorithm, Fault> {
    match head.alg.as_str() {
        "RS256" => Ok(Algorithm::RS256),
        "ES256" => Ok(Algorithm::ES256),
        _ => Err(Fault::Algorithm),
    }
}

/// The key that the token names; without a name, the only one that could be meant.
fn fitting(head: &Head, keys: &Keys) -> Option<Key> {
    let kty = match head.alg.as_str() {
        "RS256" => "RSA",
        "ES256" => "EC",
        _ => return None,
    };
    let read = keys.keys.iter().cloned();
    let read = read.filter_map(|key| serde_json::from_value::<Key>(key).ok());
    let signs = |key: &Key| key.used_for.as_deref().is_none_or(|used| used == "sig");
    let curve = |key: &Key| kty == "RSA" || key.crv.as_deref() == Some("P-256");
    let mut fitting = read.filter(|key| key.kty == kty && signs(key) && curve(key));
    match &head.kid {
        Some(kid) => fitting.find(|key| key.kid.as_ref() == Some(kid)),
        None => fitting.next().filter(|_| fitting.next().is_none()),
    }
}

fn decoding_key(key: &Key) -> Option<DecodingKey> {
    let made = match key.kty.as_str() {
        "RSA" => DecodingKey::from_rsa_components(key.n.as_deref()?, key.e.as_deref()?),
        _ => DecodingKey::from_ec_components(key.x.as_deref()?, key.y.as_deref()?),
    };
    made.ok()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library may know more ways in which a token is none"
)]
fn fault(error: &Error) -> Fault {
    match error.kind() {
        ErrorKind::InvalidSignature => Fault::Signature,
        ErrorKind::InvalidIssuer => Fault::TokenIssuer,
        ErrorKind::InvalidAudience => Fault::Audience,
        ErrorKind::ExpiredSignature | ErrorKind::ImmatureSignature => Fault::Expired,
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => Fault::Algorithm,
        _ => Fault::Malformed,
    }
}

/// The library leaves signatures to whom it is told; here that is ring.
fn install() {
    static ONCE: Once = Once::new();
    static RING: CryptoProvider = CryptoProvider {
        signer_factory: no_signer,
        verifier_factory: verifier,
        key_utils: KeyUtils::new_unimplemented(),
    };
    ONCE.call_once(|| {
        // A second one is refused, and there is none.
        let _installed = RING.install_default();
    });
}

fn no_signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    if algorithm.family() != key.family() {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let (algorithm, key) = (*algorithm, key.kind().clone());
    Ok(Box::new(Ring { algorithm, key }))
}

struct Ring {
    algorithm: Algorithm,
    key: DecodingKeyKind,
}

impl JwtVerifier for Ring {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for Ring {
    fn verify(&self, message: &[u8], signed: &Vec<u8>) -> Result<(), signature::Error> {
        let fits = match (self.algorithm, &self.key) {
            (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signed)
            }
            (Algorithm::ES256, DecodingKeyKind::SecretOrDer(point)) => {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                key.verify(message, signed)
            }
            _ => Err(ring::error::Unspecified),
        };
        fits.map_err(|_| signature::Error::new())
    }
}

#[cfg(test)]
#[path = "token/tests.rs"]
mod tests;
