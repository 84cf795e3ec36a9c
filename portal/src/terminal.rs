//! Terminals: this master checks who asks, finds the worker, and passes messages both ways. The session lives at the worker, so
//! another master can go on where this one dies.
//!
//! A terminal goes on where its vnode does: when its shell ended because of a move, or it comes while there is one, its
//! viewer hears `{"moving":{"to":"w2"}}`, and the connection ends when the vnode runs again ([`follow`]). A viewer who hears
//! nothing else hears `{"pulse":true}` every [`PULSE_EVERY`]: if not even that, its master stands still, and it goes to another.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use axum::extract::ws::{self, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use docklet_control::audit::command::AuditCommand;
use docklet_control::id::{UserId, VnodeId};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use crate::asker::{Asker, refuse_cookie, refuse_foreign};
use crate::audit;
use crate::bounds::{Lasting, Lease, short};
use crate::follow;
use crate::looks::Looks;
use crate::problem::Problem;
use crate::pulse::{PULSE_EVERY, pulse};
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

async fn attach(
    portal: Portal,
    asker: &Asker,
    (vcluster, vnode): (&str, &str),
    query: &HashMap<String, String>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let wish = Wish {
        person: Some(asker.user.id),
        ..Wish::parse(query)?
    };
    let lease = asker.hold(&portal, Lasting::Terminal)?;
    let looks = Looks::into_vnode(asker.session);
    let found = worker::locate(&portal, asker, vcluster, vnode).await;
    let again = !wish.is_first();
    let coming = || follow::coming(&portal, &asker.user, (vcluster, vnode), again);
    let told = |vnode| audit::note(&portal, asker, AuditCommand::OpenTerminal { vnode });
    attach_to((&portal, looks, &wish), lease, found, coming, told, upgrade).await
}

/// Shows what is there to somebody who may look, or keeps them company while it is on its way.
pub(crate) async fn attach_to<T: Future<Output = Result<(), Problem>>>(
    (portal, looks, wish): (&Portal, Looks, &Wish<'_>),
    lease: Lease,
    found: Result<Located, Problem>,
    coming: impl FnOnce() -> Option<VnodeId>,
    tell: impl FnOnce(VnodeId) -> T,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let held = portal.clone();
    let found = match found {
        Ok(found) => found,
        Err(problem) => {
            let coming = coming().ok_or(problem)?;
            return Ok(short(upgrade).on_upgrade(async move |viewer| {
                wait_for_it(held, looks, viewer, coming).await;
                drop(lease);
            }));
        }
    };
    let (path, again) = (wish.path(&found), !wish.is_first());
    let told = tell(found.vnode);
    let (told, socket) = tokio::join!(told, worker::open(portal, &found.worker, &path));
    told?;
    let socket = socket?;
    Ok(short(upgrade).on_upgrade(async move |viewer| {
        show(held, looks, viewer, socket, (found, again)).await;
        drop(lease);
    }))
}

/// What a viewer asks for.
pub(crate) struct Wish<'q> {
    session: &'q str,
    /// The shell that it knows, and how far it has read what that printed.
    shell: &'q str,
    from: u64,
    cols: u64,
    rows: u64,
    /// By which a viewer comes back who says how far it has read; empty if it does not.
    viewer: &'q str,
    /// What its worker is told of guests.
    guest: &'static str,
    /// Whose the shell is if it begins one.
    person: Option<UserId>,
}

impl<'q> Wish<'q> {
    /// Of somebody who came by a link. Nobody waits for who only watches.
    pub(crate) fn of_guest(
        query: &'q HashMap<String, String>,
        watches: bool,
    ) -> Result<Self, Problem> {
        let wish = Self::parse(query)?;
        let (viewer, guest) = match watches {
            true => ("", "&guest=1&watch=1"),
            false => (wish.viewer, "&guest=1"),
        };
        Ok(Self {
            viewer,
            guest,
            ..wish
        })
    }

    /// It has not read anything yet.
    pub(crate) fn is_first(&self) -> bool {
        self.from == 0
    }

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
        let perhaps = |name: &'static str| match text(name) {
            "" => Ok(""),
            _ => hex(name, 16),
        };
        let number = |name: &str, default: u64| match query.get(name) {
            Some(text) => text
                .parse()
                .map_err(|error| Problem::malformed(name, error)),
            None => Ok(default),
        };
        Ok(Self {
            session: hex("session", 32)?,
            shell: perhaps("shell")?,
            viewer: perhaps("viewer")?,
            guest: "",
            person: None,
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
            viewer,
            guest,
            person,
        } = self;
        let place = format!("vnode={}&epoch={}", found.vnode, found.epoch);
        let acknowledging = match *viewer {
            "" => String::new(),
            name => format!("&viewer={name}"),
        };
        let person = person.map_or_else(String::new, |person| format!("&person={person}"));
        format!(
            "/terminal/{session}?{place}&shell={shell}&from={from}&cols={cols}&rows={rows}{acknowledging}{guest}{person}"
        )
    }
}

/// Passes messages both ways until the viewer leaves, may no longer look, or the shell ends: then the viewer is told why.
async fn show(
    portal: Portal,
    looks: Looks,
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
        () = pump_to_end(&mut from_viewer, to_worker, looks) => return,
        last = pump_to_last(&mut from_worker, &mut to_viewer) => last,
        () = follow::placed_anew(&portal, &found) => None,
        () = looks.end(&portal, found.vnode) => return looks.tell_over(&portal, &mut to_viewer).await,
    };
    let explained = async {
        let absent = last.as_ref().is_some_and(|last| last.absent);
        if follow::has_left(&portal, &found).await {
            follow::until_it_runs(&portal, found.vnode, &mut to_viewer).await;
        } else if let Some(last) = last.filter(|_| !(absent && again)) {
            drop(to_viewer.send(ws::Message::text(last.text)).await);
        }
        if absent {
            let breath = match looks.is_guest() {
                true => GUESTS_BREATH,
                false => BREATH,
            };
            tokio::time::sleep(breath).await;
        }
        drop(to_viewer.close().await);
    };
    tokio::select! {
        () = explained => {}
        () = ignore(&mut from_viewer) => {}
        () = looks.end(&portal, found.vnode) => {}
    }
}

/// A worker may not know yet what this master does, or this master what has become of the vnode there: a viewer who comes
/// back to a terminal tries again after this.
const BREATH: Duration = Duration::from_millis(200);
/// The same for a guest, who waits for somebody who begins a shell.
const GUESTS_BREATH: Duration = Duration::from_secs(1);

/// Keeps a viewer company who came while the vnode is on its way.
async fn wait_for_it(portal: Portal, looks: Looks, viewer: WebSocket, coming: VnodeId) {
    let (mut to_viewer, mut from_viewer) = viewer.split();
    tokio::select! {
        () = follow::until_it_runs(&portal, coming, &mut to_viewer) => drop(to_viewer.close().await),
        () = ignore(&mut from_viewer) => {}
        () = looks.end(&portal, coming) => {}
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
    loop {
        let next = tokio::time::timeout(PULSE_EVERY, from_worker.next());
        let Ok(next) = next.await else {
            to_viewer.send(pulse()).await.ok()?;
            continue;
        };
        let message = next?.ok()?;
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
}

/// Passes input on until the viewer leaves. That the worker takes none any more ends nothing: it has a last word. For a
/// viewer who was lost, rather than left, the worker keeps what that one has not read.
async fn pump_to_end<E, F>(
    from_viewer: &mut (impl Stream<Item = Result<ws::Message, E>> + Unpin),
    mut to_worker: impl Sink<Message, Error = F> + Unpin,
    looks: Looks,
) {
    while let Some(Ok(message)) = from_viewer.next().await {
        if matches!(message, ws::Message::Close(_)) {
            // The other side may be gone already.
            drop(to_worker.close().await);
            return;
        }
        if looks.passes(&message)
            && let Some(message) = to_tungstenite(message)
        {
            drop(to_worker.send(message).await);
        }
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

pub(crate) fn to_tungstenite(message: ws::Message) -> Option<Message> {
    match message {
        ws::Message::Text(text) => Some(Message::text(text.as_str())),
        ws::Message::Binary(bytes) => Some(Message::Binary(bytes)),
        ws::Message::Ping(_) | ws::Message::Pong(_) | ws::Message::Close(_) => None,
    }
}

pub(crate) fn to_axum(message: Message) -> Option<ws::Message> {
    match message {
        Message::Text(text) => Some(ws::Message::text(text.as_str())),
        Message::Binary(bytes) => Some(ws::Message::Binary(bytes)),
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => None,
    }
}
