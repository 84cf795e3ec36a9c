//! Tokens that are not what they seem. The other algorithm, and a whole provider that lies, are tested from outside.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::*;

const ISSUER: &str = "https://id.example.org";

struct Signer {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random);
        Self {
            pair: pair.expect("the same key"),
            random,
        }
    }

    fn key(&self, kid: &str) -> Value {
        let point = self.pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let encode = |bytes| URL_SAFE_NO_PAD.encode(bytes);
        json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "x": encode(x), "y": encode(y)})
    }

    fn sign(&self, head: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(head), part(claims));
        let signed = self.pair.sign(&self.random, message.as_bytes());
        let signed = URL_SAFE_NO_PAD.encode(signed.expect("signed").as_ref());
        format!("{message}.{signed}")
    }
}

fn now() -> u64 {
    jsonwebtoken::get_current_timestamp()
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "s-ada", "aud": "docklet", "nonce": "n-1",
        "iat": now(), "exp": now() + 300, "email": "ada@example.org", "email_verified": true,
    })
}

fn with(field: &str, value: &Value) -> Value {
    let mut claims = claims();
    claims[field] = value.clone();
    claims
}

fn without(field: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().expect("fields").remove(field);
    claims
}

fn keys(keys: Vec<Value>) -> Keys {
    Keys { keys }
}

fn checked(token: &str, keys: &Keys) -> Result<Claims, Fault> {
    let expected = Expected {
        issuer: ISSUER,
        client_id: "docklet",
        nonce: "n-1",
    };
    check(token, keys, &expected)
}

#[test]
fn a_sound_token_is_taken() {
    let signer = Signer::new();
    let known = keys(vec![json!({"kty": "odd"}), signer.key("k-1")]);
    for head in [
        json!({"alg": "ES256", "kid": "k-1"}),
        json!({"alg": "ES256"}),
    ] {
        for claims in [
            claims(),
            with("aud", &json!(["docklet"])),
            with("azp", &json!("docklet")),
        ] {
            let token = signer.sign(&head, &claims);
            assert_eq!(checked(&token, &known).expect("sound").sub, "s-ada");
        }
    }
}

#[test]
fn what_it_claims_must_be_for_this_login() {
    let signer = Signer::new();
    let known = keys(vec![signer.key("k-1")]);
    let head = json!({"alg": "ES256", "kid": "k-1"});
    let cases = [
        (
            with("iss", &json!("https://evil.example.org")),
            Fault::TokenIssuer,
        ),
        (with("iss", &json!([ISSUER])), Fault::Malformed),
        (without("iss"), Fault::Malformed),
        (with("aud", &json!("other")), Fault::Audience),
        (with("aud", &json!(["other", "third"])), Fault::Audience),
        (with("aud", &json!(["docklet", "other"])), Fault::Audience),
        (with("azp", &json!("other")), Fault::Audience),
        (with("aud", &json!(7)), Fault::Malformed),
        (without("aud"), Fault::Malformed),
        (with("nonce", &json!("n-2")), Fault::Nonce),
        (without("nonce"), Fault::Nonce),
        (with("exp", &json!(now() - 3_600)), Fault::Expired),
        (
            with("exp", &json!((now() + 300).to_string())),
            Fault::Malformed,
        ),
        (without("exp"), Fault::Malformed),
        (with("nbf", &json!(now() + 3_600)), Fault::Expired),
        (with("sub", &json!(7)), Fault::Malformed),
        (without("sub"), Fault::Malformed),
    ];
    for (claims, fault) in cases {
        let token = signer.sign(&head, &claims);
        assert_eq!(checked(&token, &known).err(), Some(fault), "{claims}");
    }
}

#[test]
fn who_signed_it_must_be_the_provider() {
    let (signer, other) = (Signer::new(), Signer::new());
    let known = keys(vec![signer.key("k-1")]);
    let head = json!({"alg": "ES256", "kid": "k-1"});
    let forged = other.sign(&head, &claims());
    assert_eq!(checked(&forged, &known).err(), Some(Fault::Signature));
    let unknown = signer.sign(&json!({"alg": "ES256", "kid": "k-2"}), &claims());
    assert!(lacks_key(&unknown, &known));
    assert_eq!(checked(&unknown, &known).err(), Some(Fault::KeyUnknown));
    let sealing = keys(vec![{
        let mut key = signer.key("k-1");
        key["use"] = json!("enc");
        key
    }]);
    let token = signer.sign(&head, &claims());
    assert_eq!(checked(&token, &sealing).err(), Some(Fault::KeyUnknown));
    // Without a name it could be either.
    let two = keys(vec![signer.key("k-1"), other.key("k-2")]);
    let nameless = signer.sign(&json!({"alg": "ES256"}), &claims());
    assert_eq!(checked(&nameless, &two).err(), Some(Fault::KeyUnknown));
    for algorithm in ["none", "None", "HS256", "HS512", "ES384", "RS1", ""] {
        let token = signer.sign(&json!({"alg": algorithm, "kid": "k-1"}), &claims());
        assert_eq!(checked(&token, &known).err(), Some(Fault::Algorithm));
    }
    let (message, _) = token.rsplit_once('.').expect("three parts");
    let bare = format!("{message}.");
    assert_eq!(checked(&bare, &known).err(), Some(Fault::Signature));
    let parts: Vec<&str> = token.split('.').collect();
    let other_claims = URL_SAFE_NO_PAD.encode(with("sub", &json!("s-eve")).to_string());
    let swapped = format!("{}.{other_claims}.{}", parts[0], parts[2]);
    assert_eq!(checked(&swapped, &known).err(), Some(Fault::Signature));
    for text in ["", ".", "..", "a.b.c", "e30.e30.e30", message] {
        assert!(checked(text, &known).is_err(), "{text}");
    }
}
