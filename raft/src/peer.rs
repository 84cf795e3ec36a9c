//! Calls to other masters, in the form in which openraft makes them. Heartbeats, entries and snapshots have a
//! connection each, so that none waits behind another.

use std::future::Future;
use std::time::Duration;

use docklet_link::identity::{Identity, PeerRole};
use docklet_link::rpc::Caller;
use docklet_link::tls::Expect;
use docklet_link::{Dialer, LinkFault, Purpose};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use crate::snapshot;
use crate::store::Frozen;
use crate::types::{MasterAddress, Snapshot, Types, Vote};
use crate::wire;

/// One connection to one master, dialled when first needed and again when it broke.
pub struct Peer {
    dialer: Dialer,
    expect: Expect,
    addr: String,
    caller: Mutex<Option<Caller>>,
}

impl Peer {
    /// A peer that is not dialled yet.
    pub fn new(dialer: Dialer, own: Identity, id: u64, addr: String) -> Self {
        let expect = Expect::Exactly(Identity {
            role: PeerRole::Master,
            id,
            cluster: own.cluster,
        });
        Self {
            dialer,
            expect,
            addr,
            caller: Mutex::new(None),
        }
    }

    /// Whichever master of the own cluster is at this address.
    pub fn any(dialer: Dialer, addr: String) -> Self {
        Self {
            dialer,
            expect: Expect::Role(PeerRole::Master),
            addr,
            caller: Mutex::new(None),
        }
    }

    /// Calls `method`; the deadline covers dialling too.
    pub async fn call<A: Serialize, R: DeserializeOwned>(
        &self,
        method: u8,
        body: &A,
        deadline: Duration,
    ) -> Result<R, LinkFault> {
        let body = postcard::to_stdvec(body)?;
        let exchange = async {
            let caller = self.caller().await?;
            caller.call(method, body, deadline).await
        };
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        let bytes = tokio::time::timeout(deadline, exchange)
            .await
            .map_err(|_| LinkFault::Deadline(deadline_ms))??;
        Ok(postcard::from_bytes(&bytes)?)
    }

    async fn caller(&self) -> Result<Caller, LinkFault> {
        let mut slot = self.caller.lock().await;
        if let Some(caller) = slot.as_ref().filter(|caller| !caller.is_dead()) {
            return Ok(caller.clone());
        }
        let channel = self
            .dialer
            .dial(&self.addr, self.expect, Purpose::Raft)
            .await?;
        Ok(slot.insert(Caller::new(channel)).clone())
    }
}

/// Makes peers for openraft.
pub struct Peers {
    pub dialer: Dialer,
    pub own: Identity,
}

impl RaftNetworkFactory<Types> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, address: &MasterAddress) -> Peer {
        Peer::new(self.dialer.clone(), self.own, target, address.0.clone())
    }
}

/// Where the connection cannot be made, openraft should wait before it tries again.
fn rpc_error(fault: LinkFault) -> RPCError<Types> {
    let unreachable = matches!(
        fault,
        LinkFault::Connect { .. } | LinkFault::Handshake { .. }
    );
    if unreachable {
        RPCError::Unreachable(Unreachable::new(&fault))
    } else {
        RPCError::Network(NetworkError::new(&fault))
    }
}

fn streaming_error(fault: LinkFault) -> StreamingError<Types> {
    StreamingError::Unreachable(Unreachable::new(&fault))
}

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = Frozen;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        self.call(wire::APPEND, &rpc, option.hard_ttl())
            .await
            .map_err(rpc_error)
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.call(wire::VOTE, &rpc, option.hard_ttl())
            .await
            .map_err(rpc_error)
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.call(wire::PRE_VOTE, &rpc, option.hard_ttl())
            .await
            .map_err(rpc_error)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        sent: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = snapshot::send(self, vote, sent) => sent.map_err(streaming_error),
        }
    }

    async fn transfer_leader(
        &mut self,
        rpc: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        self.call(wire::TRANSFER, &rpc, option.hard_ttl())
            .await
            .map_err(rpc_error)
    }
}
