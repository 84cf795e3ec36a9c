//! Terminals and exec: this master checks who asks, finds the worker, and passes messages both ways. The session
//! lives at the worker, so another master can go on where this one dies.
//!
//! A terminal goes on where its vnode does: when its shell ended because of a move, or it comes while there is one, its
//! viewer hears `{"moving":{"to":"w2"}}`, and the connection ends when the vnode runs again ([`follow`]).

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::ws::{self, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use docklet_control::audit::command::AuditCommand;
use docklet_control::id::{SecretHash, VnodeId};
use docklet_control::model::{User, Vnode};
use docklet_control::permit;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use crate::asker::{Asker, holder, refuse_foreign};
use crate::audit;
use crate::follow;
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
    attach(
        portal,
        &asker,
        (part("vcluster"), part("vnode")),
        &query,
        upgrade,
    )
    .await
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
    attach(portal, &asker, (&vcluster, &vnode), &query, upgrade).await
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
    (vcluster, vnode): (&str, &str),
    query: &HashMap<String, String>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let wish = Wish::parse(query)?;
    let login = asker.session;
    let found = match worker::locate(&portal, asker, vcluster, vnode).await {
        Ok(found) => found,
        Err(problem) => {
            let again = wish.from > 0;
            let coming = follow::coming(&portal, &asker.user, (vcluster, vnode), again);
            let coming = coming.ok_or(problem)?;
            return Ok(upgrade.on_upgrade(move |viewer| wait_for_it(portal, login, viewer, coming)));
        }
    };
    let (path, again) = (wish.path(&found), wish.from > 0);
    let vnode = found.vnode;
    let told = audit::note(&portal, asker, AuditCommand::OpenTerminal { vnode });
    let (told, socket) = tokio::join!(told, worker::open(&portal, &found.worker, &path));
    told?;
    let socket = socket?;
    Ok(upgrade.on_upgrade(move |viewer| show(portal, login, viewer, socket, (found, again))))
}

/// What a viewer asks for.
struct Wish<'q> {
    session: &'q str,
    /// The shell that it knows, and how far it has read what that printed.
    shell: &'q str,
    from: u64,
    cols: u64,
    rows: u64,
}

impl<'q> Wish<'q> {
    fn parse(query: &'q HashMap<String, String>) -> Result<Self, Problem> {
        let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        let hex = |name: &'static str, digits: usize| {
            let text = text(name);
            let opaque = text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
            let why = format!("it is not {digits} hexadecimal digits");
            opaque
                .then_some(text)
                .ok_or_else(|| Problem::malformed(name, why))
        };
        let number = |name: &str, default: u64| match query.get(name) {
            Some(text) => text
                .parse()
                .map_err(|error| Problem::malformed(name, error)),
            None => Ok(default),
        };
        Ok(Self {
            session: hex("session", 32)?,
            shell: match text("shell") {
                "" => "",
                _ => hex("shell", 16)?,
            },
            from: number("from", 0)?,
            cols: number("cols", 80)?.clamp(2, 1_000),
            rows: number("rows", 24)?.clamp(2, 1_000),
        })
    }

    /// Where the worker serves it.
    fn path(&self, found: &Located) -> String {
        let Self {
            session,
            shell,
            from,
            cols,
            rows,
        } = self;
        format!(
            "/terminal/{session}?vnode={}&epoch={}&shell={shell}&from={from}&cols={cols}&rows={rows}",
            found.vnode, found.epoch,
        )
    }
}

/// Passes messages both ways until the viewer leaves, the login ends, or the shell does: then the viewer is told why.
async fn show(
    portal: Portal,
    login: SecretHash,
    viewer: WebSocket,
    worker: WorkerSocket,
    (found, again): (Located, bool),
) {
    let (mut to_viewer, mut from_viewer) = viewer.split();
    let (to_worker, mut from_worker) = worker.split();
    let begun = to_viewer
        .send(ws::Message::text(via(&portal, &found)))
        .await;
    if begun.is_err() {
        return;
    }
    let last = tokio::select! {
        () = pump_to_end(&mut from_viewer, to_worker) => return,
        last = pump_to_last(&mut from_worker, &mut to_viewer) => last,
        () = follow::placed_anew(&portal, &found) => None,
        () = login_ends(&portal, login, found.vnode) => return,
    };
    let explained = async {
        let absent = last.as_ref().is_some_and(|last| last.absent);
        if follow::has_left(&portal, &found).await {
            follow::until_it_runs(&portal, found.vnode, &mut to_viewer).await;
        } else if let Some(last) = last.filter(|_| !(absent && again)) {
            drop(to_viewer.send(ws::Message::text(last.text)).await);
        }
        if absent {
            tokio::time::sleep(BREATH).await;
        }
        drop(to_viewer.close().await);
    };
    tokio::select! {
        () = explained => {}
        () = ignore(&mut from_viewer) => {}
        () = login_ends(&portal, login, found.vnode) => {}
    }
}

/// A worker may not know yet what this master does, or this master what has become of the vnode there: a viewer who comes
/// back to a terminal tries again after this.
const BREATH: Duration = Duration::from_millis(200);

/// Keeps a viewer company who came while the vnode is on its way.
async fn wait_for_it(portal: Portal, login: SecretHash, viewer: WebSocket, coming: VnodeId) {
    let (mut to_viewer, mut from_viewer) = viewer.split();
    tokio::select! {
        () = follow::until_it_runs(&portal, coming, &mut to_viewer) => drop(to_viewer.close().await),
        () = ignore(&mut from_viewer) => {}
        () = login_ends(&portal, login, coming) => {}
    }
}

/// Until the viewer leaves. What is typed meanwhile is for no shell.
async fn ignore<E>(from_viewer: &mut (impl Stream<Item = Result<ws::Message, E>> + Unpin)) {
    while let Some(Ok(_)) = from_viewer.next().await {}
}

/// What a worker said at the end of a terminal.
struct Last {
    text: String,
    /// There is no such vnode there that runs.
    absent: bool,
}

impl Last {
    fn of(text: &str) -> Option<Self> {
        let said: serde_json::Value = serde_json::from_str(text).ok()?;
        let over = said.get("refused").or(said.get("exit"))?;
        Some(Self {
            text: text.to_owned(),
            absent: over["absent"] == true,
        })
    }
}

/// Passes on what the worker sends, but for its last word; none if the connection broke.
async fn pump_to_last<E, F>(
    from_worker: &mut (impl Stream<Item = Result<Message, E>> + Unpin),
    to_viewer: &mut (impl Sink<ws::Message, Error = F> + Unpin),
) -> Option<Last> {
    while let Some(Ok(message)) = from_worker.next().await {
        if let Message::Text(text) = &message
            && let Some(last) = Last::of(text)
        {
            return Some(last);
        }
        if let Some(message) = to_axum(message)
            && to_viewer.send(message).await.is_err()
        {
            return None;
        }
    }
    None
}

/// Passes input on until the viewer leaves. That the worker takes none any more ends nothing: it has a last word.
async fn pump_to_end<E, F>(
    from_viewer: &mut (impl Stream<Item = Result<ws::Message, E>> + Unpin),
    mut to_worker: impl Sink<Message, Error = F> + Unpin,
) {
    while let Some(Ok(message)) = from_viewer.next().await {
        if let Some(message) = to_tungstenite(message) {
            drop(to_worker.send(message).await);
        }
    }
    // The other side may be gone already.
    drop(to_worker.close().await);
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
    Ok(upgrade.on_upgrade(move |viewer| run(portal, asker, viewer, socket, found)))
}

/// Letters of a program's name that the audit trail has.
const PROGRAM_LETTERS_MAX: usize = 60;

/// What the program's user says first.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    argv: Vec<String>,
}

/// The vnode is what this master has checked, whatever the first message says.
async fn run(
    portal: Portal,
    asker: Asker,
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
    let command = AuditCommand::RunProgram {
        vnode: found.vnode,
        program: name_of(&run.argv),
    };
    if let Err(problem) = audit::note(&portal, &asker, command).await {
        let text = serde_json::json!({"refused": {"cause": problem.detail}});
        drop(viewer.send(ws::Message::text(text.to_string())).await);
        return;
    }
    let begun = worker.send(Message::text(request.to_string())).await;
    if begun.is_ok() {
        relay(portal, (asker.session, found.vnode), viewer, worker).await;
    }
}

/// What a program is called, without its arguments and without what no name should have.
fn name_of(argv: &[String]) -> String {
    let name = argv.first().map(String::as_str).unwrap_or_default();
    let last = name.rsplit('/').next().unwrap_or_default();
    last.chars()
        .filter(|letter| !letter.is_control())
        .take(PROGRAM_LETTERS_MAX)
        .collect()
}

/// Passes messages both ways until one side ends, or the login does.
async fn relay(
    portal: Portal,
    (login, vnode): (SecretHash, VnodeId),
    viewer: WebSocket,
    worker: WorkerSocket,
) {
    let (to_viewer, from_viewer) = viewer.split();
    let (to_worker, from_worker) = worker.split();
    tokio::select! {
        () = pump(from_viewer, to_worker, to_tungstenite) => {}
        () = pump(from_worker, to_viewer, to_axum) => {}
        () = login_ends(&portal, login, vnode) => {}
    }
}

/// Tells the viewer through which master it came, and to which worker.
fn via(portal: &Portal, found: &Located) -> String {
    let state = portal.master.local().state;
    let leader = portal.master.brief_status().leader;
    let leader = leader
        .and_then(|id| state.masters.get(&id))
        .map(|m| m.name.to_string());
    let worker = found.worker.name.to_string();
    serde_json::json!({"via": {"master": &*portal.name, "leader": leader, "worker": worker}})
        .to_string()
}

/// Until the login is over, or whose it is may not enter the vnode any more: an admin who was demoted leaves other people's.
async fn login_ends(portal: &Portal, login: SecretHash, vnode: VnodeId) {
    let mut states = portal.master.watch();
    let ended = states.wait_for(|frozen| {
        let (user, vnode) = (
            holder(&frozen.state, login),
            frozen.state.vnodes.get(&vnode),
        );
        let enters = |vnode: &Vnode, user: &User| {
            permit::owns(user, vnode.owner) && !frozen.state.is_trashed(vnode.vcluster)
        };
        !user.is_some_and(|user| vnode.is_none_or(|vnode| enters(vnode, user)))
    });
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
