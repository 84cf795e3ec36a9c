//! Terminals and exec: this master checks who asks, finds the worker, and passes messages both ways. The session
//! lives at the worker, so another master can go on where this one dies.

use std::collections::HashMap;

use axum::extract::ws::{self, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use docklet_control::id::SecretHash;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use crate::asker::{Asker, holder, refuse_foreign};
use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker::{self, Located, WorkerSocket};

/// A terminal in a page of this site.
pub(crate) async fn browser(
    State(portal): State<Portal>,
    asker: Asker,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    refuse_foreign(&headers)?;
    let part = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let found = worker::locate(&portal, &asker, part("vcluster"), part("vnode")).await?;
    attach(portal, &asker, found, &query, upgrade).await
}

/// A terminal of a program with a bearer token.
pub(crate) async fn program(
    State(portal): State<Portal>,
    asker: Asker,
    headers: HeaderMap,
    Path((vcluster, vnode)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    refuse_cookie(&headers)?;
    let found = worker::locate(&portal, &asker, &vcluster, &vnode).await?;
    attach(portal, &asker, found, &query, upgrade).await
}

/// Cookies travel with requests that other sites make; bearer tokens do not.
fn refuse_cookie(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(axum::http::header::AUTHORIZATION) {
        Some(_) => Ok(()),
        None => refuse_foreign(headers),
    }
}

async fn attach(
    portal: Portal,
    asker: &Asker,
    found: Located,
    query: &HashMap<String, String>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let session = query.get("session").map(String::as_str).unwrap_or_default();
    let opaque = session.len() == 32 && session.bytes().all(|b| b.is_ascii_hexdigit());
    if !opaque {
        return Err(Problem::malformed(
            "session",
            "it is not 32 hexadecimal digits",
        ));
    }
    let number = |name: &str, default: u64| match query.get(name) {
        Some(text) => text
            .parse()
            .map_err(|error| Problem::malformed(name, error)),
        None => Ok(default),
    };
    let path = format!(
        "/terminal/{session}?vnode={}&epoch={}&from={}&cols={}&rows={}",
        found.vnode,
        found.epoch,
        number("from", 0)?,
        number("cols", 80)?.clamp(2, 1_000),
        number("rows", 24)?.clamp(2, 1_000),
    );
    let socket = worker::open(&portal, &found.worker, &path).await?;
    let login = asker.session;
    Ok(upgrade.on_upgrade(move |viewer| relay(portal, login, viewer, socket, true)))
}

/// Runs one program in a vnode.
pub(crate) async fn exec(
    State(portal): State<Portal>,
    asker: Asker,
    headers: HeaderMap,
    Path((vcluster, vnode)): Path<(String, String)>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    refuse_cookie(&headers)?;
    let found = worker::locate(&portal, &asker, &vcluster, &vnode).await?;
    let socket = worker::open(&portal, &found.worker, "/exec").await?;
    let login = asker.session;
    Ok(upgrade.on_upgrade(move |viewer| run(portal, login, viewer, socket, found)))
}

/// What the program's user says first.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    argv: Vec<String>,
}

/// The vnode is what this master has checked, whatever the first message says.
async fn run(
    portal: Portal,
    login: SecretHash,
    mut viewer: WebSocket,
    mut worker: WorkerSocket,
    found: Located,
) {
    let first = viewer.next().await;
    let Some(Ok(ws::Message::Text(text))) = first else {
        return;
    };
    let Ok(run) = serde_json::from_str::<Run>(&text) else {
        let text = r#"{"refused":{"cause":"the first message must be {\"argv\":[…]}"}}"#;
        drop(viewer.send(ws::Message::text(text)).await);
        return;
    };
    let request = serde_json::json!({
        "vnode": found.vnode,
        "epoch": found.epoch,
        "argv": run.argv,
    });
    if worker
        .send(Message::text(request.to_string()))
        .await
        .is_ok()
    {
        relay(portal, login, viewer, worker, false).await;
    }
}

/// Passes messages both ways until one side ends, or the login does.
async fn relay(
    portal: Portal,
    login: SecretHash,
    viewer: WebSocket,
    worker: WorkerSocket,
    say_via: bool,
) {
    let (mut to_viewer, from_viewer) = viewer.split();
    let (to_worker, from_worker) = worker.split();
    if say_via
        && to_viewer
            .send(ws::Message::text(via(&portal)))
            .await
            .is_err()
    {
        return;
    }
    tokio::select! {
        () = pump(from_viewer, to_worker, to_tungstenite) => {}
        () = pump(from_worker, to_viewer, to_axum) => {}
        () = login_ends(&portal, login) => {}
    }
}

/// Tells the viewer through which master it came.
fn via(portal: &Portal) -> String {
    let state = portal.master.local().state;
    let leader = portal.master.brief_status().leader;
    let leader = leader
        .and_then(|id| state.masters.get(&id))
        .map(|m| m.name.to_string());
    serde_json::json!({"via": {"master": &*portal.name, "leader": leader}}).to_string()
}

async fn login_ends(portal: &Portal, login: SecretHash) {
    let mut states = portal.master.watch();
    let ended = states.wait_for(|frozen| holder(&frozen.state, login).is_none());
    // The channel is closed only when this master stops.
    drop(ended.await);
}

async fn pump<A, B, E, F>(
    mut from: impl Stream<Item = Result<A, E>> + Unpin,
    mut to: impl Sink<B, Error = F> + Unpin,
    convert: impl Fn(A) -> Option<B>,
) {
    while let Some(Ok(message)) = from.next().await {
        if let Some(message) = convert(message)
            && to.send(message).await.is_err()
        {
            return;
        }
    }
    // The other side may be gone already.
    drop(to.close().await);
}

fn to_tungstenite(message: ws::Message) -> Option<Message> {
    match message {
        ws::Message::Text(text) => Some(Message::text(text.as_str())),
        ws::Message::Binary(bytes) => Some(Message::Binary(bytes)),
        ws::Message::Ping(_) | ws::Message::Pong(_) | ws::Message::Close(_) => None,
    }
}

fn to_axum(message: Message) -> Option<ws::Message> {
    match message {
        Message::Text(text) => Some(ws::Message::text(text.as_str())),
        Message::Binary(bytes) => Some(ws::Message::Binary(bytes)),
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => None,
    }
}
