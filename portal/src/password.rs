//! Passwords: argon2id in its recommended strength; at most two hashes at once, so that a flood of logins cannot
//! take all cores from Raft.

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, SaltString};
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use docklet_control::Refusal;
use tokio::sync::Semaphore;

/// Hashes computed at once.
static TURNS: Semaphore = Semaphore::const_new(2);

/// Shortest and longest password accepted, in bytes.
const LEN: std::ops::RangeInclusive<usize> = 8..=1_024;

/// Hash of nobody's password: checked when there is no such user, so that both take as long.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes a new password, in PHC string form.
///
/// # Errors
/// It is too short or too long.
pub fn hash(password: &str) -> Result<String, Refusal> {
    if !LEN.contains(&password.len()) {
        return Err(Refusal::OutOfRange {
            what: "password length".to_owned(),
            given: password.len() as u64,
            least: *LEN.start() as u64,
            most: *LEN.end() as u64,
            unit: "bytes".to_owned(),
        });
    }
    let salt = SaltString::generate(&mut OsRng);
    Argon2::default()
        .hash_password(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|error| Refusal::Malformed {
            what: "password".to_owned(),
            cause: error.to_string(),
        })
}

/// Whether this is the password of that hash; without a hash, takes as long and says no.
pub(crate) async fn verify(password: String, hash: Option<String>) -> bool {
    // The semaphore is never closed.
    let _turn = TURNS.acquire().await;
    let check = move || {
        let known = hash.is_some();
        let text = hash.unwrap_or_else(|| NOBODY.to_owned());
        let fits = PasswordHash::new(&text).is_ok_and(|parsed| {
            Argon2::default()
                .verify_password(password.as_bytes(), &parsed)
                .is_ok()
        });
        known && fits && password.len() <= *LEN.end()
    };
    tokio::task::spawn_blocking(check).await.unwrap_or(false)
}
