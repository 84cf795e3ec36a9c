//! Calls on one connection: many at once, each with a deadline, answered in any order.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt, poll};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, unconstrained};
use tokio::time::Instant;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use crate::fault::LinkFault;
use crate::frame::Channel;

/// A head is no longer than this: two numbers and a byte.
const HEAD_MAX: usize = 12;
/// Messages that wait to be written, at most.
const QUEUE_MAX: usize = 256;
/// Calls that one connection may have under way at the serving side.
const CALLS_MAX: usize = 1_024;

/// What stands before a call's body.
#[derive(Serialize, Deserialize)]
struct RequestHead {
    id: u64,
    method: u8,
}

/// What stands before an answer's body, or before the words of a failure.
#[derive(Serialize, Deserialize)]
struct ResponseHead {
    id: u64,
    failed: bool,
}

/// An answer's body, or the words of a failure.
type Answer = Result<Bytes, String>;

/// One message: a head, and the body as it is, so that it is not copied byte by byte.
fn message<H: Serialize>(head: &H, body: &[u8]) -> Result<Bytes, LinkFault> {
    let mut bytes = Vec::with_capacity(HEAD_MAX + body.len());
    bytes = postcard::to_extend(head, bytes)?;
    bytes.extend_from_slice(body);
    Ok(bytes.into())
}

/// The head of a message and the body after it.
fn split<H: DeserializeOwned>(message: Bytes) -> Result<(H, Bytes), LinkFault> {
    let (head, body) = postcard::take_from_bytes(&message)?;
    let body = message.slice_ref(body);
    Ok((head, body))
}

/// Calls that wait for their answers.
#[derive(Default)]
struct Waiting {
    calls: HashMap<u64, oneshot::Sender<Answer>>,
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
        body: &[u8],
        deadline: Duration,
    ) -> Result<Bytes, LinkFault> {
        let exchange = async { self.begin(method, body).await?.answer().await };
        within(deadline, exchange).await
    }

    /// Sends a call of `method`. Calls that are sent one after the other begin in that order at the other side too.
    ///
    /// # Errors
    /// A dead connection.
    pub async fn begin(&self, method: u8, body: &[u8]) -> Result<Begun, LinkFault> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let begun = Begun {
            answer: self.expect_answer(id)?,
            _forget: Forget {
                waiting: self.waiting.clone(),
                id,
            },
        };
        let request = message(&RequestHead { id, method }, body)?;
        let sent = self.outgoing.send(request).await;
        sent.map_err(|_| LinkFault::Closed)?;
        Ok(begun)
    }

    fn expect_answer(&self, id: u64) -> Result<oneshot::Receiver<Answer>, LinkFault> {
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

/// A call that is sent. Dropping it gives the answer up.
pub struct Begun {
    answer: oneshot::Receiver<Answer>,
    _forget: Forget,
}

impl Begun {
    /// Waits for the answer.
    ///
    /// # Errors
    /// The connection died, or the other side's failure as text.
    pub async fn answer(self) -> Result<Bytes, LinkFault> {
        let answer = self.answer.await.map_err(|_| LinkFault::Closed)?;
        answer.map_err(LinkFault::Remote)
    }
}

/// Forgets a call when nobody waits for its answer any more.
struct Forget {
    waiting: Arc<Mutex<Waiting>>,
    id: u64,
}

impl Drop for Forget {
    fn drop(&mut self) {
        lock(&self.waiting).calls.remove(&self.id);
    }
}

/// Gives `exchange` so much time.
///
/// # Errors
/// Its own, or that the time is over.
pub async fn within<T>(
    deadline: Duration,
    exchange: impl Future<Output = Result<T, LinkFault>>,
) -> Result<T, LinkFault> {
    let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
    let answer = tokio::time::timeout(deadline, exchange).await;
    answer.unwrap_or(Err(LinkFault::Deadline(deadline_ms)))
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
        let Ok((head, body)) = split::<ResponseHead>(bytes.freeze()) else {
            break;
        };
        let answer = if head.failed {
            Err(String::from_utf8_lossy(&body).into_owned())
        } else {
            Ok(body)
        };
        if let Some(sender) = answered(waiting, head.id) {
            // A caller whose deadline has passed does not listen any more.
            drop(sender.send(answer));
        }
    }
}

/// Who waits for this answer, if anybody still does.
fn answered(waiting: &Mutex<Waiting>, id: u64) -> Option<oneshot::Sender<Answer>> {
    let mut waiting = lock(waiting);
    let sender = waiting.calls.remove(&id);
    let others_wait = !waiting.calls.is_empty();
    waiting.unanswered_since = others_wait.then(Instant::now);
    sender
}

/// Answers calls on a channel until it ends. They begin in the order in which they were sent; what is not answered at
/// once goes on as a task of its own, and ends with the connection at latest.
pub async fn serve<S, F, Fut>(channel: Channel<S>, answer: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(u8, Bytes) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Vec<u8>, String>> + Send + 'static,
{
    let (sink, mut stream) = channel.into_framed().split();
    let (outgoing, queue) = mpsc::channel(QUEUE_MAX);
    let writer = tokio::spawn(write_all(sink, queue));
    let turns = Arc::new(tokio::sync::Semaphore::new(CALLS_MAX));
    let mut calls = JoinSet::new();
    while let Some(Ok(bytes)) = stream.next().await {
        let Ok((head, body)) = split::<RequestHead>(bytes.freeze()) else {
            tracing::warn!("a call cannot be read, closing the connection");
            break;
        };
        let Ok(turn) = turns.clone().acquire_owned().await else {
            break;
        };
        let (outgoing, future) = (outgoing.clone(), answer(head.method, body));
        while calls.try_join_next().is_some() {}
        let mut call = Box::pin(async move {
            let answer = future.await;
            drop(turn);
            let (id, failed) = (head.id, answer.is_err());
            let body = answer.unwrap_or_else(String::into_bytes);
            if let Ok(response) = message(&ResponseHead { id, failed }, &body) {
                // The caller is gone if this fails.
                drop(outgoing.send(response).await);
            }
        });
        // Without the budget of this task, which could put off one call and not the next.
        if poll!(unconstrained(&mut call)).is_pending() {
            calls.spawn(call);
        }
    }
    writer.abort();
}
