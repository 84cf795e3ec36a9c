//! The proof that a form is this site's own. Pages are compressed, and a page's length would tell who watches the line letter by
//! letter what stands in each (BREACH, 2013): so the token is written under a mask that is another in each answer.

use sha2::{Digest, Sha256};

const BYTES: usize = 32;

/// The token of one login, under the mask of one answer.
#[derive(Clone)]
pub(crate) struct Csrf {
    token: [u8; BYTES],
    mask: [u8; BYTES],
}

impl Csrf {
    /// Of the login that has this secret.
    pub(crate) fn of(secret: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"docklet csrf ");
        hasher.update(secret.as_bytes());
        Self {
            token: hasher.finalize().into(),
            mask: rand::random(),
        }
    }

    /// As a form carries it.
    pub(crate) fn text(&self) -> String {
        hex::encode(self.mask) + &hex::encode(xor(self.token, self.mask))
    }

    /// Whether a form carries the token of this login, under whatever mask.
    pub(crate) fn accepts(&self, given: &str) -> bool {
        let mut bytes = [[0; BYTES]; 2];
        let read = hex::decode_to_slice(given, bytes.as_flattened_mut());
        let [mask, masked] = bytes;
        // Compared by hashes: how much of it is right is not seen by the time that it takes.
        read.is_ok() && Sha256::digest(xor(mask, masked)) == Sha256::digest(self.token)
    }
}

fn xor(mut one: [u8; BYTES], other: [u8; BYTES]) -> [u8; BYTES] {
    one.iter_mut()
        .zip(other)
        .for_each(|(one, other)| *one ^= other);
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_of_an_answer_before_is_accepted_and_reads_differently() {
        let (before, now) = (Csrf::of("secret"), Csrf::of("secret"));
        assert_ne!(before.text(), now.text());
        assert!(now.accepts(&before.text()) && now.accepts(&now.text()));
    }

    #[test]
    fn what_is_of_another_login_or_no_token_is_refused() {
        let csrf = Csrf::of("secret");
        let mut bent = csrf.text();
        bent.replace_range(0..1, if bent.starts_with('0') { "1" } else { "0" });
        let plain = hex::encode(csrf.token);
        let none = "0".repeat(4 * BYTES);
        for given in [&Csrf::of("other").text(), &bent, &plain, &none, "", "x"] {
            assert!(!csrf.accepts(given), "{given}");
        }
    }
}
