//! Terminals. The agent owns the pseudo-terminal and the scroll-back, so a session outlives every browser and every
//! master: whoever comes back with the session and the position that it has read to goes on there.
//!
//! To the viewer: binary messages of an 8-byte big-endian position and bytes from there on; text messages
//! `{"attached":{"shell":"HEX","oldest":N,"end":N}}`, `{"exit":{"code":N}}`, and `{"refused":{"cause":"…","absent":BOOL}}`
//! with whether the vnode does not run here. From the viewer: binary messages of input; text messages
//! `{"resize":{"cols":N,"rows":N}}`.
//!
//! A position is one in what a certain shell printed. A viewer who comes back says which that was; if the session has
//! another shell by now, because the vnode moved or the agent began anew, it gets all of that one.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use docklet_control::id::{Epoch, VnodeId};
use futures_util::{SinkExt, StreamExt};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::Deserialize;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;

use super::ring::Ring;
use super::terminals::{Viewers, Viewing, lock};
use super::{Door, Socket, attach, devpts, pty};
use crate::fault::AgentFault;
use crate::lxc::{AttachRequest, Container, HelperRequest};
use crate::surroundings::Surroundings;
use crate::vnode_dir::container_name;

/// Scroll-back of a session: 1 MiB.
const RING_BYTES: usize = 1 << 20;
/// Bytes of one message.
const CHUNK_BYTES: usize = 32 << 10;
/// What a viewer asks for.
pub(super) struct Open {
    session: String,
    vnode: VnodeId,
    epoch: Epoch,
    from: u64,
    /// The shell that `from` is a position of; empty from viewers who do not know.
    shell: String,
    cols: u16,
    rows: u16,
}

impl Open {
    pub(super) fn parse(session: &str, query: &HashMap<&str, &str>) -> Option<Self> {
        let opaque = session.len() == 32 && session.bytes().all(|b| b.is_ascii_hexdigit());
        let number = |key: &str, default: u64| match query.get(key) {
            Some(text) => text.parse().ok(),
            None => Some(default),
        };
        opaque.then_some(())?;
        Some(Self {
            session: session.to_owned(),
            vnode: query.get("vnode")?.parse().ok()?,
            epoch: query.get("epoch")?.parse().ok()?,
            from: number("from", 0)?,
            shell: query.get("shell").copied().unwrap_or_default().to_owned(),
            cols: u16::try_from(number("cols", 80)?).ok()?,
            rows: u16::try_from(number("rows", 24)?).ok()?,
        })
    }
}

/// How far a session has come.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Progress {
    end: u64,
    exit_code: Option<i32>,
}

/// One shell and what it printed.
pub(super) struct Session {
    pub(super) vnode: VnodeId,
    epoch: Epoch,
    /// What no other shell is called, on whichever worker.
    shell: String,
    master: File,
    ring: Mutex<Ring>,
    progress: watch::Sender<Progress>,
    /// The helper, which leads the session of the shell.
    leader: Pid,
    pub(super) viewers: Mutex<Viewers>,
}

impl Session {
    /// Ends the shell as a terminal does whose line is cut: its leader goes, and the kernel tells what is in front.
    pub(super) fn hang_up(&self) {
        // It may have ended at this very moment.
        let _ = killpg(self.leader, Signal::SIGHUP);
    }
}

/// Text messages of a viewer.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Control {
    Resize { cols: u16, rows: u16 },
}

/// Serves one viewer until it leaves or the shell ends.
pub(super) async fn serve(door: &Arc<Door>, socket: Socket, open: Open) -> Result<(), AgentFault> {
    let mut socket = socket;
    let session = match attach(door, &open).await {
        Ok(session) => session,
        Err(fault) => {
            let absent = matches!(fault, AgentFault::NotHere(_) | AgentFault::NotRunning(_));
            let text =
                serde_json::json!({"refused": {"cause": fault.full_text(), "absent": absent}});
            socket.send(Message::text(text.to_string())).await?;
            return Ok(socket.close(None).await?);
        }
    };
    let another = !open.shell.is_empty() && open.shell != session.shell;
    let from = if another { 0 } else { open.from };
    view(door, socket, &session, from).await
}

/// The session of that name, or a new one.
async fn attach(door: &Arc<Door>, open: &Open) -> Result<Arc<Session>, AgentFault> {
    door.check_runs(open.vnode, open.epoch)?;
    if let Some(session) = known(door, open)? {
        return Ok(session);
    }
    // One after the other: two viewers who come at once for a new session get one shell, not two.
    let _alone = door.terminals.opening.lock().await;
    if let Some(session) = known(door, open)? {
        return Ok(session);
    }
    door.terminals.make_room(open.vnode)?;
    start(door, open).await
}

/// The session of that name, if there is one. The name alone opens nothing: it must be a session of the vnode that the
/// master has checked. One from before the vnode left and came back is over.
fn known(door: &Door, open: &Open) -> Result<Option<Arc<Session>>, AgentFault> {
    let Some(session) = door.terminals.get(&open.session) else {
        return Ok(None);
    };
    if session.vnode != open.vnode {
        return Err(AgentFault::NotHere(open.vnode.0));
    }
    if session.epoch != open.epoch {
        session.hang_up();
        door.terminals.remove(&open.session, &session);
        return Ok(None);
    }
    Ok(Some(session))
}

async fn start(door: &Arc<Door>, open: &Open) -> Result<Arc<Session>, AgentFault> {
    let (held, id) = (door.clone(), open.vnode);
    let (cols, rows) = (open.cols, open.rows);
    let spawned = tokio::task::spawn_blocking(move || spawn_shell(&held, id, cols, rows)).await;
    let (master, child) = spawned.map_err(std::io::Error::other)??;
    let progress = Progress {
        end: 0,
        exit_code: None,
    };
    let session = Arc::new(Session {
        vnode: open.vnode,
        epoch: open.epoch,
        shell: format!("{:016x}", rand::random::<u64>()),
        master,
        ring: Mutex::new(Ring::new(RING_BYTES)),
        progress: watch::Sender::new(progress),
        leader: Pid::from_raw(i32::try_from(child.id()).map_err(std::io::Error::other)?),
        viewers: Mutex::default(),
    });
    door.terminals.insert(&open.session, session.clone());
    let (reader, name, door) = (session.clone(), open.session.clone(), door.clone());
    std::thread::Builder::new()
        .name("terminal".to_owned())
        .spawn(move || {
            let code = read_to_end(&reader, child);
            reader
                .progress
                .send_modify(|progress| progress.exit_code = Some(code));
            door.terminals.remove(&name, &reader);
        })?;
    Ok(session)
}

type Child = std::process::Child;

/// Starts a login shell on a terminal of the container.
fn spawn_shell(
    door: &Door,
    id: VnodeId,
    cols: u16,
    rows: u16,
) -> Result<(File, Child), AgentFault> {
    let state = door.host.state();
    let container = Container::open(&state.lxc_path(), &container_name(id))?;
    let pty = pty::open(&devpts::of(&container)?)?;
    pty::resize(&pty.master, cols, rows)?;
    let around = Surroundings::of(state, id);
    let mut environment = around.environment();
    environment.push("TERM=xterm-256color".to_owned());
    let request = HelperRequest::Attach(AttachRequest {
        lxc_path: state.lxc_path(),
        name: container_name(id),
        argv: ["/bin/sh", "-c", around.shell()]
            .map(str::to_owned)
            .to_vec(),
        environment,
        directory: around.directory_of_programs(),
        terminal: true,
    });
    let slave = |what: std::io::Result<std::os::fd::OwnedFd>| what.map(Stdio::from);
    let stdio = [
        slave(pty.slave.try_clone())?,
        slave(pty.slave.try_clone())?,
        Stdio::from(pty.slave),
    ];
    let mut command = attach::command(door, &request, stdio)?;
    let child = command.spawn().map_err(attach::no_helper(door))?;
    Ok((pty.master, child))
}

/// Reads all that the shell prints; answers its exit code.
fn read_to_end(session: &Session, mut child: Child) -> i32 {
    let mut chunk = vec![0; CHUNK_BYTES];
    // The last slave end to close makes reading fail with EIO: that is the end.
    while let Ok(length @ 1..) = (&session.master).read(&mut chunk) {
        let end = {
            let mut ring = lock(&session.ring);
            ring.push(&chunk[..length]);
            ring.end()
        };
        session.progress.send_modify(|progress| progress.end = end);
    }
    child
        .wait()
        .ok()
        .and_then(|status| status.code())
        .unwrap_or(255)
}

/// Sends what there is from `from` on and then what comes; passes input on.
async fn view(
    door: &Door,
    mut socket: Socket,
    session: &Arc<Session>,
    from: u64,
) -> Result<(), AgentFault> {
    let _viewing = Viewing::begin(&session.viewers);
    let (oldest, end) = {
        let ring = lock(&session.ring);
        (ring.oldest(), ring.end())
    };
    let shell = &session.shell;
    let attached = serde_json::json!({"attached": {"shell": shell, "oldest": oldest, "end": end}});
    socket.send(Message::text(attached.to_string())).await?;
    let (mut sink, mut stream) = socket.split();
    let mut progress = session.progress.subscribe();
    let mut from = from;
    loop {
        let now = *progress.borrow_and_update();
        while from < now.end {
            let (start, bytes) = lock(&session.ring).read(from, CHUNK_BYTES);
            from = start + bytes.len() as u64;
            let mut message = start.to_be_bytes().to_vec();
            message.extend(bytes);
            sink.send(Message::binary(message)).await?;
        }
        if let Some(code) = now.exit_code {
            let exit = serde_json::json!({"exit": {"code": code}});
            sink.send(Message::text(exit.to_string())).await?;
            return Ok(sink.close().await?);
        }
        tokio::select! {
            // The session's own sender lives as long as the session.
            changed = progress.changed() => if changed.is_err() { return Ok(()) },
            message = stream.next() => match message {
                Some(Ok(Message::Binary(input))) => {
                    door.meter.activity().touch(session.vnode);
                    write_input(session, input.to_vec()).await?;
                }
                Some(Ok(Message::Text(text))) => control(session, &text)?,
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(Err(error)) => return Err(error.into()),
            },
        }
    }
}

/// Writing to a terminal blocks while its program does not read.
async fn write_input(session: &Arc<Session>, input: Vec<u8>) -> Result<(), AgentFault> {
    let session = session.clone();
    let write = move || (&session.master).write_all(&input);
    let written = tokio::task::spawn_blocking(write).await;
    written.map_err(std::io::Error::other)??;
    Ok(())
}

fn control(session: &Session, text: &str) -> Result<(), AgentFault> {
    match serde_json::from_str(text)? {
        Control::Resize { cols, rows } => pty::resize(&session.master, cols, rows),
    }
}
