//! Calls to other masters, in the form in which openraft makes them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use docklet_link::LinkFault;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};

use crate::links::{Lines, Links};
use crate::snapshot::{self, Packing};
use crate::store::Frozen;
use crate::types::{MasterAddress, Snapshot, Types, Vote};
use crate::wire;

/// Entries on their way may take this long. openraft gives a heartbeat its own interval, and would give entries no
/// more: a disk that syncs slower than that would never get any acknowledged.
const ENTRIES_DEADLINE: Duration = Duration::from_secs(1);

/// What openraft sees of one master.
pub struct Peer {
    lines: Arc<Lines>,
    packing: Packing,
}

/// Makes peers for openraft.
pub struct Peers {
    pub links: Links,
    pub packing: Packing,
}

impl RaftNetworkFactory<Types> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, address: &MasterAddress) -> Peer {
        Peer {
            lines: self.links.to(target, address),
            packing: self.packing,
        }
    }
}

/// Where the connection cannot be made, openraft should wait before it tries again.
fn rpc_error(fault: LinkFault) -> RPCError<Types> {
    let unreachable = matches!(fault, LinkFault::Unreachable { .. } | LinkFault::Closed);
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
        let answer = if rpc.entries.is_empty() {
            let deadline = option.soft_ttl();
            self.lines.beats.call(wire::APPEND, &rpc, deadline).await
        } else {
            let deadline = ENTRIES_DEADLINE.max(option.hard_ttl());
            self.lines.entries.call(wire::APPEND, &rpc, deadline).await
        };
        answer.map_err(rpc_error)
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let answer = self.lines.votes.call(wire::VOTE, &rpc, option.soft_ttl());
        answer.await.map_err(rpc_error)
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let answer = self
            .lines
            .votes
            .call(wire::PRE_VOTE, &rpc, option.soft_ttl());
        answer.await.map_err(rpc_error)
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
            sent = snapshot::send(&self.lines.snapshots, vote, sent, self.packing) => sent.map_err(streaming_error),
        }
    }

    async fn transfer_leader(
        &mut self,
        rpc: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        let answer = self
            .lines
            .votes
            .call(wire::TRANSFER, &rpc, option.soft_ttl());
        answer.await.map_err(rpc_error)
    }
}
