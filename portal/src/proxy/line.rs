//! A connection to a service. Whoever has a request on it moves its bytes, in their own task: there is no other one that would have
//! to be woken for each of them, and one that waits for the next request costs nothing.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;

use super::pool::{Key, Pool};
use crate::connect::VnodeStream;

/// One that is not ready by then is closed.
const READY_DEADLINE: Duration = Duration::from_millis(100);

pub(super) struct Line {
    sender: SendRequest<Body>,
    /// None once it has ended.
    connection: Option<Connection<TokioIo<VnodeStream>, Body>>,
}

impl Line {
    pub(super) async fn new(stream: VnodeStream) -> hyper::Result<Self> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        Ok(Self {
            sender,
            connection: Some(connection),
        })
    }

    /// Moves what can be moved now.
    pub(super) fn go_on(&mut self, context: &mut Context<'_>) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        if let Poll::Ready(ended) = Pin::new(connection).poll(context) {
            if let Err(error) = ended {
                tracing::debug!(%error, "a service's connection ended");
            }
            self.connection = None;
        }
    }

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        self.go_on(context);
        self.sender.poll_ready(context).map(|ready| ready.is_ok())
    }

    /// Whether it takes a request: who waited may have been given up by the service, and one over which a body is still on
    /// its way, though it was answered, is not waited for.
    pub(super) async fn is_ready(&mut self) -> bool {
        let ready = poll_fn(|context| self.poll_ready(context));
        let ready = tokio::time::timeout(READY_DEADLINE, ready).await;
        ready.unwrap_or(false)
    }

    /// Sends a request and waits for the head of the answer.
    pub(super) async fn ask(
        &mut self,
        request: Request,
    ) -> Result<Response<Incoming>, TrySendError<Request>> {
        let mut answer = pin!(self.sender.try_send_request(request));
        poll_fn(|context| {
            self.go_on(context);
            answer.as_mut().poll(context)
        })
        .await
    }

    /// It has answered: once the request has gone, too, it waits for the next one.
    pub(super) fn rest(mut self, pool: Pool, key: Key) {
        self.go_on(&mut Context::from_waker(Waker::noop()));
        if self.connection.is_none() {
            return;
        }
        if self.sender.is_ready() {
            return pool.give(key, self);
        }
        tokio::spawn(async move {
            if poll_fn(|context| self.poll_ready(context)).await {
                pool.give(key, self);
            }
        });
    }
}
