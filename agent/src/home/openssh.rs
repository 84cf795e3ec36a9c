//! OpenSSH's formats of an ed25519 key pair. Pure: the same seed is the same key on every worker.
//!
//! The private key's format is `openssh-key-v1`, without a passphrase: PROTOCOL.key of OpenSSH's sources.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair};

/// OpenSSH's name of the algorithm.
const KIND: &[u8] = b"ssh-ed25519";
/// Characters of a line.
const LINE: usize = 70;

/// A key pair as OpenSSH reads it.
pub struct SshKey {
    /// The file of the private key.
    pub private: String,
    /// Algorithm and key, as in `authorized_keys` and `known_hosts`.
    pub public: String,
}

impl SshKey {
    /// The key pair of a seed.
    #[must_use]
    pub fn of(seed: &[u8; 32], comment: &str) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are a seed");
        let public = pair.public_key().as_ref();
        let blob = [field(KIND), field(public)].concat();
        Self {
            private: private(seed, public, &blob, comment),
            public: format!("ssh-ed25519 {}", STANDARD.encode(&blob)),
        }
    }
}

/// Length and bytes.
fn field(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("fields are short");
    [&length.to_be_bytes(), bytes].concat()
}

fn private(seed: &[u8; 32], public: &[u8], blob: &[u8], comment: &str) -> String {
    // Twice the same number tells a right passphrase from a wrong one; there is none.
    let check = [0x64, 0x6f, 0x63, 0x6b];
    let mut secret = [check, check].concat();
    secret.extend([field(KIND), field(public)].concat());
    secret.extend(field(&[seed, public].concat()));
    secret.extend(field(comment.as_bytes()));
    for pad in 1_u8.. {
        if secret.len().is_multiple_of(8) {
            break;
        }
        secret.push(pad);
    }
    let mut file = b"openssh-key-v1\0".to_vec();
    for none in [b"none".as_slice(), b"none", b""] {
        file.extend(field(none));
    }
    file.extend(1_u32.to_be_bytes());
    file.extend(field(blob));
    file.extend(field(&secret));
    let text = STANDARD.encode(file);
    let lines = text.as_bytes().chunks(LINE);
    let lines: Vec<_> = lines.map(String::from_utf8_lossy).collect();
    format!(
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
        lines.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first test of RFC 8032, section 7.1.
    #[test]
    fn the_public_key_is_that_of_the_seed() {
        let hex = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let seed: Vec<u8> = (0..64)
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal"))
            .collect();
        let key = SshKey::of(seed.as_slice().try_into().expect("32 bytes"), "test");
        let expected = "AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
        assert_eq!(key.public, format!("ssh-ed25519 {expected}"));
    }

    #[test]
    fn padding_fills_the_last_block_whatever_the_comment() {
        for length in 0..9 {
            let key = SshKey::of(&[7; 32], &"c".repeat(length));
            let body: String = key
                .private
                .lines()
                .filter(|l| !l.starts_with('-'))
                .collect();
            let file = STANDARD.decode(body).expect("base64");
            let secret_at = 15 + 8 + 8 + 4 + 4 + 4 + 51;
            let size =
                u32::from_be_bytes(file[secret_at..secret_at + 4].try_into().expect("a size"));
            assert!(size.is_multiple_of(8));
            assert_eq!(file.len(), secret_at + 4 + size as usize);
        }
    }
}
