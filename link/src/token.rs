//! Join tokens: what an admin carries from a master to a new machine.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::identity::PeerRole;

/// A join token: `D1.<role>.<addresses>.<fingerprint>.<secret>`, where addresses are separated by commas and
/// fingerprint and secret are 64 hexadecimal digits each.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinSecret {
    /// What the machine becomes.
    pub role: PeerRole,
    /// Cluster listeners to try, in order.
    pub addrs: Vec<String>,
    /// SHA-256 of the authority's certificate: whom to trust on first contact.
    pub ca_fingerprint: [u8; 32],
    /// Known to the holder only; the log keeps its hash.
    pub secret: [u8; 32],
}

/// Why a text is no join token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenMalformed {
    #[error(
        "a join token has five parts separated by dots and begins with D1: copy the whole of it"
    )]
    Shape,
    #[error("the join token is for \"{0}\", which is neither master nor agent")]
    Role(String),
    #[error("the join token's {0} is damaged: copy it again")]
    Damaged(&'static str),
}

impl JoinSecret {
    /// A token with a fresh secret.
    #[must_use]
    pub fn generate(role: PeerRole, addrs: Vec<String>, ca_fingerprint: [u8; 32]) -> Self {
        Self {
            role,
            addrs,
            ca_fingerprint,
            secret: rand::random(),
        }
    }

    /// What the log stores of the secret.
    #[must_use]
    pub fn secret_hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret).into()
    }
}

impl fmt::Display for JoinSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            PeerRole::Master => "master",
            PeerRole::Agent => "agent",
        };
        // Dots separate the parts, so those of addresses are written as underscores.
        let addrs = self.addrs.join(",").replace('.', "_");
        let fingerprint = hex::encode(self.ca_fingerprint);
        let secret = hex::encode(self.secret);
        write!(formatter, "D1.{role}.{addrs}.{fingerprint}.{secret}")
    }
}

impl fmt::Debug for JoinSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("JoinSecret")
            .field("role", &self.role)
            .field("addrs", &self.addrs)
            .finish_non_exhaustive()
    }
}

impl FromStr for JoinSecret {
    type Err = TokenMalformed;

    fn from_str(text: &str) -> Result<Self, TokenMalformed> {
        let parts: Vec<&str> = text.trim().split('.').collect();
        let ["D1", role, addrs, fingerprint, secret] = parts[..] else {
            return Err(TokenMalformed::Shape);
        };
        let role = match role {
            "master" => PeerRole::Master,
            "agent" => PeerRole::Agent,
            other => return Err(TokenMalformed::Role(other.escape_debug().to_string())),
        };
        Ok(Self {
            role,
            addrs: parse_addrs(addrs)?,
            ca_fingerprint: bytes(fingerprint).ok_or(TokenMalformed::Damaged("fingerprint"))?,
            secret: bytes(secret).ok_or(TokenMalformed::Damaged("secret"))?,
        })
    }
}

fn parse_addrs(text: &str) -> Result<Vec<String>, TokenMalformed> {
    text.split(',')
        .map(|addr| addr.replace('_', "."))
        .map(|addr| match addr.parse::<std::net::SocketAddr>() {
            Ok(_) => Ok(addr),
            Err(_) => Err(TokenMalformed::Damaged("address list")),
        })
        .collect()
}

fn bytes(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> JoinSecret {
        let addrs = vec!["10.0.0.1:7000".to_owned(), "[fd00::1]:7000".to_owned()];
        JoinSecret::generate(PeerRole::Agent, addrs, [7; 32])
    }

    #[test]
    fn a_token_survives_its_text_form() {
        let token = token();
        assert_eq!(token.to_string().parse(), Ok(token));
    }

    #[test]
    fn debug_output_hides_the_secret() {
        let token = token();
        assert!(!format!("{token:?}").contains(&hex::encode(token.secret)));
    }

    #[test]
    fn damaged_tokens_are_refused_with_the_damaged_part() {
        let text = token().to_string();
        let cases = [
            (String::new(), TokenMalformed::Shape),
            (text.replace("D1", "D2"), TokenMalformed::Shape),
            (format!("{text}.x"), TokenMalformed::Shape),
            (
                text.replace("agent", "king"),
                TokenMalformed::Role("king".to_owned()),
            ),
            (
                text[..text.len() - 1].to_owned(),
                TokenMalformed::Damaged("secret"),
            ),
            (
                text.replace("10_", "x_"),
                TokenMalformed::Damaged("address list"),
            ),
        ];
        for (text, wanted) in cases {
            assert_eq!(text.parse::<JoinSecret>(), Err(wanted), "{text}");
        }
    }
}
