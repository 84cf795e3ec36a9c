//! Passwords: argon2id. Few hashes at once and few that wait, so that a flood of logins takes neither all cores from Raft nor
//! all memory.

use std::net::IpAddr;
use std::sync::LazyLock;

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, SaltString};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use docklet_control::Refusal;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::places::{Place, Places};
use crate::problem::Problem;

/// What a hash costs, for whoever guesses and for the master: memory in KiB, passes over it, lanes. OWASP's equal to RFC 9106
/// for a machine that has other things to do; ADR 0028 has what it takes. Hashes that were made otherwise are made anew at
/// the next login.
const COST: (u32, u32, u32) = (32 * 1_024, 2, 1);

/// Hashes computed at once.
static TURNS: Semaphore = Semaphore::const_new(2);
/// Those that are computed or wait. Beyond it whoever comes is sent away, to come again.
static WAITING: LazyLock<Places> = LazyLock::new(|| Places::new(64, 16));

/// Shortest and longest password accepted, in bytes.
const LEN: std::ops::RangeInclusive<usize> = 8..=1_024;

/// Hash of nobody's password: checked when there is no such user, so that both take as long.
static NOBODY: LazyLock<String> = LazyLock::new(|| {
    let (memory_kib, passes, lanes) = COST;
    format!(
        "$argon2id$v=19$m={memory_kib},t={passes},p={lanes}$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    )
});

/// Hashes a new password, in PHC string form.
///
/// # Errors
/// It is too short or too long.
pub fn hash(password: &str) -> Result<String, Refusal> {
    check_length(password)?;
    let malformed = |cause: String| Refusal::Malformed {
        what: "password".to_owned(),
        cause,
    };
    let (memory_kib, passes, lanes) = COST;
    let params = Params::new(memory_kib, passes, lanes, None);
    let params = params.map_err(|error| malformed(error.to_string()))?;
    let salt = SaltString::generate(&mut OsRng);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|error| malformed(error.to_string()))
}

fn check_length(password: &str) -> Result<(), Refusal> {
    if LEN.contains(&password.len()) {
        return Ok(());
    }
    Err(Refusal::OutOfRange {
        what: "password length".to_owned(),
        given: password.len() as u64,
        least: *LEN.start() as u64,
        most: *LEN.end() as u64,
        unit: "bytes".to_owned(),
    })
}

/// The same, when it is its turn.
pub(crate) async fn hash_in_turn(password: String, client: IpAddr) -> Result<String, Problem> {
    check_length(&password)?;
    let _turn = turn(client).await?;
    let hashed = tokio::task::spawn_blocking(move || hash(&password)).await;
    let hashed = hashed.map_err(|error| Problem::malformed("password", error))?;
    Ok(hashed?)
}

/// Whether this is the password of that hash; without a hash, takes as long and says no.
pub(crate) async fn verify(
    password: String,
    hash: Option<String>,
    client: IpAddr,
) -> Result<bool, Problem> {
    let _turn = turn(client).await?;
    let check = move || {
        let known = hash.is_some();
        let text = hash.unwrap_or_else(|| NOBODY.clone());
        // The hash itself says what it cost.
        let fits = PasswordHash::new(&text).is_ok_and(|parsed| {
            Argon2::default()
                .verify_password(password.as_bytes(), &parsed)
                .is_ok()
        });
        known && fits && password.len() <= *LEN.end()
    };
    Ok(tokio::task::spawn_blocking(check).await.unwrap_or(false))
}

/// Whether a hash was made by other rules than those that hold.
pub(crate) fn is_outdated(hash: &str) -> bool {
    let params = PasswordHash::new(hash).ok();
    let params = params.and_then(|hash| {
        let cost = Params::try_from(&hash).ok()?;
        let argon2id = hash.algorithm == Algorithm::Argon2id.ident();
        argon2id.then(|| (cost.m_cost(), cost.t_cost(), cost.p_cost()))
    });
    params != Some(COST)
}

async fn turn(client: IpAddr) -> Result<(Place, SemaphorePermit<'static>), Problem> {
    let place = WAITING.take(client);
    let place = place.ok_or_else(Problem::logins_under_way)?;
    // It is never closed.
    let turn = TURNS.acquire().await;
    let turn = turn.map_err(|_| Problem::logins_under_way())?;
    Ok((place, turn))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_hashed_now_is_known_again_and_up_to_date() {
        let hashed = hash("correct horse").expect("long enough");
        assert!(!is_outdated(&hashed));
        assert!(!is_outdated(&NOBODY));
        let fits = async |password: &str, hash: &str| {
            let here = std::net::Ipv4Addr::LOCALHOST.into();
            let verified = verify(password.to_owned(), Some(hash.to_owned()), here).await;
            verified.expect("nobody else is here")
        };
        assert!(fits("correct horse", &hashed).await);
        assert!(!fits("wrong horse", &hashed).await);
        // As Docklet made them before: still known, and made anew.
        let salt = SaltString::generate(&mut OsRng);
        let older = Argon2::default().hash_password(b"correct horse", &salt);
        let older = older.expect("a hash").to_string();
        assert!(is_outdated(&older) && fits("correct horse", &older).await);
        assert!(is_outdated("hash") && !fits("correct horse", "hash").await);
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        for password in [String::new(), "7 bytes".to_owned(), "x".repeat(1_025)] {
            let refused = hash(&password).expect_err("a wrong length");
            assert_eq!(refused.code(), "out_of_range");
        }
    }
}
