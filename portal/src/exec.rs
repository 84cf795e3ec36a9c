//! Programs that are run in vnodes: this master checks who asks, finds the worker, and passes messages both ways. A program ends
//! with its connection, and whoever waits for it hears of this master by pings.

use std::time::Duration;

use axum::extract::ws::{self, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use docklet_control::audit::command::AuditCommand;
use docklet_control::id::{SecretHash, VnodeId};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use crate::asker::{Asker, refuse_cookie};
use crate::audit;
use crate::bounds::{Lasting, short};
use crate::looks::login_ends;
use crate::problem::Problem;
use crate::pulse::{beat, ping};
use crate::serve::Portal;
use crate::terminal::{to_axum, to_tungstenite};
use crate::worker::{self, Located, WorkerSocket};

pub(crate) async fn program(
    State(portal): State<Portal>,
    asker: Asker,
    headers: HeaderMap,
    Path((vcluster, vnode)): Path<(String, String)>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    refuse_cookie(&headers)?;
    let lease = asker.hold(&portal, Lasting::Terminal)?;
    let found = worker::locate(&portal, &asker, &vcluster, &vnode).await?;
    let socket = worker::open(&portal, &found.worker, "/exec").await?;
    Ok(short(upgrade).on_upgrade(async move |viewer| {
        run(portal, asker, viewer, socket, found).await;
        drop(lease);
    }))
}

/// Letters of a program's name that the audit trail has.
const PROGRAM_LETTERS_MAX: usize = 60;

/// Whoever opens a socket for a program has said by then which.
const FIRST_WORD: Duration = Duration::from_secs(30);

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
    // What a login asks for that has ended meanwhile is not begun.
    let first = tokio::select! {
        biased;
        () = login_ends(&portal, asker.session, found.vnode) => return,
        first = tokio::time::timeout(FIRST_WORD, viewer.next()) => first,
    };
    let Ok(Some(Ok(ws::Message::Text(text)))) = first else {
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
        () = pump(from_viewer, to_worker) => {}
        () = pump_with_pulse(from_worker, to_viewer) => {}
        () = login_ends(&portal, login, vnode) => {}
    }
}

async fn pump(mut from: SplitStream<WebSocket>, mut to: SplitSink<WorkerSocket, Message>) {
    while let Some(Ok(message)) = from.next().await {
        if let Some(message) = to_tungstenite(message)
            && to.send(message).await.is_err()
        {
            return;
        }
    }
    // The other side may be gone already.
    drop(to.close().await);
}

/// What the program says, and a ping at once and every two seconds: a viewer takes a text for the program's end.
async fn pump_with_pulse(
    mut from: SplitStream<WorkerSocket>,
    mut to: SplitSink<WebSocket, ws::Message>,
) {
    let mut beat = beat();
    loop {
        let message = tokio::select! {
            _ = beat.tick() => Some(ping()),
            message = from.next() => match message {
                Some(Ok(message)) => to_axum(message),
                Some(Err(_)) | None => break,
            },
        };
        if let Some(message) = message
            && to.send(message).await.is_err()
        {
            return;
        }
    }
    // The other side may be gone already.
    drop(to.close().await);
}
