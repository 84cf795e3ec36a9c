//! Whoever runs the cluster: makes it, lets masters join, and makes the clients' keys. It insists: what it asks for is
//! asked for under the same request until there is an answer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use docklet_control::id::{MasterId, RequestId, SecretHash, UserId};
use docklet_control::model::receipt::Subject;
use docklet_control::model::{Autopilot, JoinRole, Receipt, Role};
use docklet_control::{Actor, Command, Refusal};
use docklet_raft::{ProposeFault, StoreClient};
use rand::Rng;
use rand::rngs::SmallRng;
use tokio::sync::mpsc;

use crate::clients::{ADMIN, key_name, value_text};
use crate::network::Place;

/// Masters are looked after as a week would have it, within seconds.
const AUTOPILOT: Autopilot = Autopilot {
    contact_ms: 500,
    lag_entries: 100,
    steady_ms: 300,
    dead_after_ms: None,
};
/// One attempt of the operator.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the operator is asked for.
#[derive(Clone, Debug)]
pub enum Wish {
    /// Let a master join that will be on this machine.
    Admit(Place),
    /// Let a master on this machine take the place of that one, which is gone.
    Replace(Place, u64),
}

/// What the operator has found out or done, for the simulation to act on.
#[derive(Debug)]
pub enum News {
    /// A master was admitted: it is to be installed on this machine under this id.
    Admitted(Place, u64),
    /// Everything is there for the clients to begin.
    Ready(Vec<UserId>),
}

/// News in order; clones are the same.
#[derive(Clone, Default)]
pub struct Bulletin(Arc<Mutex<VecDeque<News>>>);

impl Bulletin {
    pub fn post(&self, news: News) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_back(news);
    }

    pub fn take(&self) -> Option<News> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.pop_front()
    }
}

/// The operator.
pub struct Operator {
    pub store: StoreClient,
    /// Where masters are or may be.
    pub addrs: Vec<String>,
    pub wishes: mpsc::UnboundedReceiver<Wish>,
    pub dice: SmallRng,
    pub bulletin: Bulletin,
}

impl Operator {
    /// Makes a running cluster of one into what the clients need, then does what is wished.
    pub async fn work(mut self, keys: usize) {
        self.insist(
            ADMIN,
            Command::SetAutopilot {
                autopilot: AUTOPILOT,
            },
        )
        .await;
        let mut made = Vec::new();
        for key in 0..keys {
            made.push(self.make_key(key).await);
        }
        self.bulletin.post(News::Ready(made));
        while let Some(wish) = self.wishes.recv().await {
            match wish {
                Wish::Admit(place) => self.admit(place).await,
                Wish::Replace(place, old) => self.replace(place, old).await,
            }
        }
    }

    async fn make_key(&mut self, key: usize) -> UserId {
        let command = Command::CreateUser {
            name: key_name(key),
            role: Role::User,
            password_hash: value_text(0),
        };
        let receipt = self.insist(ADMIN, command).await;
        match receipt.accepted() {
            Ok(Subject::User(user)) => *user,
            other => unreachable!("making a key came to {other:?}"),
        }
    }

    async fn admit(&mut self, place: Place) {
        let secret_hash = SecretHash(self.dice.random());
        let token = Command::CreateJoinToken {
            secret_hash,
            role: JoinRole::Master,
            ttl_ms: 3_600_000,
            uses: 1,
        };
        self.insist(ADMIN, token).await;
        self.join(place, secret_hash).await;
    }

    /// Whose disk is lost comes back as another.
    async fn replace(&mut self, place: Place, old: u64) {
        let secret_hash = SecretHash(self.dice.random());
        let replace = Command::ReplaceMaster {
            master: MasterId(old),
            secret_hash,
            ttl_ms: 3_600_000,
        };
        if self.try_until_answered(ADMIN, replace).await.is_ok() {
            self.join(place, secret_hash).await;
        } else {
            // It was removed meanwhile.
            self.admit(place).await;
        }
    }

    async fn join(&mut self, place: Place, secret_hash: SecretHash) {
        let addr = self.addrs[place].clone();
        let join = Command::JoinMaster {
            secret_hash,
            name: format!("m{}-{}", place + 1, self.dice.random::<u32>()),
            cluster_addr: addr.clone(),
            public_addr: addr,
        };
        let receipt = self.insist(Actor::Door(MasterId(1)), join).await;
        match receipt.accepted() {
            Ok(Subject::Master(master)) => {
                self.bulletin.post(News::Admitted(place, master.id.0));
            }
            other => unreachable!("joining came to {other:?}"),
        }
    }

    async fn insist(&mut self, actor: Actor, command: Command) -> Receipt {
        let answered = self.try_until_answered(actor, command).await;
        answered.unwrap_or_else(|refusal| unreachable!("the operator was refused: {refusal}"))
    }

    async fn new_request(&self) -> RequestId {
        loop {
            if let Ok(request) = self.store.new_request().await {
                return request;
            }
        }
    }

    async fn try_until_answered(
        &mut self,
        actor: Actor,
        command: Command,
    ) -> Result<Receipt, Refusal> {
        let request = self.new_request().await;
        loop {
            let asked = self
                .store
                .propose(actor, request, command.clone(), PATIENCE);
            match asked.await {
                Ok(receipt) => return Ok(receipt),
                Err(ProposeFault::Unknown(_)) => {
                    tokio::time::sleep(Duration::from_millis(50)).await
                }
                // The cluster is still being made.
                Err(ProposeFault::Refused(Refusal::ClusterMissing)) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(ProposeFault::Refused(refusal)) => return Err(refusal),
            }
        }
    }
}
