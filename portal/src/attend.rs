//! Connections of the public listener, from before TLS to their end: how many there are of them is bounded, and one on which
//! nobody asks for anything, or takes what was asked for, is closed in time.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use axum_server::accept::Accept;
use hyper::Request;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};
use tower::Service;

use crate::bounds::Holdings;
use crate::places::Place;

/// By when whoever connects does something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// The first request has come, with all headers.
    pub(crate) first: Duration,
    /// Another one has come, after the last was answered.
    pub(crate) next: Duration,
    /// Something of an answer was taken.
    pub(crate) taken: Duration,
}

/// What is known of a connection; clones are of the same one.
#[derive(Clone)]
pub(crate) struct Attention(Arc<Mutex<State>>);

struct State {
    /// Requests that are being answered.
    asked: u32,
    /// What lasts longer than its request, and is counted elsewhere.
    kept: u32,
    has_asked: bool,
    idle_since: Instant,
}

impl Attention {
    fn begin() -> Self {
        Self(Arc::new(Mutex::new(State {
            asked: 0,
            kept: 0,
            has_asked: false,
            idle_since: Instant::now(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self) -> Asked {
        let mut state = self.lock();
        state.asked += 1;
        state.has_asked = true;
        Asked(self.clone())
    }

    /// Keeps the connection open while nobody asks.
    pub(crate) fn keep(&self) -> Kept {
        self.lock().kept += 1;
        Kept(self.clone())
    }

    /// How long it may go on like this; none if no longer.
    fn left(&self, deadlines: Deadlines) -> Option<Duration> {
        let state = self.lock();
        let most = if state.has_asked {
            deadlines.next
        } else {
            deadlines.first
        };
        if state.asked + state.kept > 0 {
            return Some(most);
        }
        let left = most.checked_sub(state.idle_since.elapsed())?;
        (!left.is_zero()).then_some(left)
    }
}

/// A request that is being answered.
struct Asked(Attention);

impl Drop for Asked {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.asked -= 1;
        state.idle_since = Instant::now();
    }
}

/// What keeps a connection.
pub(crate) struct Kept(Attention);

impl Drop for Kept {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.kept -= 1;
        state.idle_since = Instant::now();
    }
}

/// Accepts by another acceptor, TLS and all, for as many as there is room for.
#[derive(Clone)]
pub(crate) struct Attending<A> {
    pub(crate) inner: A,
    pub(crate) holdings: Holdings,
    pub(crate) deadlines: Deadlines,
}

type Accepting<I, S> = Pin<Box<dyn Future<Output = io::Result<(Attended<I>, Counted<S>)>> + Send>>;

impl<A, S> Accept<TcpStream, S> for Attending<A>
where
    A: Accept<TcpStream, S>,
    A::Stream: Send + 'static,
    A::Service: Send + 'static,
    A::Future: Send + 'static,
{
    type Stream = Attended<A::Stream>;
    type Service = Counted<A::Service>;
    type Future = Accepting<A::Stream, A::Service>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let client = stream.peer_addr().map(|address| address.ip());
        let place = client.map(|client| self.holdings.connect(client.to_canonical()));
        let place = match place {
            Ok(Some(place)) => place,
            Ok(None) => return Box::pin(std::future::ready(Err(no_room()))),
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let accepting = self.inner.accept(stream, service);
        let deadlines = self.deadlines;
        Box::pin(async move {
            let (stream, service) = accepting.await?;
            let attention = Attention::begin();
            let service = Counted {
                inner: service,
                attention: attention.clone(),
            };
            Ok((Attended::new(stream, attention, deadlines, place), service))
        })
    }
}

fn no_room() -> io::Error {
    io::Error::new(io::ErrorKind::QuotaExceeded, "too many connections")
}

/// A connection that ends when nobody has asked for anything for too long.
pub(crate) struct Attended<I> {
    stream: I,
    attention: Attention,
    deadlines: Deadlines,
    timer: Pin<Box<Sleep>>,
    /// Runs while nothing of an answer is taken.
    stalled: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

impl<I> Attended<I> {
    fn new(stream: I, attention: Attention, deadlines: Deadlines, place: Place) -> Self {
        Self {
            stream,
            attention,
            deadlines,
            timer: Box::pin(sleep(deadlines.first)),
            stalled: None,
            _place: place,
        }
    }

    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        while self.timer.as_mut().poll(context).is_ready() {
            let Some(left) = self.attention.left(self.deadlines) else {
                return true;
            };
            self.timer.as_mut().reset(Instant::now() + left);
        }
        false
    }

    /// What came of writing; an error if it is waited for too long and nothing else says for how long that may be.
    fn written<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let taken = self.deadlines.taken;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(taken)));
        while stalled.as_mut().poll(context).is_ready() {
            if self.attention.lock().kept == 0 {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            stalled.as_mut().reset(Instant::now() + taken);
        }
        Poll::Pending
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Attended<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        // As if the other side had left.
        if polled.is_pending() && this.is_over(context) {
            return Poll::Ready(Ok(()));
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Attended<I> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.written(polled, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(context, parts);
        this.written(polled, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_flush(context);
        this.written(polled, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_shutdown(context);
        this.written(polled, context)
    }
}

/// What answers on a connection, and counts what it answers.
#[derive(Clone)]
pub(crate) struct Counted<S> {
    inner: S,
    attention: Attention,
}

impl<S> Service<Request<Incoming>> for Counted<S>
where
    S: Service<Request<Incoming>, Response = Response>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        let asked = self.attention.ask();
        request.extensions_mut().insert(self.attention.clone());
        let answering = self.inner.call(request);
        Box::pin(async move {
            let response = answering.await?;
            Ok(response.map(|body| match body.is_end_stream() {
                true => body,
                false => Body::new(Answer {
                    body,
                    _asked: asked,
                }),
            }))
        })
    }
}

/// A body, until it has been sent.
struct Answer {
    body: Body,
    _asked: Asked,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Where a request comes from, if its connection says so.
pub(crate) fn attention_of(extensions: &axum::http::Extensions) -> Option<Attention> {
    extensions.get::<Attention>().cloned()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::bounds::Bounds;

    const DEADLINES: Deadlines = Deadlines {
        first: Duration::from_millis(300),
        next: Duration::from_millis(600),
        taken: Duration::from_millis(200),
    };
    const WHILE: Duration = Duration::from_millis(900);
    /// Much longer than all of them.
    const LONG: Duration = Duration::from_secs(20);

    fn pair() -> (DuplexStream, Attended<DuplexStream>, Attention) {
        let (there, here) = duplex(64);
        let holdings = Holdings::new(Bounds::default());
        let client = IpAddr::from([192, 0, 2, 7]);
        let place = holdings.connect(client).expect("room");
        let attention = Attention::begin();
        let attended = Attended::new(here, attention.clone(), DEADLINES, place);
        (there, attended, attention)
    }

    async fn read_to_its_end(stream: &mut Attended<DuplexStream>) {
        let mut part = [0; 8];
        let end = async { while stream.read(&mut part).await.expect("no fault") > 0 {} };
        let end = tokio::time::timeout(LONG, end).await;
        end.expect("an end");
    }

    #[tokio::test]
    async fn who_never_asks_is_cut_off_whatever_they_send() {
        // The deadline runs from where the connection begins.
        let begun = Instant::now();
        let (mut there, mut here, _) = pair();
        tokio::spawn(async move {
            // It is refused at last.
            while there.write_all(b"P").await.is_ok() {
                sleep(DEADLINES.first / 20).await;
            }
        });
        read_to_its_end(&mut here).await;
        let taken = begun.elapsed();
        assert!(taken >= DEADLINES.first, "{taken:?}");
    }

    #[tokio::test]
    async fn who_asks_no_more_is_cut_off_later_and_not_while_something_is_on_its_way() {
        let (_there, mut here, attention) = pair();
        let asked = attention.ask();
        let kept = attention.keep();
        let begun = Instant::now();
        tokio::spawn(async move {
            sleep(WHILE).await;
            drop(asked);
            sleep(WHILE).await;
            drop(kept);
        });
        read_to_its_end(&mut here).await;
        let taken = begun.elapsed();
        assert!(taken >= WHILE * 2 + DEADLINES.next, "{taken:?}");
    }

    #[tokio::test]
    async fn who_takes_nothing_of_an_answer_is_cut_off_unless_it_is_counted() {
        let (there, mut here, attention) = pair();
        let kept = attention.keep();
        let asked = attention.ask();
        tokio::spawn(async move {
            sleep(WHILE).await;
            drop(kept);
        });
        let begun = Instant::now();
        let written = here.write_all(&[0; 1_000]);
        let written = tokio::time::timeout(LONG, written).await.expect("an end");
        let error = written.expect_err("nobody reads").kind();
        assert_eq!(error, io::ErrorKind::TimedOut);
        let taken = begun.elapsed();
        assert!(taken >= WHILE, "{taken:?}");
        drop((there, asked));
    }
}
