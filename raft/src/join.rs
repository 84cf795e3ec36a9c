//! Joining: a machine with a token gets an identity and a certificate. And the doors of the cluster listener that
//! belong to this room.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use docklet_control::id::{LogIndex, RequestId, SecretHash};
use docklet_control::model::receipt::Subject;
use docklet_control::model::{ClusterVersion, WorkerCapacity};
use docklet_control::{Actor, Command, Refusal, version};
use docklet_link::authority::{Request, SigningRequest};
use docklet_link::identity::{Identity, PeerRole};
use docklet_link::listener::{Handler, handler};
use docklet_link::{Authority, Credentials, JoinSecret, LinkFault, Purpose, dial, rpc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::fault::{ProposeFault, RaftFault};
use crate::master::Master;
use crate::store::Frozen;
use crate::wire::{self, decode, encode};
use crate::{client_door, drill, duties, types::Snapshot};

/// Joining waits this long for a quorum.
const JOIN_DEADLINE: Duration = Duration::from_secs(10);

/// What wants to join.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum JoinKind {
    Master {
        name: String,
        cluster_addr: String,
        public_addr: String,
        /// The newest version of a cluster that its program knows.
        knows: ClusterVersion,
    },
    Agent {
        name: String,
        data_addr: String,
        underlay: IpAddr,
        capacity: WorkerCapacity,
    },
}

/// First message on the join door.
#[derive(Serialize, Deserialize)]
pub struct JoinRequest {
    secret: [u8; 32],
    csr_pem: String,
    kind: JoinKind,
}

/// What a machine gets when it has joined.
#[derive(Serialize, Deserialize)]
pub struct JoinAnswer {
    /// Its number: a master's or a worker's.
    pub id: u64,
    pub cluster: [u8; 16],
    pub certificate_pem: String,
    pub ca_pem: String,
    /// For masters only.
    pub ca_key_pem: Option<String>,
    /// Cluster listeners of all masters.
    pub masters: Vec<String>,
    /// The entry that let it join.
    pub index: LogIndex,
}

/// Redeems a token and stores what came of it in `dir`.
///
/// # Errors
/// A refusal with its reason, or no master in reach.
pub async fn join(
    token: &JoinSecret,
    kind: JoinKind,
    dir: &Path,
) -> Result<JoinAnswer, ProposeFault> {
    let signing = SigningRequest::new().map_err(unknown)?;
    let request = JoinRequest {
        secret: token.secret,
        csr_pem: signing.csr_pem,
        kind,
    };
    let mut last = RaftFault::Raft("the token names no address".to_owned());
    for addr in &token.addrs {
        match ask(addr, token, &request).await {
            Ok(answer) => {
                let answer = answer?;
                let key = answer.ca_key_pem.as_deref();
                let (ca, own) = (&answer.ca_pem, &answer.certificate_pem);
                Credentials::store(dir, ca, own, &signing.key_pem, key).map_err(unknown)?;
                return Ok(answer);
            }
            Err(fault) => last = fault.into(),
        }
    }
    Err(ProposeFault::Unknown(last))
}

fn unknown(fault: LinkFault) -> ProposeFault {
    ProposeFault::Unknown(fault.into())
}

async fn ask(
    addr: &str,
    token: &JoinSecret,
    request: &JoinRequest,
) -> Result<Result<JoinAnswer, Refusal>, LinkFault> {
    let mut channel = dial::dial_join(addr, token.ca_fingerprint).await?;
    channel.send(request).await?;
    let answer: Result<Result<JoinAnswer, Refusal>, String> =
        tokio::time::timeout(JOIN_DEADLINE, channel.recv())
            .await
            .map_err(|_| LinkFault::Deadline(10_000))??;
    answer.map_err(LinkFault::Remote)
}

impl Master {
    /// This room's doors of the cluster listener: Raft's own, and the one for joining.
    #[must_use]
    pub fn doors(&self, authority: Authority) -> HashMap<Purpose, Handler> {
        let (peers, joining) = (self.clone(), self.clone());
        let authority = Arc::new(authority);
        let raft = handler(move |_, channel| {
            let master = peers.clone();
            rpc::serve(channel, move |method, body| {
                answer(master.clone(), method, body)
            })
        });
        let join = handler(move |_, mut channel| {
            let (master, authority) = (joining.clone(), authority.clone());
            async move {
                let request = channel.recv::<JoinRequest>();
                let Ok(Ok(request)) = tokio::time::timeout(JOIN_DEADLINE, request).await else {
                    return;
                };
                let answer = master.admit(&authority, request).await;
                if let Err(fault) = channel.send(&answer).await {
                    tracing::warn!(%fault, "the answer to a joining machine was lost");
                }
            }
        });
        HashMap::from([
            (Purpose::Raft, raft),
            (Purpose::Join, join),
            (Purpose::Standing, self.standing_door()),
        ])
    }

    /// Answers one call of another master or of a client, as this room's door does.
    ///
    /// # Errors
    /// What the caller is to hear instead of an answer.
    pub async fn answer(&self, method: u8, body: Bytes) -> Result<Vec<u8>, String> {
        answer(self.clone(), method, body).await
    }

    /// Who would be of no use as a master keeps its token.
    fn knows_enough(&self, kind: &JoinKind) -> Result<(), Refusal> {
        match kind {
            JoinKind::Master { knows, .. } => version::admit(&self.local().state, *knows),
            JoinKind::Agent { .. } => Ok(()),
        }
    }

    async fn admit(
        &self,
        authority: &Authority,
        ask: JoinRequest,
    ) -> Result<Result<JoinAnswer, Refusal>, String> {
        if let Err(refusal) = self.knows_enough(&ask.kind) {
            return Ok(Err(refusal));
        }
        // Who cannot be given a certificate keeps its token.
        Request::read(&ask.csr_pem).map_err(|fault| fault.to_string())?;
        let secret = SecretHash(Sha256::digest(ask.secret).into());
        let request = request_of(&ask);
        let command = join_command(secret, ask.kind);
        let actor = Actor::Door(self.id());
        let receipt = match self.propose(actor, request, command, JOIN_DEADLINE).await {
            Ok(receipt) => receipt,
            Err(ProposeFault::Refused(refusal)) => return Ok(Err(refusal)),
            Err(fault @ ProposeFault::Unknown(_)) => return Err(fault.to_string()),
        };
        let (role, id) = match receipt.accepted() {
            Ok(Subject::Master(master)) => (PeerRole::Master, master.id.0),
            Ok(Subject::Worker(worker)) => (PeerRole::Agent, worker.id.0),
            Ok(other) => return Err(format!("joining made {other:?}")),
            Err(refusal) => return Ok(Err(refusal.clone())),
        };
        let frozen = self.wait_applied(receipt.index, JOIN_DEADLINE).await;
        let frozen = frozen.map_err(|fault| fault.to_string())?;
        let identity = Identity {
            role,
            id,
            cluster: self.inner.identity.cluster,
        };
        let certificate = authority.sign_numbered(&ask.csr_pem, identity, receipt.index.0);
        Ok(Ok(JoinAnswer {
            id,
            cluster: identity.cluster,
            certificate_pem: certificate.map_err(|fault| fault.to_string())?,
            ca_pem: authority.certificate_pem().to_owned(),
            ca_key_pem: (role == PeerRole::Master).then(|| authority.key_pem().to_owned()),
            masters: cluster_addrs(&frozen),
            index: receipt.index,
        }))
    }
}

/// A machine that asks again, as its answer was lost, has the same secret and key: it gets the same place, and the
/// token is not spent twice. Nobody else can ask for that place.
fn request_of(ask: &JoinRequest) -> RequestId {
    let mut hasher = Sha256::new();
    hasher.update(b"docklet join ");
    hasher.update(ask.secret);
    hasher.update(ask.csr_pem.as_bytes());
    let digest: [u8; 32] = hasher.finalize().into();
    let half = std::array::from_fn(|byte| digest[byte]);
    RequestId(u128::from_be_bytes(half))
}

fn cluster_addrs(frozen: &Frozen) -> Vec<String> {
    let masters = frozen.state.masters.values();
    masters.map(|master| master.cluster_addr.clone()).collect()
}

fn join_command(secret_hash: SecretHash, kind: JoinKind) -> Command {
    match kind {
        JoinKind::Master {
            name,
            cluster_addr,
            public_addr,
            knows: _,
        } => Command::JoinMaster {
            secret_hash,
            name,
            cluster_addr,
            public_addr,
        },
        JoinKind::Agent {
            name,
            data_addr,
            underlay,
            capacity,
        } => Command::JoinWorker {
            secret_hash,
            name,
            data_addr,
            underlay,
            capacity,
        },
    }
}

/// Answers one call of another master.
async fn answer(master: Master, method: u8, body: Bytes) -> Result<Vec<u8>, String> {
    let raft = &master.inner.raft;
    let text = |error: &dyn std::fmt::Display| error.to_string();
    match method {
        wire::APPEND => {
            let appended = raft.append_entries(decode(&body)?).await;
            encode(&appended.map_err(|error| text(&error))?)
        }
        wire::VOTE => encode(
            &raft
                .vote(decode(&body)?)
                .await
                .map_err(|error| text(&error))?,
        ),
        wire::PRE_VOTE => {
            let granted = raft.pre_vote(decode(&body)?).await;
            encode(&granted.map_err(|error| text(&error))?)
        }
        wire::TRANSFER => {
            let handled = raft.handle_transfer_leader(decode(&body)?).await;
            encode(&handled.map_err(|error| text(&error))?)
        }
        wire::SNAPSHOT_BEGIN => encode(&master.inner.arriving.begin(decode(&body)?)),
        wire::SNAPSHOT_ROWS => encode(&master.inner.arriving.take(decode(&body)?)?),
        wire::SNAPSHOT_END => {
            let end: wire::SnapshotEnd = decode(&body)?;
            let snapshot = Snapshot {
                meta: end.meta,
                snapshot: master.inner.arriving.end(end.id)?,
            };
            let installed = raft.install_full_snapshot(end.vote, snapshot).await;
            encode(&installed.map_err(|error| text(&error))?)
        }
        wire::PROPOSE => {
            let receipt = master.propose_here(&decode(&body)?).await;
            encode(&receipt.map_err(|fault| text(&fault))?)
        }
        wire::READ_INDEX => {
            let index = master.read_index_here().await;
            encode(&wire::ReadIndex(index.map_err(|fault| text(&fault))?))
        }
        wire::HEARD => {
            duties::take_heard(&master, decode(&body)?);
            encode(&())
        }
        wire::GRANT => {
            let wire::Grant(workers) = decode(&body)?;
            encode(&master.grant(&workers).await.map_err(|fault| text(&fault))?)
        }
        wire::PROPOSE_THROUGH => encode(&client_door::propose(&master, decode(&body)?).await),
        wire::READ_USER => encode(&client_door::read_user(&master, decode(&body)?).await?),
        wire::STATUS => encode(&master.status()),
        wire::APPLIED => encode(&master.local().index),
        wire::PING => encode(&()),
        wire::HASHES => encode(&master.take_hashes(&decode(&body)?)),
        wire::FETCH => encode(&master.give(decode(&body)?).await?),
        wire::GROUP => encode(&master.observe_here().await),
        wire::TRAIL => encode(&master.give_trail(decode(&body)?).await?),
        wire::FACTS => encode(&master.facts()),
        wire::MACHINE => encode(&master.machine()),
        wire::REMOVE_MASTER => {
            let removed = master.remove_here(&decode(&body)?).await;
            encode(&removed.map_err(|fault| text(&fault))?)
        }
        wire::DRAIN => {
            let drained = master.drain_here(decode(&body)?).await;
            encode(&drained.map_err(|fault| text(&fault))?)
        }
        wire::TRANSFER_TO => {
            let transferred = master.transfer_here(decode(&body)?).await;
            encode(&transferred.map_err(|fault| text(&fault))?)
        }
        wire::DRILL_GROUP | wire::DRILL_PULSE | wire::DRILL_CHECK => {
            drill::answer(&master, method, &body).await
        }
        unknown => Err(format!("no call has the number {unknown}")),
    }
}
