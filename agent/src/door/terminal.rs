//! Terminals. The agent owns the pseudo-terminal and the scroll-back, so a session outlives every browser and every
//! master: whoever comes back with the session and the position that it has read to goes on there.
//!
//! To the viewer: binary messages of an 8-byte big-endian position and bytes from there on; text messages
//! `{"attached":{"shell":"HEX","oldest":N,"end":N}}`, `{"exit":{"code":N}}`, and `{"refused":{"cause":"…","absent":BOOL}}`
//! with whether the vnode, or for guests the shell, does not run here, and `{"company":{"viewers":N,"recording":BOOL,"cols":N,"rows":N}}`. From the viewer: binary messages of
//! input; text messages `{"resize":{"cols":N,"rows":N}}`, `{"read":N}`, how far it has come, and `{"record":BOOL}`.
//!
//! A viewer with a name says how far it has read, gets no more than [`WINDOW_BYTES`] beyond that, and the shell waits for it
//! ([`super::audience`]). One that watches has no say: what it types, and the size of its window, change nothing.
//!
//! A position is one in what a certain shell printed. A viewer who comes back says which that was; if the session has
//! another shell by now, because the vnode moved or the agent began anew, it gets all of that one.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use docklet_control::id::{Epoch, UserId, VnodeId};
use futures_util::{SinkExt, StreamExt};
use nix::sys::signal::Signal;
use serde::Deserialize;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;

use super::audience::{Audience, Company, Viewing};
use super::ring::Ring;
use super::terminals::lock;
use super::{Door, Socket, attach, devpts, pty};
use crate::fault::AgentFault;
use crate::lxc::helpers::Working;
use crate::lxc::{AttachRequest, Container, HelperRequest};
use crate::surroundings::Surroundings;
use crate::transfer::names::strict_number;
use crate::vnode_dir::container_name;

/// Scroll-back of a session: 1 MiB.
const RING_BYTES: usize = 1 << 20;
/// Bytes of one message.
const CHUNK_BYTES: usize = 32 << 10;
/// A viewer who says how far it has read gets so much beyond that.
const WINDOW_BYTES: u64 = 256 << 10;

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
    /// By which a viewer comes back who says how far it has read.
    viewer: Option<String>,
    /// It only looks on.
    watches: bool,
    /// It came by a link to a shell that is there: it begins none.
    is_guest: bool,
    /// Whose a shell is that it begins; none from masters that do not say.
    person: Option<UserId>,
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
            viewer: query.get("viewer").map(|&viewer| viewer.to_owned()),
            watches: query.get("watch").is_some(),
            is_guest: query.get("guest").is_some(),
            person: person_of(query),
        })
    }
}

/// The person of whom a master speaks, if it speaks of one.
fn person_of(query: &HashMap<&str, &str>) -> Option<UserId> {
    let number = query
        .get("person")
        .and_then(|&person| strict_number(person));
    number.map(UserId)
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
    pub(super) epoch: Epoch,
    pub(super) person: Option<UserId>,
    pub(super) began: Instant,
    /// What no other shell is called, on whichever worker.
    shell: String,
    master: File,
    ring: Mutex<Ring>,
    progress: watch::Sender<Progress>,
    /// It has the shell run, which leads a session.
    helper: Working,
    pub(super) audience: Audience,
}

impl Session {
    /// Ends the shell as a terminal does whose line is cut: the shell hears of it, and with it the kernel tells what is in front.
    pub(super) fn hang_up(&self) {
        self.helper.signal(Signal::SIGHUP);
    }
}

/// Text messages of a viewer.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Control {
    Resize { cols: u16, rows: u16 },
    Read(u64),
    Record(bool),
}

/// Serves one viewer until it leaves or the shell ends.
pub(super) async fn serve(door: &Arc<Door>, socket: Socket, open: Open) -> Result<(), AgentFault> {
    let mut socket = socket;
    let session = match attach(door, &open).await {
        Ok(session) => session,
        Err(fault) => {
            let absent = matches!(
                fault,
                AgentFault::NotHere(_) | AgentFault::NotRunning(_) | AgentFault::NotShared
            );
            let text =
                serde_json::json!({"refused": {"cause": fault.full_text(), "absent": absent}});
            socket.send(Message::text(text.to_string())).await?;
            return Ok(socket.close(None).await?);
        }
    };
    let another = !open.shell.is_empty() && open.shell != session.shell;
    let from = if another { 0 } else { open.from };
    View {
        door,
        session: &session,
        viewing: session.audience.begin(open.viewer.as_deref(), from),
        watches: open.watches,
        from,
        read: open.viewer.is_some().then_some(from),
    }
    .serve(socket)
    .await
}

/// The session of that name, or a new one.
async fn attach(door: &Arc<Door>, open: &Open) -> Result<Arc<Session>, AgentFault> {
    door.check_runs(open.vnode, open.epoch)?;
    if let Some(session) = known(door, open)? {
        return Ok(session);
    }
    if open.is_guest {
        return Err(AgentFault::NotShared);
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
    let (master, helper) = spawned.map_err(std::io::Error::other)??;
    let progress = Progress {
        end: 0,
        exit_code: None,
    };
    let session = Arc::new(Session {
        vnode: open.vnode,
        epoch: open.epoch,
        person: open.person,
        began: Instant::now(),
        shell: format!("{:016x}", rand::random::<u64>()),
        master,
        ring: Mutex::new(Ring::new(RING_BYTES)),
        progress: watch::Sender::new(progress),
        helper,
        audience: Audience::new(cols, rows),
    });
    door.terminals.insert(&open.session, session.clone());
    let (reader, name, door) = (session.clone(), open.session.clone(), door.clone());
    std::thread::Builder::new()
        .name("terminal".to_owned())
        .spawn(move || {
            let code = read_to_end(&reader);
            reader
                .progress
                .send_modify(|progress| progress.exit_code = Some(code));
            // Who was lost on the way comes back for the rest, and who looks is given it meanwhile.
            let end = lock(&reader.ring).end();
            reader.audience.wait_until_read(end);
            door.terminals.remove(&name, &reader);
        })?;
    Ok(session)
}

/// Starts a login shell on a terminal of the container.
fn spawn_shell(
    door: &Door,
    id: VnodeId,
    cols: u16,
    rows: u16,
) -> Result<(File, Working), AgentFault> {
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
    let standard = [pty.slave.try_clone()?, pty.slave.try_clone()?, pty.slave];
    Ok((pty.master, attach::begin(door, &request, standard)?))
}

/// Reads all that the shell prints; answers its exit code.
fn read_to_end(session: &Session) -> i32 {
    let mut chunk = vec![0; CHUNK_BYTES];
    // The last slave end to close makes reading fail with EIO: that is the end as well.
    while pty::has_more(&session.master, session.helper.descriptor())
        && let Ok(length @ 1..) = (&session.master).read(&mut chunk)
    {
        let all = lock(&session.ring).end() + length as u64;
        session
            .audience
            .wait_until_read(all.saturating_sub(RING_BYTES as u64));
        let end = {
            let mut ring = lock(&session.ring);
            ring.push(&chunk[..length]);
            ring.end()
        };
        session.progress.send_modify(|progress| progress.end = end);
    }
    let ended = session.helper.wait().ok();
    ended.and_then(|status| status.code()).unwrap_or(255)
}

/// One viewer at a session.
struct View<'s> {
    door: &'s Door,
    session: &'s Arc<Session>,
    viewing: Viewing<'s>,
    watches: bool,
    /// What was sent.
    from: u64,
    /// How far the viewer says that it has read, if it does.
    read: Option<u64>,
}

/// What a viewer wanted last.
enum Wants {
    More,
    ToLeave,
}

impl View<'_> {
    /// Until it comes back over another connection: what is sent over this one after that is of the past.
    async fn serve(self, socket: Socket) -> Result<(), AgentFault> {
        let replaced = self.viewing.replaced();
        tokio::select! {
            served = self.show(socket) => served,
            () = replaced.notified() => Ok(()),
        }
    }

    /// Sends what there is and then what comes; passes input on.
    async fn show(mut self, mut socket: Socket) -> Result<(), AgentFault> {
        let session = self.session;
        let (oldest, end) = {
            let ring = lock(&session.ring);
            (ring.oldest(), ring.end())
        };
        let shell = &session.shell;
        let attached =
            serde_json::json!({"attached": {"shell": shell, "oldest": oldest, "end": end}});
        socket.send(Message::text(attached.to_string())).await?;
        let (mut sink, mut stream) = socket.split();
        let mut progress = session.progress.subscribe();
        let mut company = session.audience.company();
        company.mark_changed();
        loop {
            let now = *progress.borrow_and_update();
            while self.from < now.end && self.has_room() {
                sink.send(self.next_bytes()).await?;
            }
            if let Some(code) = now.exit_code
                && self.from == now.end
            {
                let exit = serde_json::json!({"exit": {"code": code}});
                sink.send(Message::text(exit.to_string())).await?;
                self.viewing.leave();
                return Ok(sink.close().await?);
            }
            tokio::select! {
                // The session's own senders live as long as the session.
                changed = progress.changed() => if changed.is_err() { return Ok(()) },
                Ok(()) = company.changed() => {
                    let now = *company.borrow_and_update();
                    sink.send(tell(now)).await?;
                }
                message = stream.next() => match message {
                    Some(message) => if let Wants::ToLeave = self.take(message?).await? {
                        self.viewing.leave();
                        return Ok(());
                    },
                    None => return Ok(()),
                },
            }
        }
    }

    fn has_room(&self) -> bool {
        self.read.is_none_or(|read| self.from < read + WINDOW_BYTES)
    }

    fn next_bytes(&mut self) -> Message {
        let (start, bytes) = lock(&self.session.ring).read(self.from, CHUNK_BYTES);
        self.from = start + bytes.len() as u64;
        let mut message = start.to_be_bytes().to_vec();
        message.extend(bytes);
        Message::binary(message)
    }

    async fn take(&mut self, message: Message) -> Result<Wants, AgentFault> {
        match message {
            Message::Binary(input) if !self.watches => {
                self.door.meter.activity().touch(self.session.vnode);
                write_input(self.session, input.to_vec()).await?;
            }
            Message::Text(text) => self.control(&text)?,
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            Message::Close(_) => return Ok(Wants::ToLeave),
        }
        Ok(Wants::More)
    }

    fn control(&mut self, text: &str) -> Result<(), AgentFault> {
        match serde_json::from_str(text)? {
            Control::Resize { .. } | Control::Record(_) if self.watches => {}
            Control::Resize { cols, rows } => {
                pty::resize(&self.session.master, cols, rows)?;
                self.session.audience.resized(cols, rows);
            }
            Control::Record(records) => self.viewing.record(records),
            Control::Read(position) => {
                let position = position.min(self.from);
                self.read = self.read.map(|read| read.max(position));
                self.viewing.read(position);
            }
        }
        Ok(())
    }
}

fn tell(company: Company) -> Message {
    let Company {
        viewers,
        recording,
        cols,
        rows,
    } = company;
    let told = serde_json::json!({"company": {
        "viewers": viewers, "recording": recording, "cols": cols, "rows": rows,
    }});
    Message::text(told.to_string())
}

/// Writing to a terminal blocks while its program does not read.
async fn write_input(session: &Arc<Session>, input: Vec<u8>) -> Result<(), AgentFault> {
    let session = session.clone();
    let write = move || (&session.master).write_all(&input);
    let written = tokio::task::spawn_blocking(write).await;
    written.map_err(std::io::Error::other)??;
    Ok(())
}
