//! What a browser keeps for the masters without being able to read or change it: sealed by a key that all of them derive alike.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Seals and opens.
pub(crate) struct Sealer(LessSafeKey);

impl Sealer {
    /// With this key, which is for nothing else.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key);
        Self(LessSafeKey::new(key.expect("a key has 32 bytes")))
    }

    /// As a cookie can carry it. What was sealed for one purpose is worth nothing for another.
    pub(crate) fn seal(&self, purpose: &str, value: &impl Serialize) -> String {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut bytes = serde_json::to_vec(value).expect("plain data has a JSON form");
        let sealed = self.0.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(purpose.as_bytes()),
            &mut bytes,
        );
        sealed.expect("a login is shorter than 256 GiB");
        let whole: Vec<u8> = nonce.into_iter().chain(bytes).collect();
        URL_SAFE_NO_PAD.encode(whole)
    }

    /// None of what nobody sealed for this.
    pub(crate) fn open<T: DeserializeOwned>(&self, purpose: &str, text: &str) -> Option<T> {
        let mut whole = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, bytes) = whole.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let aad = Aad::from(purpose.as_bytes());
        let plain = self.0.open_in_place(nonce, aad, bytes).ok()?;
        serde_json::from_slice(plain).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sealed_for_it_is_opened() {
        let (sealer, other) = (Sealer::new(&[7; 32]), Sealer::new(&[8; 32]));
        let sealed = sealer.seal("one", &"ada".to_owned());
        let open =
            |sealer: &Sealer, purpose: &str, text: &str| sealer.open::<String>(purpose, text);
        assert_eq!(open(&sealer, "one", &sealed).as_deref(), Some("ada"));
        assert_eq!(open(&sealer, "two", &sealed), None);
        assert_eq!(open(&other, "one", &sealed), None);
        assert_ne!(sealer.seal("one", &"ada".to_owned()), sealed);
        for (place, letter) in sealed.char_indices() {
            let flipped = if letter == 'A' { "B" } else { "A" };
            let mut text = sealed.clone();
            text.replace_range(place..=place, flipped);
            assert_eq!(open(&sealer, "one", &text), None, "letter {place}");
        }
        for text in ["", "A", "====", &sealed[..20]] {
            assert_eq!(open(&sealer, "one", text), None);
        }
    }
}
