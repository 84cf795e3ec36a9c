//! Passing requests on to a service, and its answers back: streams both ways, at the pace of the slower side, cut when the
//! visit ends.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, StatusCode, Uri, Version, request};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use docklet_control::service::visited;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional_with_sizes;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::Visitor;
use super::clean::{self, Comer};
use super::line::Line;
use super::pool::{Key, Pool};
use super::question::Socket;
use crate::asker::now;
use crate::bounds::Lease;
use crate::connect::{self, Destination, Unreached, VnodeStream};
use crate::problem::Problem;
use crate::serve::Portal;

/// Of a WebSocket, each way.
const SOCKET_BUFFER_BYTES: usize = 16 << 10;

/// One request on its way.
pub(super) struct Through<'p> {
    pub(super) portal: &'p Portal,
    pub(super) to: Destination,
    /// The service's own authority.
    pub(super) host: String,
    pub(super) client: IpAddr,
    pub(super) visitor: &'p Visitor,
}

impl Through<'_> {
    fn key(&self) -> Key {
        let visitor = self.visitor;
        (visitor.user, visitor.service.id, self.to.epoch)
    }

    /// Resolves when the visit is over.
    fn ended(&self) -> Ended {
        let (portal, visit) = (self.portal.clone(), self.visitor.visit);
        let left_ms = self.visitor.expires_at.since_ms(now());
        Box::pin(async move {
            let mut states = portal.master.watch();
            let over = states.wait_for(|frozen| visited(&frozen.state, visit).is_none());
            tokio::select! {
                _ = over => {}
                () = tokio::time::sleep(Duration::from_millis(left_ms)) => {}
            }
        })
    }

    /// The request as the service gets it.
    fn cleaned(&self, parts: &request::Parts) -> request::Parts {
        let (mut clean, ()) = Request::new(()).into_parts();
        clean.method = parts.method.clone();
        clean.version = Version::HTTP_11;
        clean.uri = origin_form(&parts.uri);
        let comer = Comer {
            address: self.client,
            host: &self.host,
            user: self.visitor.name.as_deref(),
        };
        clean.headers = clean::inward(&parts.headers, &comer);
        clean
    }

    pub(super) async fn request(
        &self,
        request: Request,
        lease: Lease,
    ) -> Result<Response, Problem> {
        let (parts, body) = request.into_parts();
        let parts = self.cleaned(&parts);
        let mut ended = self.ended();
        tokio::select! {
            answered = self.ask(parts, body) => {
                let (line, answer) = answered?;
                Ok(self.answered(Some(line), answer, ended, lease))
            }
            () = &mut ended => Err(over()),
        }
    }

    /// Sends it over a connection that waits, or a new one. Who waited may have been given up by the service at that very
    /// moment: what it has not seen, or may see twice, is sent once more.
    async fn ask(
        &self,
        parts: request::Parts,
        body: Body,
    ) -> Result<(Line, Response<Incoming>), Problem> {
        let again = parts.method.is_safe() && body.is_end_stream();
        let mut request = Request::from_parts(parts.clone(), body);
        while let Some(mut line) = self.portal.proxy.pool.take(self.key()) {
            if !line.is_ready().await {
                continue;
            }
            match line.ask(request).await {
                Ok(answer) => return Ok((line, answer)),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None if again => request = Request::from_parts(parts.clone(), Body::empty()),
                    None => return Err(broken(failed.error())),
                },
            }
        }
        let line = Line::new(self.connect().await?).await;
        let mut line = line.map_err(|error| broken(&error))?;
        let answer = line.ask(request).await;
        answer
            .map(|answer| (line, answer))
            .map_err(|failed| broken(failed.error()))
    }

    async fn connect(&self) -> Result<VnodeStream, Problem> {
        let stream = connect::dial(self.portal, &self.to).await;
        stream.map_err(|unreached| match unreached {
            Unreached::Worker(problem) => problem,
            Unreached::There(_) => {
                let told = unreached.problem("its vnode", self.to.port);
                Problem::service_unready(told.detail)
            }
        })
    }

    /// What the service answers, and the connection over which it does if that can take another request afterwards.
    fn answered(
        &self,
        line: Option<Line>,
        answer: Response<Incoming>,
        ended: Ended,
        lease: Lease,
    ) -> Response {
        let (mut parts, body) = answer.into_parts();
        parts.headers = clean::outward(&parts.headers);
        parts.version = Version::default();
        parts.extensions.clear();
        let (pool, key) = (self.portal.proxy.pool.clone(), self.key());
        // Nobody asked for another protocol.
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return broken(&"it changed the protocol unasked").into_response();
        }
        if body.is_end_stream() {
            if let Some(line) = line {
                line.rest(pool, key);
            }
            return Response::from_parts(parts, Body::empty());
        }
        let guarded = Guarded {
            body,
            ended,
            line: line.map(|line| (line, pool, key)),
            _lease: lease,
        };
        Response::from_parts(parts, Body::new(guarded))
    }

    /// A WebSocket: the handshake is passed on, and what comes after it as it is. Over HTTP/2 the browser's side of it is a CONNECT
    /// (RFC 8441), which has no key: then this door has one of its own, and checks what the service makes of it.
    pub(super) async fn socket(
        &self,
        mut request: Request,
        socket: Socket,
        lease: Lease,
    ) -> Result<Response, Problem> {
        let viewer = hyper::upgrade::on(&mut request);
        let (parts, _) = request.into_parts();
        let mut parts = self.cleaned(&parts);
        parts.method = Method::GET;
        upgrading(&mut parts.headers);
        let key =
            (socket == Socket::Connect).then(|| BASE64_STANDARD.encode(rand::random::<[u8; 16]>()));
        if let Some(key) = &key {
            let value = HeaderValue::from_str(key).map_err(|error| broken(&error))?;
            parts.headers.insert(header::SEC_WEBSOCKET_KEY, value);
        }
        let stream = TokioIo::new(self.connect().await?);
        let made = http1::handshake(stream).await;
        let (mut sender, connection) = made.map_err(|error| broken(&error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "a service's socket ended");
            }
        });
        let request = Request::from_parts(parts, Body::empty());
        let mut ended = self.ended();
        let mut answer = tokio::select! {
            answer = sender.send_request(request) => answer.map_err(|error| broken(&error))?,
            () = &mut ended => return Err(over()),
        };
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            if key.is_some() && answer.status().is_success() {
                return Err(broken(&"it opens no WebSocket there"));
            }
            return Ok(self.answered(None, answer, ended, lease));
        }
        let service = hyper::upgrade::on(&mut answer);
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = clean::outward(answer.headers());
        match key {
            Some(key) => {
                let accepted = response.headers_mut().remove(header::SEC_WEBSOCKET_ACCEPT);
                if accepted.is_none_or(|given| given != derive_accept_key(key.as_bytes())) {
                    return Err(broken(&"it answers another WebSocket's handshake"));
                }
            }
            None => {
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                upgrading(response.headers_mut());
            }
        }
        tokio::spawn(async move {
            let relayed = async {
                let (viewer, service) = tokio::try_join!(viewer, service).ok()?;
                let (mut viewer, mut service) = (TokioIo::new(viewer), TokioIo::new(service));
                let (near, far) = (SOCKET_BUFFER_BYTES, SOCKET_BUFFER_BYTES);
                copy_bidirectional_with_sizes(&mut viewer, &mut service, near, far)
                    .await
                    .ok()
            };
            tokio::select! {
                _ = relayed => {}
                () = ended => {}
            }
            drop(lease);
        });
        Ok(response)
    }
}

/// That the connection goes over to a WebSocket, as HTTP/1.1 says it.
fn upgrading(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// Path and query as they came, in the one form that servers behind this one get.
fn origin_form(uri: &Uri) -> Uri {
    let path = uri.path_and_query().cloned();
    path.map(Uri::from).unwrap_or_default()
}

fn broken(error: &dyn std::fmt::Display) -> Problem {
    Problem {
        status: StatusCode::BAD_GATEWAY,
        code: "service_broken",
        detail: format!(
            "the service ended the connection, or does not speak HTTP ({error}): look at its own log, then try again"
        ),
    }
}

fn over() -> Problem {
    Problem::from(docklet_control::Refusal::NotLoggedIn)
}

type Ended = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a service answers, as long as the visit lasts. Once it is whole, the connection waits for the next request.
struct Guarded {
    body: Incoming,
    ended: Ended,
    line: Option<(Line, Pool, Key)>,
    _lease: Lease,
}

impl HttpBody for Guarded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.ended.as_mut().poll(context).is_ready() {
            let cut = io::Error::other("the visit is over");
            return Poll::Ready(Some(Err(axum::Error::new(cut))));
        }
        let this = self.get_mut();
        let mut polled = Pin::new(&mut this.body).poll_frame(context);
        if polled.is_pending()
            && let Some((line, ..)) = &mut this.line
        {
            line.go_on(context);
            polled = Pin::new(&mut this.body).poll_frame(context);
        }
        let whole = matches!(polled, Poll::Ready(None)) || this.body.is_end_stream();
        if whole && let Some((line, pool, key)) = this.line.take() {
            line.rest(pool, key);
        }
        polled.map(|frame| frame.map(|frame| frame.map_err(axum::Error::new)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
