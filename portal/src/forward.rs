//! Connections of programs to ports of their vnodes, over WebSockets: what `docklet port-forward` uses. Binary messages are
//! bytes; an empty one is the end of its direction. Whoever waits hears of this master by pings.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::ws::{self, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use docklet_control::audit::command::AuditCommand;
use docklet_control::id::{SecretHash, VnodeId};
use docklet_control::model::PortNumber;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use crate::asker::{Asker, refuse_cookie};
use crate::audit;
use crate::bounds::{Lasting, short};
use crate::connect::{self, Destination, VnodeStream};
use crate::looks::login_ends;
use crate::problem::Problem;
use crate::pulse::{beat, ping};
use crate::serve::Portal;
use crate::worker;

/// Bytes of one message.
const CHUNK_BYTES: usize = 64 << 10;
/// The audit trail has each login, vnode and port once in this time.
const TOLD_FOR: Duration = Duration::from_secs(3_600);
/// More than are in use; then all is told anew.
const TOLD_MAX: usize = 10_000;

/// What the audit trail was told of.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<HashMap<Way, Instant>>>);

/// A login, and where it goes.
type Way = (SecretHash, VnodeId, PortNumber);

impl Told {
    /// Whether it is to be told: not within an hour of the last time.
    fn is_news(&self, key: Way, now: Instant) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() > TOLD_MAX {
            told.clear();
        }
        let last = told.get(&key).copied();
        if last.is_some_and(|last| now.duration_since(last) < TOLD_FOR) {
            return false;
        }
        told.insert(key, now);
        true
    }

    fn forget(&self, key: Way) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.remove(&key);
    }
}

pub(crate) async fn program(
    State(portal): State<Portal>,
    asker: Asker,
    headers: HeaderMap,
    Path((vcluster, vnode)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    refuse_cookie(&headers)?;
    let port = query.get("port").map(|text| text.parse::<u16>());
    let port = match port {
        Some(Ok(port)) if port > 0 => PortNumber(port),
        Some(_) | None => return Err(Problem::malformed("port", "give one from 1 to 65535")),
    };
    let lease = asker.hold(&portal, Lasting::Tunnel)?;
    let found = worker::locate(&portal, &asker, &vcluster, &vnode).await?;
    let key = (asker.session, found.vnode, port);
    if portal.forwards.is_news(key, Instant::now()) {
        let told = AuditCommand::ForwardPort {
            vnode: found.vnode,
            port,
        };
        if let Err(problem) = audit::note(&portal, &asker, told).await {
            portal.forwards.forget(key);
            return Err(problem);
        }
    }
    let to = Destination {
        vnode: found.vnode,
        epoch: found.epoch,
        port,
        worker: found.worker.id,
    };
    let stream = connect::dial(&portal, &to).await;
    let of = format!("{vcluster}/{vnode}");
    let stream = stream.map_err(|unreached| unreached.problem(&of, port))?;
    let login = asker.session;
    Ok(short(upgrade).on_upgrade(async move |viewer| {
        relay(portal, login, to.vnode, viewer, stream).await;
        drop(lease);
    }))
}

/// Passes bytes both ways until both directions have ended, one of them broke, or the login ends.
async fn relay(
    portal: Portal,
    login: SecretHash,
    vnode: VnodeId,
    viewer: WebSocket,
    stream: VnodeStream,
) {
    let (to_viewer, from_viewer) = viewer.split();
    let (from_vnode, to_vnode) = tokio::io::split(stream);
    let both = async {
        // A direction that broke ends the other, too.
        drop(tokio::try_join!(
            inward(from_viewer, to_vnode),
            outward(from_vnode, to_viewer)
        ));
    };
    tokio::select! {
        () = both => {}
        () = login_ends(&portal, login, vnode) => {}
    }
}

async fn inward(
    mut from: SplitStream<WebSocket>,
    mut to: WriteHalf<VnodeStream>,
) -> Result<(), axum::Error> {
    while let Some(message) = from.next().await {
        match message? {
            ws::Message::Binary(bytes) if bytes.is_empty() => break,
            ws::Message::Binary(bytes) => to.write_all(&bytes).await.map_err(axum::Error::new)?,
            ws::Message::Close(_) => return Err(axum::Error::new("the program left")),
            ws::Message::Text(_) | ws::Message::Ping(_) | ws::Message::Pong(_) => {}
        }
        to.flush().await.map_err(axum::Error::new)?;
    }
    to.shutdown().await.map_err(axum::Error::new)?;
    // That the program leaves must be seen also when it sends nothing more.
    while let Some(Ok(_)) = from.next().await {}
    Err(axum::Error::new("the program left"))
}

async fn outward(
    mut from: ReadHalf<VnodeStream>,
    mut to: SplitSink<WebSocket, ws::Message>,
) -> Result<(), axum::Error> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut beat = beat();
    loop {
        let read = tokio::select! {
            _ = beat.tick() => {
                to.send(ping()).await?;
                continue;
            }
            read = from.read(&mut chunk) => read,
        };
        let length = read.unwrap_or(0);
        let bytes = chunk[..length].to_vec();
        to.send(ws::Message::Binary(bytes.into())).await?;
        if length == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_told_anew_after_an_hour() {
        let (told, begun) = (Told::default(), Instant::now());
        let key = (SecretHash([1; 32]), VnodeId(1), PortNumber(22));
        assert!(told.is_news(key, begun));
        assert!(!told.is_news(key, begun + Duration::from_secs(3_599)));
        assert!(told.is_news((key.0, key.1, PortNumber(80)), begun));
        assert!(told.is_news(key, begun + TOLD_FOR));
        told.forget(key);
        assert!(told.is_news(key, begun + TOLD_FOR));
    }
}
