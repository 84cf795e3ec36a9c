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

type Waiting = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Result<Vec<u8>, String>>>>>>;

/// The calling side of a connection; cheap to clone. When the connection dies, all its calls fail at once.
#[derive(Clone)]
pub struct Caller {
    next_id: Arc<AtomicU64>,
    outgoing: mpsc::Sender<Bytes>,
    waiting: Waiting,
}

impl Caller {
    /// Starts to call on a channel.
    pub fn new<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(channel: Channel<S>) -> Self {
        let (sink, stream) = channel.into_framed().split();
        let (outgoing, queue) = mpsc::channel(QUEUE_MAX);
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        tokio::spawn(write_all(sink, queue));
        tokio::spawn(read_responses(stream, waiting.clone()));
        Self {
            next_id: Arc::default(),
            outgoing,
            waiting,
        }
    }

    /// Whether the connection has died.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.outgoing.is_closed() || lock(&self.waiting).is_none()
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
        let (sender, receiver) = oneshot::channel();
        lock(&self.waiting)
            .as_mut()
            .ok_or(LinkFault::Closed)?
            .insert(id, sender);
        let request = postcard::to_stdvec(&Request { id, method, body })?;
        let exchange = async {
            let sent = self.outgoing.send(request.into()).await;
            sent.map_err(|_| LinkFault::Closed)?;
            receiver.await.map_err(|_| LinkFault::Closed)
        };
        let answer = tokio::time::timeout(deadline, exchange).await;
        if let Some(waiting) = lock(&self.waiting).as_mut() {
            waiting.remove(&id);
        }
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        answer
            .map_err(|_| LinkFault::Deadline(deadline_ms))??
            .map_err(LinkFault::Remote)
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
    waiting: Waiting,
) {
    while let Some(Ok(bytes)) = stream.next().await {
        let Ok(response) = postcard::from_bytes::<Response>(&bytes) else {
            break;
        };
        let sender = lock(&waiting)
            .as_mut()
            .and_then(|waiting| waiting.remove(&response.id));
        if let Some(sender) = sender {
            // A caller whose deadline has passed does not listen any more.
            drop(sender.send(response.body));
        }
    }
    // Dropping the senders fails every call that still waits.
    lock(&waiting).take();
}

/// Answers calls on a channel until it ends; each runs as a task of its own.
pub async fn serve<S, F, Fut>(channel: Channel<S>, answer: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(u8, Vec<u8>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Vec<u8>, String>> + Send + 'static,
{
    let (sink, mut stream) = channel.into_framed().split();
    let (outgoing, queue) = mpsc::channel(QUEUE_MAX);
    let writer = tokio::spawn(write_all(sink, queue));
    let calls = Arc::new(tokio::sync::Semaphore::new(CALLS_MAX));
    while let Some(Ok(bytes)) = stream.next().await {
        let Ok(request) = postcard::from_bytes::<Request>(&bytes) else {
            tracing::warn!("a call cannot be read, closing the connection");
            break;
        };
        let Ok(turn) = calls.clone().acquire_owned().await else {
            break;
        };
        let (outgoing, future) = (outgoing.clone(), answer(request.method, request.body));
        tokio::spawn(async move {
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
