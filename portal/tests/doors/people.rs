//! What one person has is nobody else's: what is there and what is not look alike, and with a login all ends that it let in.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use argon2::password_hash::{PasswordHasher as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use docklet_control::Command;
use docklet_control::account::command::AccountCommand;
use docklet_control::id::{SecretHash, UserId};
use docklet_control::model::account::{FactorSecret, SecondFactor};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use crate::client::{Answer, JSON, PASSWORD, Site, read};
use crate::support::{ADMIN, PATIENCE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_somebody_elses_looks_as_if_it_were_not_there() {
    let site = Site::start().await;
    let (ada, bob) = (site.log_in("ada").await, site.log_in("bob").await);
    let id = *site.state().vclusters.keys().next().expect("ada's");
    for of in [
        "",
        "/explain",
        "/usage",
        "/snapshots",
        "/rules",
        "/vnodes/host-0/files?path=/",
    ] {
        let path = |id: &str| format!("/api/v1/vclusters/{id}{of}");
        let cookie = [("cookie", bob.as_str())];
        let there = site.ask(("GET", &path(&id.to_string())), &cookie, "").await;
        let absent = site.ask(("GET", &path("77")), &cookie, "").await;
        assert_eq!(there.status, 404, "{of}: {there:?}");
        assert_eq!(absent.status, 404, "{of}: {absent:?}");
        let there = there.body.replace(&format!("\\\"{id}\\\""), "\\\"77\\\"");
        assert_eq!(there, absent.body, "{of}");
    }
    for (path, name) in [
        ("/api/v1/vclusters", "\"name\":\"lab\""),
        ("/vclusters", "/vclusters/lab"),
        ("/", "/vclusters/lab"),
    ] {
        for (cookie, is_theirs) in [(&ada, true), (&bob, false)] {
            let cookie = [("cookie", cookie.as_str())];
            let answer = site.ask(("GET", path), &cookie, "").await;
            assert_eq!(answer.body.contains(name), is_theirs, "{path}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_takes_as_long_for_whom_nobody_knows() {
    let site = Site::start().await;
    // The quickest of some: what else the machine does only makes them slower.
    let mut quickest = [Duration::MAX; 2];
    for nth in 0..4 {
        for (which, name) in [format!("nobody{nth}"), "ada".to_owned()]
            .iter()
            .enumerate()
        {
            let begun = Instant::now();
            let answer = site.try_login(name, "not this one").await;
            quickest[which] = quickest[which].min(begun.elapsed());
            assert_eq!(answer.status, 401, "{answer:?}");
            assert!(answer.body.contains("do not match"), "{answer:?}");
        }
    }
    let [unknown, known] = quickest;
    assert!(
        unknown * 2 > known,
        "{unknown:?} of whom nobody knows, {known:?} of ada"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_guesses_waits() {
    let site = Site::start().await;
    for _ in 0..7 {
        assert_eq!(site.try_login("ada", "not this one").await.status, 401);
    }
    let begun = Instant::now();
    assert_eq!(site.try_login("ada", PASSWORD).await.status, 303);
    assert!(
        begun.elapsed() >= Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}

/// Asks for a login by a program, from an address of this machine.
async fn program(site: &Site, from: u8, name: &str, code: &str) -> Answer {
    let body = format!(r#"{{"user":"{name}","password":"{PASSWORD}","code":"{code}"}}"#);
    asked(site, from, "/api/v1/login", &body).await
}

/// Asks for an account, as [`program`] for a login.
async fn stranger(site: &Site, from: u8) -> Answer {
    let body = format!(
        r#"{{"name":"carol","password":"{PASSWORD}","real_name":"Carol","mail":"carol@example.org","reason":"the course"}}"#
    );
    asked(site, from, "/api/v1/register", &body).await
}

async fn asked(site: &Site, from: u8, path: &str, body: &str) -> Answer {
    let request = site.request(("POST", path), &[JSON], body);
    let tcp = site.tcp_from(from).await.expect("an address");
    let mut stream = site.secured(tcp).await.expect("a handshake");
    stream.write_all(request.as_bytes()).await.expect("sent");
    read(&mut stream).await
}

/// From then on they show a code, too; these are for when the device is lost.
async fn second_factor(site: &Site, name: &str) -> Vec<String> {
    let all = 0..SecondFactor::RECOVERY_CODES;
    let codes: Vec<String> = all.map(|nth| format!("recoverycode{nth:04}")).collect();
    let hash = |code: &String| SecretHash(Sha256::digest(code).into());
    let recovery: BTreeSet<SecretHash> = codes.iter().map(hash).collect();
    let secret = FactorSecret([7; FactorSecret::LEN]);
    for command in [
        AccountCommand::BeginFactor { secret },
        AccountCommand::ConfirmFactor { step: 1, recovery },
    ] {
        let receipt = site
            .alone
            .propose(site.actor(name), Command::Account(command));
        receipt.await.accepted().expect("a factor");
    }
    codes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_accounts_without_end_waits_and_others_do_not() {
    let site = Arc::new(Site::start().await);
    // They are not taken here, and count all the same.
    for _ in 0..7 {
        let answer = stranger(&site, 2).await;
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    let begun = Instant::now();
    assert_eq!(stranger(&site, 2).await.status, 403);
    assert!(
        begun.elapsed() >= Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    let mut asking = JoinSet::new();
    for _ in 0..20 {
        let site = Arc::clone(&site);
        asking.spawn(async move { stranger(&site, 2).await.status });
    }
    while asking
        .join_next()
        .await
        .expect("one is sent away")
        .expect("an answer")
        != 429
    {}
    let elsewhere = stranger(&site, 3).await;
    assert_eq!(elsewhere.status, 403, "{elsewhere:?}");
}

/// Somebody who guesses for as long as this is there: so many at once from one address of this machine.
struct Guesser {
    answers: UnboundedReceiver<u16>,
    _guesses: JoinSet<()>,
}

impl Guesser {
    fn begin(
        site: &Arc<Site>,
        (from, at_once): (u8, usize),
        (name, code): (fn(usize) -> String, &'static str),
    ) -> Self {
        let (told, answers) = unbounded_channel();
        let mut guesses = JoinSet::new();
        for first in 0..at_once {
            let (site, told) = (Arc::clone(site), told.clone());
            guesses.spawn(async move {
                for nth in (first..).step_by(at_once) {
                    let answer = program(&site, from, &name(nth), code).await;
                    if told.send(answer.status).is_err() {
                        return;
                    }
                }
            });
        }
        Self {
            answers,
            _guesses: guesses,
        }
    }

    /// Until so many more were answered so.
    async fn answered(&mut self, wanted: u16, times: usize) {
        let counting = async {
            let mut found = 0;
            while found < times {
                let status = self.answers.recv().await.expect("they guess on");
                found += usize::from(status == wanted);
            }
        };
        let counted = tokio::time::timeout(PATIENCE * 3, counting).await;
        counted.unwrap_or_else(|_| panic!("not answered {wanted} so often"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_comes_in_while_somebody_guesses() {
    let site = Arc::new(Site::start().await);
    let codes = second_factor(&site, "ada").await;
    // One knows the password, and tries codes until all of these wait; one knows names only, and is sent away in the end.
    let ada: fn(usize) -> String = |_| "ada".to_owned();
    let mut of_codes = Guesser::begin(&site, (3, 6), (ada, "12345"));
    of_codes.answered(401, 7).await;
    let nobody: fn(usize) -> String = |nth| format!("nobody{nth}");
    let mut of_names = Guesser::begin(&site, (2, 10), (nobody, ""));
    of_names.answered(429, 1).await;
    for code in &codes[..3] {
        let owner = program(&site, 1, "ada", code);
        let owner = tokio::time::timeout(PATIENCE / 2, owner).await;
        let answer = owner.expect("the owner does not wait");
        assert_eq!(answer.status, 200, "{answer:?}");
        of_names.answered(429, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hash_of_another_cost_is_made_anew_by_a_login_that_goes_on() {
    let site = Site::start().await;
    let salt = SaltString::from_b64("c29tZSBzYWx0").expect("salt");
    let cheaper = Params::new(64, 1, 1, None).expect("a cost");
    let cheaper = Argon2::new(Algorithm::Argon2id, Version::V0x13, cheaper);
    let cheaper = cheaper.hash_password(PASSWORD.as_bytes(), &salt);
    let cheaper = cheaper.expect("a hash").to_string();
    let set = Command::ChangePassword {
        user: UserId(2),
        password_hash: cheaper.clone(),
    };
    site.alone.propose(ADMIN, set).await;
    let hash_of = |state: &docklet_control::State| {
        let user = state.users.get(&UserId(2));
        user.expect("ada").password_hash.clone()
    };
    assert_eq!(hash_of(&site.state()), cheaper);
    let first = site.log_in("ada").await;
    let present = docklet_portal::hash_password(PASSWORD).expect("long enough");
    let cost = |hash: &str| hash.split('$').take(4).collect::<Vec<_>>().join("$");
    site.wait(|state| cost(&hash_of(state)) == cost(&present))
        .await;
    let anew = hash_of(&site.state());
    let second = site.log_in("ada").await;
    for cookie in [&first, &second] {
        let page = site.ask(("GET", "/"), &[("cookie", cookie)], "").await;
        assert_eq!(page.status, 200, "{page:?}");
    }
    assert_eq!(site.try_login("ada", "not this one").await.status, 401);
    assert_eq!(hash_of(&site.state()), anew, "once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_login_all_ends_that_it_let_in() {
    let site = Site::start().await;
    for (which, path) in ["/live/home", "/api/v1/events?from=1"]
        .into_iter()
        .enumerate()
    {
        let cookie = site.log_in("ada").await;
        let mut stream = site.connect().await;
        let host = site.host();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\ncookie: {cookie}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        assert_eq!(read(&mut stream).await.status, 200);
        let hashed = docklet_portal::hash_password(&format!("{PASSWORD} {which}"));
        let command = Command::ChangePassword {
            user: UserId(2),
            password_hash: hashed.expect("long enough"),
        };
        assert_eq!(site.actor("ada"), docklet_control::Actor::User(UserId(2)));
        site.alone.propose(ADMIN, command).await;
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, async {
            // A stream that is cut without a word has ended, too.
            while let Ok(read) = stream.read_buf(&mut rest).await {
                let last = rest.ends_with(b"0\r\n\r\n");
                if read == 0 || last {
                    break;
                }
            }
        });
        assert!(ended.await.is_ok(), "{path} goes on");
        let page = site.ask(("GET", "/"), &[("cookie", &cookie)], "").await;
        assert_eq!(page.status, 303, "{page:?}");
        let back = Command::ChangePassword {
            user: UserId(2),
            password_hash: docklet_portal::hash_password(PASSWORD).expect("long enough"),
        };
        site.alone.propose(ADMIN, back).await;
    }
}
