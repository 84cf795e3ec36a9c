//! Calls to other masters, in the form in which openraft makes them.

mod sparing;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use docklet_link::LinkFault;
use docklet_link::rpc::within;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use openraft::entry::RaftEntry;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};

use tokio::time::Instant;

use self::sparing::{Patience, sparing};
use crate::links::{Lines, Links};
use crate::snapshot::{self, Packing};
use crate::store::Frozen;
use crate::types::{LogId, MasterAddress, Snapshot, Types, Vote};
use crate::wire;

/// Entries on their way may take this long. openraft gives a heartbeat its own interval, and would give entries no
/// more: a disk that syncs slower than that would never get any acknowledged.
const ENTRIES_DEADLINE: Duration = Duration::from_secs(1);

/// Requests with entries that are under way to one master at a time.
const IN_FLIGHT_MAX: usize = 16;

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

/// What a master said to some entries, and whether more may follow.
type Said = (AppendAnswer, bool);

type AppendAnswer = Result<StreamAppendResult<Types>, RPCError<Types>>;

/// Sends entries. What comes back ends with the answer.
async fn begin_append(
    lines: Arc<Lines>,
    rpc: AppendEntriesRequest<Types>,
    deadline: Duration,
) -> impl Future<Output = Said> {
    let until = Instant::now() + deadline;
    let previous = rpc.prev_log_id;
    let last = rpc.entries.last().map(RaftEntry::log_id).or(previous);
    let begun = within(deadline, lines.entries.begin(wire::APPEND, &rpc)).await;
    async move {
        let left = until.saturating_duration_since(Instant::now());
        let answer = within(left, async { begun?.answer().await }).await;
        let decoded = answer.and_then(|bytes| Ok(postcard::from_bytes(&bytes)?));
        said(decoded, previous, last)
    }
}

fn said(
    answer: Result<AppendEntriesResponse<Types>, LinkFault>,
    previous: Option<LogId>,
    last: Option<LogId>,
) -> Said {
    match answer {
        // Nothing stands before the first entry that could differ.
        Ok(AppendEntriesResponse::Conflict) if previous.is_none() => {
            let fault = LinkFault::Remote("a conflict before the first entry".to_owned());
            (Err(rpc_error(fault)), false)
        }
        Ok(response) => {
            let result = response.into_stream_result(previous, last);
            let all = result.as_ref().is_ok_and(|upto| *upto == last);
            (Ok(result), all)
        }
        Err(fault) => (Err(rpc_error(fault)), false),
    }
}

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = Frozen;

    /// While one request is synced there, the next are under way.
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, AppendAnswer>, RPCError<Types>>>
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + Send + Unpin + 'static,
    {
        let deadline = ENTRIES_DEADLINE.max(option.hard_ttl());
        let lines = self.lines.clone();
        let begun = sparing(input, Patience::USUAL)
            .then(move |rpc| begin_append(lines.clone(), rpc, deadline));
        let answers = Box::pin(begun.buffered(IN_FLIGHT_MAX));
        // The stream ends with the first answer that is not: all of it is there.
        let until_failed = stream::unfold(Some(answers), |answers| async move {
            let mut answers = answers?;
            let (answer, goes_on) = answers.next().await?;
            Some((answer, goes_on.then_some(answers)))
        });
        Box::pin(std::future::ready(Ok(until_failed.boxed())))
    }

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
