//! What is left of a body when its request has been answered. A connection on which it still comes is closed under whoever
//! sends it, who then may never see the answer: a little is taken in first, and of more the answer says that the connection ends.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// So much is taken in: its sender has most of it on the way.
const TAKEN_BYTES_MAX: usize = 256 << 10;
const TAKEN_WITHIN: Duration = Duration::from_secs(2);

/// Answers, and sees to what nobody has read.
pub(crate) async fn take_in(request: Request, next: Next) -> Response {
    // Over HTTP/2 a WebSocket is a CONNECT whose body is the socket.
    if request.method() == Method::CONNECT {
        return next.run(request).await;
    }
    // Who waits to be told to go on has sent nothing yet.
    let waits = request.headers().contains_key(header::EXPECT);
    let version = request.version();
    let (back, mut left) = oneshot::channel();
    let request = request.map(|body| {
        Body::new(Lent {
            body,
            back: Some(back),
        })
    });
    let mut response = next.run(request).await;
    let Ok(rest) = left.try_recv() else {
        return response;
    };
    // Over HTTP/2 a body ends without its connection.
    if (waits || !is_taken(rest).await) && version <= Version::HTTP_11 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// Takes it in, if it is short and comes soon.
async fn is_taken(rest: Body) -> bool {
    let known = usize::try_from(rest.size_hint().lower());
    if known.is_ok_and(|bytes| bytes <= TAKEN_BYTES_MAX) {
        let taken = timeout(TAKEN_WITHIN, to_bytes(rest, TAKEN_BYTES_MAX)).await;
        return matches!(taken, Ok(Ok(_)));
    }
    false
}

/// A body that comes back unless it is read to its end.
struct Lent {
    body: Body,
    back: Option<oneshot::Sender<Body>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.back = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let back = self.back.take().filter(|_| !self.body.is_end_stream());
        if let Some(back) = back {
            // Nobody takes it if the request was given up.
            drop(back.send(std::mem::take(&mut self.body)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::post;
    use futures_util::StreamExt;
    use tower::ServiceExt;

    use super::*;

    /// Asks what reads nothing; answers whether the connection is to end, and how much of the body was left by then.
    async fn asked(parts: usize, version: Version, expect: bool) -> (bool, usize) {
        let router = Router::new().route("/", post(async || "no"));
        let router = router.layer(from_fn(take_in));
        let taken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&taken);
        let body = futures_util::stream::iter(0..parts).map(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok::<_, std::io::Error>(vec![0_u8; 64 << 10])
        });
        let mut request = Request::post("/").version(version);
        if expect {
            request = request.header(header::EXPECT, "100-continue");
        }
        let request = request.body(Body::from_stream(body));
        let response = router.oneshot(request.expect("it is well-formed")).await;
        let response = response.expect("routers do not fail");
        let closes = response.headers().contains_key(header::CONNECTION);
        (closes, parts - taken.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn a_little_is_taken_in_and_of_more_the_connection_ends() {
        assert_eq!(asked(1, Version::HTTP_11, false).await, (false, 0));
        assert_eq!(asked(4, Version::HTTP_11, false).await, (false, 0));
        let (closes, left) = asked(100, Version::HTTP_11, false).await;
        assert!(closes && left > 90, "{left}");
        let (closes, _) = asked(100, Version::HTTP_2, false).await;
        assert!(!closes);
        assert_eq!(asked(2, Version::HTTP_11, true).await, (true, 2));
    }
}
