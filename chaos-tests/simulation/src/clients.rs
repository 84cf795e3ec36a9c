//! Clients: each does one thing after the other through whichever master, and keeps to one request until it knows what
//! came of it or loses patience. What they see goes into a history, what they are promised to the oracle.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use docklet_chaos_tests::{Did, History};
use docklet_control::id::UserId;
use docklet_control::model::{Receipt, Role};
use docklet_control::{Actor, Command};
use docklet_raft::{ProposeFault, StoreClient};
use rand::Rng;
use rand::rngs::SmallRng;

use crate::oracle::Promises;
use crate::trace::Trace;

/// The first account of a cluster.
pub const ADMIN: Actor = Actor::User(UserId(1));
/// Whoever asks for the same thing again and again gives up at last.
const ATTEMPTS_MAX: u32 = 4;

/// What all clients share.
pub struct Crowd {
    pub trace: Trace,
    pub promises: Promises,
    pub history: History,
    /// Known once the operator has made them.
    pub keys: OnceLock<Vec<UserId>>,
    /// When simulated time began, for the history.
    pub began: Instant,
    pub stop: AtomicBool,
    /// Clients that are still at it.
    pub busy: AtomicUsize,
    pub masters: usize,
}

impl Crowd {
    fn keys(&self) -> &[UserId] {
        self.keys.get().expect("clients begin when there are keys")
    }

    pub fn now(&self) -> Instant {
        self.began + Duration::from_millis(self.trace.now_ms())
    }
}

/// One client.
pub struct Client {
    pub number: u64,
    pub store: StoreClient,
    pub dice: SmallRng,
    /// Rests at most so long between operations.
    pub rest_ms: u64,
    pub crowd: Arc<Crowd>,
    pub done: u64,
}

/// What a key is called.
pub fn key_name(key: usize) -> String {
    format!("key-{key}")
}

/// What stands for a value.
pub fn value_text(value: u64) -> String {
    format!("value {value}")
}

impl Client {
    /// Works until told to stop.
    pub async fn work(mut self) {
        while !self.crowd.stop.load(Ordering::Relaxed) {
            self.done += 1;
            if self.dice.random_range(0..4) == 0 {
                self.store
                    .prefer(self.dice.random_range(0..self.crowd.masters));
            }
            match self.dice.random_range(0..10) {
                0..5 => self.write().await,
                5..9 => self.read().await,
                _ => self.create().await,
            }
            let rest = self.dice.random_range(0..=self.rest_ms);
            tokio::time::sleep(Duration::from_millis(rest)).await;
        }
        self.crowd.busy.fetch_sub(1, Ordering::Relaxed);
    }

    fn key(&mut self) -> usize {
        self.dice.random_range(0..self.crowd.keys().len())
    }

    fn patience(&mut self) -> Duration {
        Duration::from_millis(self.dice.random_range(300..4_000))
    }

    /// Asks until there is an answer, under the same request.
    async fn propose(&mut self, command: Command) -> Result<Receipt, ProposeFault> {
        let request = self.store.new_request().await;
        let request = request.map_err(ProposeFault::Unknown)?;
        let mut attempt = 1;
        loop {
            let patience = self.patience();
            let asked = self
                .store
                .propose(ADMIN, request, command.clone(), patience);
            match asked.await {
                Err(ProposeFault::Unknown(_)) if attempt < ATTEMPTS_MAX => attempt += 1,
                Err(ProposeFault::Unknown(fault)) => {
                    self.crowd.trace.count("client: never knew what came of it");
                    return Err(ProposeFault::Unknown(fault));
                }
                answered => {
                    if attempt > 1 {
                        self.crowd
                            .trace
                            .count("client: answered after asking again");
                    }
                    return answered;
                }
            }
        }
    }

    async fn write(&mut self) {
        let (key, value) = (self.key(), self.number * 1_000_000 + self.done);
        let command = Command::ChangePassword {
            user: self.crowd.keys()[key],
            password_hash: value_text(value),
        };
        let called = self.crowd.now();
        let proposed = self.propose(command).await;
        let (crowd, returned) = (&self.crowd, self.crowd.now());
        match proposed {
            Ok(receipt) => {
                crowd
                    .history
                    .answered(key, called, returned, Did::Write(value));
                crowd.promises.accept(value_text(value), receipt.index.0);
            }
            Err(ProposeFault::Unknown(_)) => crowd.history.unknown(key, called, value),
            Err(ProposeFault::Refused(refusal)) => crowd.promises.wrong(format!(
                "a write that nothing forbids was refused: {refusal}"
            )),
        }
    }

    /// Makes an account that nobody else makes.
    async fn create(&mut self) {
        let name = format!("user-{}-{}", self.number, self.done);
        let command = Command::CreateUser {
            name: name.clone(),
            role: Role::User,
            password_hash: "x".repeat(self.dice.random_range(1..200)),
        };
        let promises = self.crowd.promises.clone();
        match self.propose(command).await {
            Ok(receipt) => promises.accept(format!("user {name}"), receipt.index.0),
            Err(ProposeFault::Unknown(_)) => {}
            Err(ProposeFault::Refused(refusal)) => {
                promises.wrong(format!("making {name} was refused: {refusal}"));
            }
        }
    }

    async fn read(&mut self) {
        let (key, patience) = (self.key(), self.patience());
        read(&self.store, &self.crowd, key, patience).await;
    }
}

/// Reads a key as new as can be; answers whether there was an answer.
pub async fn read(store: &StoreClient, crowd: &Crowd, key: usize, patience: Duration) -> bool {
    let called = crowd.now();
    let read = store.user_named(&key_name(key), patience).await;
    // A read without an answer says nothing.
    let Ok((user, _)) = read else {
        return false;
    };
    let text = user.map(|user| user.password_hash);
    let value = text.as_deref().and_then(|text| text.strip_prefix("value "));
    match value.and_then(|value| value.parse().ok()) {
        Some(value) => crowd
            .history
            .answered(key, called, crowd.now(), Did::Read(value)),
        None => crowd
            .promises
            .wrong(format!("key {key} read as {text:?}, which nobody wrote")),
    }
    true
}
