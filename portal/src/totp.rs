//! Codes of second factors: RFC 6238 as authenticator apps have it, six digits of HMAC-SHA-1 every thirty seconds; and codes for
//! when the device is lost. Whether a code was used already is in the state.

use docklet_control::account::command::Proof;
use docklet_control::id::{SecretHash, UnixMs};
use docklet_control::model::account::{FactorSecret, SecondFactor};
use ring::hmac;
use sha2::{Digest, Sha256};

const STEP_S: u64 = 30;
const DIGITS: usize = 6;
/// Clocks of devices may be off by so many steps, either way.
const SKEW_STEPS: u64 = 1;
/// RFC 4648; no digit in it can be taken for a letter in it.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// A recovery code has so many characters of it: 80 bits, which nobody tries out, not even with the hash at hand.
const RECOVERY_LEN: usize = 16;

/// A secret for a device.
pub(crate) fn fresh_secret() -> FactorSecret {
    FactorSecret(rand::random())
}

/// What an authenticator app reads, also as a picture.
pub(crate) fn uri(cluster: &str, user: &str, secret: &FactorSecret) -> String {
    let secret = base32(&secret.0);
    // Names of clusters and users need no escaping.
    format!("otpauth://totp/{cluster}:{user}?secret={secret}&issuer={cluster}")
}

/// The secret as people type it.
pub(crate) fn base32(bytes: &[u8]) -> String {
    let mut text = String::new();
    let (mut held, mut bits) = (0_u32, 0);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(letter(held >> bits));
        }
    }
    if bits > 0 {
        text.push(letter(held << (5 - bits)));
    }
    text
}

fn letter(value: u32) -> char {
    char::from(BASE32[(value & 31) as usize])
}

/// What a code given at `now` proves: the step whose code it is, or that it may be a recovery code. All steps are tried in any
/// case, and compared in constant time.
pub(crate) fn proof(factor: &SecondFactor, given: &str, now: UnixMs) -> Option<Proof> {
    let given: String = given
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .collect();
    if given.len() == RECOVERY_LEN {
        let code = hash_of(&given);
        return factor
            .recovery
            .contains(&code)
            .then_some(Proof::Recovery { code });
    }
    let current = now.0 / 1_000 / STEP_S;
    let steps = current.saturating_sub(SKEW_STEPS)..=current + SKEW_STEPS;
    let mut found = None;
    for step in steps {
        let fits = constant_time_eq(code(&factor.secret, step).as_bytes(), given.as_bytes());
        if fits && step > factor.last_step {
            found = Some(Proof::Code { step });
        }
    }
    found
}

fn constant_time_eq(one: &[u8], other: &[u8]) -> bool {
    let differing = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    one.len() == other.len() && differing == 0
}

/// The code of a step (RFC 4226, section 5.3).
fn code(secret: &FactorSecret, step: u64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret.0);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[tag.len() - 1] & 15);
    let four = std::array::from_fn(|place| tag[offset + place]);
    let number = u32::from_be_bytes(four) & 0x7fff_ffff;
    format!("{:0DIGITS$}", number % 10_u32.pow(6))
}

/// Codes for when the device is lost, as people keep them.
pub(crate) fn fresh_recovery() -> Vec<String> {
    let fresh = || {
        let text = base32(&rand::random::<[u8; 10]>()).to_ascii_lowercase();
        let parts: Vec<&str> = (0..4).map(|part| &text[part * 4..part * 4 + 4]).collect();
        parts.join("-")
    };
    (0..SecondFactor::RECOVERY_CODES).map(|_| fresh()).collect()
}

/// What the log keeps of a recovery code.
pub(crate) fn hash_of(code: &str) -> SecretHash {
    let code: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    SecretHash(Sha256::digest(code.to_ascii_lowercase()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factor(last_step: u64) -> SecondFactor {
        SecondFactor {
            secret: FactorSecret(*b"12345678901234567890"),
            begun_at: UnixMs(0),
            confirmed: true,
            last_step,
            recovery: Default::default(),
        }
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // Appendix B, the last six of its eight digits.
        for (seconds, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(&factor(0).secret, seconds / STEP_S), expected);
        }
    }

    #[test]
    fn a_code_is_good_for_its_step_and_the_ones_beside_it_and_once() {
        let at = |seconds: u64| UnixMs(seconds * 1_000);
        let given = |last, seconds| proof(&factor(last), "28 70-82", at(seconds));
        assert_eq!(given(0, 59), Some(Proof::Code { step: 1 }));
        assert_eq!(given(0, 29), Some(Proof::Code { step: 1 }));
        assert_eq!(given(0, 89), Some(Proof::Code { step: 1 }));
        assert_eq!(given(0, 90), None);
        assert_eq!(given(1, 59), None);
        for wrong in ["", "28708", "2870821", "287083", "２８７０８２"] {
            assert_eq!(proof(&factor(0), wrong, at(59)), None, "{wrong}");
        }
    }

    #[test]
    fn a_recovery_code_is_known_however_it_is_typed() {
        let codes = fresh_recovery();
        assert_eq!(codes.len(), SecondFactor::RECOVERY_CODES);
        let mut factor = factor(0);
        let code = hash_of(&codes[0]);
        factor.recovery.insert(code);
        let known = Some(Proof::Recovery { code });
        assert_eq!(proof(&factor, &codes[0], UnixMs(0)), known);
        let typed = codes[0].to_uppercase().replace('-', " ");
        assert_eq!(proof(&factor, &typed, UnixMs(0)), known);
        assert_eq!(proof(&factor, &codes[1], UnixMs(0)), None);
    }

    #[test]
    fn secrets_are_typed_in_base32() {
        // RFC 4648, section 10.
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }
}
