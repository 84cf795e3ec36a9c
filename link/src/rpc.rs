//! Calls on one connection: many at once, each with a deadline, answered in any order.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use crate::fault::LinkFault;
use crate::frame::Channel;

/// Messages that wait to be written, at most.
const QUEUE_MAX: usize = 256;
/// Calls that one connection may have under way at the serving side.
const CALLS_MAX: usize = 1_024;

#[derive(Serialize, Deserialize)]
struct Request {
    id: u64,
    method: u8,
    body: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Response {
    id: u64,
    body: Result<Vec<u8>, String>,
}

/// Calls that wait for their answers.
#[derive(Default)]
struct Waiting {
    calls: HashMap<u64, oneshot::Sender<Result<Vec<u8>, String>>>,
    /// Since when something was asked and nothing at all answered, also if the asker has given up meanwhile.
    unanswered_since: Option<Instant>,
    /// The connection has ended.
    dead: bool,
}

/// The calling side of a connection; cheap to clone. When the connection dies, all its calls fail at once.
#[derive(Clone)]
pub struct Caller {
    next_id: Arc<AtomicU64>,
    outgoing: mpsc::Sender<Bytes>,
    waiting: Arc<Mutex<Waiting>>,
}

impl Caller {
    /// Starts to call on a channel.
    pub fn new<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(channel: Channel<S>) -> Self {
        let (sink, stream) = channel.into_framed().split();
        let (outgoing, queue) = mpsc::channel(QUEUE_MAX);
        let waiting = Arc::<Mutex<Waiting>>::default();
        let answers = waiting.clone();
        tokio::spawn(async move {
            // The connection closes when it broke, and when nobody can call on it any more.
            tokio::select! {
                () = write_all(sink, queue) => {}
                () = read_responses(stream, &answers) => {}
            }
            // Dropping the senders fails every call that still waits.
            let mut answers = lock(&answers);
            answers.calls.clear();
            answers.dead = true;
        });
        Self {
            next_id: Arc::default(),
            outgoing,
            waiting,
        }
    }

    /// Whether the connection has died.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.outgoing.is_closed() || lock(&self.waiting).dead
    }

    /// For how long something has been asked and nothing at all answered.
    #[must_use]
    pub fn unanswered_for(&self) -> Duration {
        let since = lock(&self.waiting).unanswered_since;
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Calls `method` and waits for its answer.
    ///
    /// # Errors
    /// No answer within the deadline, a dead connection, or the other side's failure as text.
    pub async fn call(
        &self,
        method: u8,
        body: Vec<u8>,
        deadline: Duration,
    ) -> Result<Vec<u8>, LinkFault> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let receiver = self.expect_answer(id)?;
        // Also if the caller gives up before.
        let _forget = Forget { caller: self, id };
        let request = postcard::to_stdvec(&Request { id, method, body })?;
        let exchange = async {
            let sent = self.outgoing.send(request.into()).await;
            sent.map_err(|_| LinkFault::Closed)?;
            receiver.await.map_err(|_| LinkFault::Closed)
        };
        let answer = tokio::time::timeout(deadline, exchange).await;
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        answer
            .map_err(|_| LinkFault::Deadline(deadline_ms))??
            .map_err(LinkFault::Remote)
    }

    fn expect_answer(
        &self,
        id: u64,
    ) -> Result<oneshot::Receiver<Result<Vec<u8>, String>>, LinkFault> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = lock(&self.waiting);
        if waiting.dead {
            return Err(LinkFault::Closed);
        }
        waiting.calls.insert(id, sender);
        waiting.unanswered_since.get_or_insert_with(Instant::now);
        Ok(receiver)
    }
}

/// Forgets a call when nobody waits for its answer any more.
struct Forget<'c> {
    caller: &'c Caller,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        lock(&self.caller.waiting).calls.remove(&self.id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn write_all<S: AsyncWrite + Unpin>(
    mut sink: SplitSink<Framed<S, LengthDelimitedCodec>, Bytes>,
    mut queue: mpsc::Receiver<Bytes>,
) where
    Framed<S, LengthDelimitedCodec>: futures_util::Sink<Bytes, Error = std::io::Error>,
{
    while let Some(first) = queue.recv().await {
        // Whatever else waits goes out in the same flush.
        let mut written = sink.feed(first).await;
        while let (Ok(()), Ok(next)) = (&written, queue.try_recv()) {
            written = sink.feed(next).await;
        }
        if written.is_err() || sink.flush().await.is_err() {
            return;
        }
    }
}

async fn read_responses<S: AsyncRead + Unpin>(
    mut stream: SplitStream<Framed<S, LengthDelimitedCodec>>,
    waiting: &Mutex<Waiting>,
) {
    while let Some(Ok(bytes)) = stream.next().await {
        let Ok(response) = postcard::from_bytes::<Response>(&bytes) else {
            break;
        };
        let sender = answered(waiting, response.id);
        if let Some(sender) = sender {
            // A caller whose deadline has passed does not listen any more.
            drop(sender.send(response.body));
        }
    }
}

/// Who waits for this answer, if anybody still does.
fn answered(waiting: &Mutex<Waiting>, id: u64) -> Option<oneshot::Sender<Result<Vec<u8>, String>>> {
    let mut waiting = lock(waiting);
    let sender = waiting.calls.remove(&id);
    let others_wait = !waiting.calls.is_empty();
    waiting.unanswered_since = others_wait.then(Instant::now);
    sender
}

/// Answers calls on a channel until it ends; each runs as a task of its own, and ends with the connection at latest.
pub async fn serve<S, F, Fut>(channel: Channel<S>, answer: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(u8, Vec<u8>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Vec<u8>, String>> + Send + 'static,
{
    let (sink, mut stream) = channel.into_framed().split();
    let (outgoing, queue) = mpsc::channel(QUEUE_MAX);
    let writer = tokio::spawn(write_all(sink, queue));
    let turns = Arc::new(tokio::sync::Semaphore::new(CALLS_MAX));
    let mut calls = JoinSet::new();
    while let Some(Ok(bytes)) = stream.next().await {
        let Ok(request) = postcard::from_bytes::<Request>(&bytes) else {
            tracing::warn!("a call cannot be read, closing the connection");
            break;
        };
        let Ok(turn) = turns.clone().acquire_owned().await else {
            break;
        };
        let (outgoing, future) = (outgoing.clone(), answer(request.method, request.body));
        while calls.try_join_next().is_some() {}
        calls.spawn(async move {
            let body = future.await;
            drop(turn);
            let response = Response {
                id: request.id,
                body,
            };
            if let Ok(bytes) = postcard::to_stdvec(&response) {
                // The caller is gone if this fails.
                drop(outgoing.send(bytes.into()).await);
            }
        });
    }
    writer.abort();
}
