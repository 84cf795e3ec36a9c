//! One act on files of a vnode.
//!
//! From the master, first: text `{"vnode":N,"epoch":N,"ask":…}` ([`FileAsk`]); then binary messages of what is brought, and
//! text `{"stdin":"eof"}`. To the master: text ([`FileSaid`]) and binary messages of what is fetched.
//!
//! [`FileSaid`]: docklet_control::file_wire::FileSaid

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use docklet_control::file_path::FilePath;
use docklet_control::file_wire::{FileAsk, FileRefused, FileSaid, FileWhy};
use docklet_control::id::{Epoch, VnodeId};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use nix::sys::signal::Signal;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio_tungstenite::tungstenite::Message;

use super::terminals::lock;
use super::uploads::{self, Unfinished};
use super::{Door, Socket, attach};
use crate::fault::AgentFault;
use crate::files::frame::{self, Frame};
use crate::lxc::helpers::Working;
use crate::lxc::{FilesRequest, HelperRequest};
use crate::surroundings::Surroundings;
use crate::vnode_dir::container_name;

/// Acts of one vnode, and of all, at once.
const OF_VNODE_MAX: usize = 16;
const ACTS_MAX: usize = 128;
/// An act of which nothing moves for so long is ended: a file system may hang, and a vnode may stop what acts in it.
const SILENCE_MAX: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Act {
    vnode: VnodeId,
    epoch: Epoch,
    ask: FileAsk,
}

/// Acts that are under way.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<VnodeId, OfVnode>>);

/// Acts of one vnode, since there was none.
#[derive(Default)]
struct OfVnode {
    under_way: usize,
    begun: usize,
}

pub(super) struct Turn<'t> {
    turns: &'t Turns,
    vnode: VnodeId,
}

impl Turns {
    pub(super) fn take(&self, vnode: VnodeId) -> Option<Turn<'_>> {
        let mut counts = lock(&self.0);
        let all: usize = counts.values().map(|own| own.under_way).sum();
        let own = counts.entry(vnode).or_default();
        if own.under_way >= OF_VNODE_MAX || all >= ACTS_MAX {
            return None;
        }
        own.under_way += 1;
        own.begun += 1;
        Some(Turn { turns: self, vnode })
    }
}

impl Turn<'_> {
    /// Whether no other act on files of the vnode has been under way since this one began.
    pub(super) fn is_alone(&self) -> bool {
        let counts = lock(&self.turns.0);
        counts.get(&self.vnode).is_some_and(|own| own.begun == 1)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut counts = lock(&self.turns.0);
        if let Some(own) = counts.get_mut(&self.vnode) {
            own.under_way = own.under_way.saturating_sub(1);
        }
        counts.retain(|_, own| own.under_way > 0);
    }
}

/// Serves one act.
pub(super) async fn serve(door: &Arc<Door>, mut socket: Socket) -> Result<(), AgentFault> {
    let Some(Ok(Message::Text(text))) = socket.next().await else {
        return Err(AgentFault::Protocol("what to do with files".to_owned()));
    };
    let act: Act = serde_json::from_str(&text)?;
    let Some(_turn) = door.files.take(act.vnode) else {
        let cause = "too many acts on files of this vnode are under way: wait until one is done";
        return refuse(socket, FileWhy::TooMany, cause.to_owned()).await;
    };
    if let Err(fault) = door.check_runs(act.vnode, act.epoch) {
        return refuse(socket, FileWhy::Absent, fault.full_text()).await;
    }
    door.meter.activity().touch(act.vnode);
    let brings = act.ask.brings();
    let whole = match &act.ask {
        FileAsk::Begin { path, .. } | FileAsk::Append { path, .. } => {
            uploads::remember(door.host.state(), act.vnode, path);
            None
        }
        // Of one that does not break off nothing is left.
        FileAsk::Put { path, .. } => Some(path.clone()),
        FileAsk::Look { .. }
        | FileAsk::Read { .. }
        | FileAsk::Zip { .. }
        | FileAsk::MakeDirectory { .. }
        | FileAsk::Move { .. }
        | FileAsk::Delete { .. }
        | FileAsk::Resume { .. }
        | FileAsk::Finish { .. }
        | FileAsk::Abandon { .. }
        | FileAsk::Sweep { .. } => None,
    };
    let unfinished = Unfinished::new(door, act.vnode, whole);
    match spawn(door, act.vnode, act.ask) {
        Ok(act) => relay(socket, act, brings).await?,
        Err(fault) => refuse(socket, FileWhy::Fault, fault.full_text()).await?,
    }
    unfinished.ended_well();
    Ok(())
}

async fn refuse(mut socket: Socket, why: FileWhy, cause: String) -> Result<(), AgentFault> {
    let refused = FileSaid::Refused(FileRefused {
        why,
        cause,
        bytes: None,
    });
    let text = serde_json::to_string(&refused)?;
    socket.send(Message::text(text)).await?;
    Ok(socket.close(None).await?)
}

/// A process of the vnode that does one act, and our ends of its streams.
pub(super) struct Acting {
    helper: Ending,
    pub(super) stdin: Sender,
    pub(super) stdout: Receiver,
}

/// Ends the helper and what it attached, unless they have ended.
struct Ending(Working);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.signal(Signal::SIGKILL);
    }
}

/// Lets a process of the vnode do one act.
pub(super) fn spawn(door: &Door, vnode: VnodeId, ask: FileAsk) -> Result<Acting, AgentFault> {
    let around = Surroundings::of(door.host.state(), vnode);
    let home = FilePath::parse(&around.directory_of_programs());
    let request = HelperRequest::Files(Box::new(FilesRequest {
        lxc_path: door.host.state().lxc_path(),
        name: container_name(vnode),
        home: home.unwrap_or_else(|_| FilePath::root()),
        ask,
    }));
    let (its_stdin, stdin) = attach::input()?;
    let (its_stdout, stdout) = attach::output()?;
    let standard = [its_stdin, its_stdout, attach::nowhere()?];
    Ok(Acting {
        helper: Ending(attach::begin(door, &request, standard)?),
        stdin,
        stdout,
    })
}

async fn relay(socket: Socket, act: Acting, brings: bool) -> Result<(), AgentFault> {
    let Acting {
        helper,
        stdin,
        stdout,
    } = act;
    let (mut sink, stream) = socket.split();
    let moved = AtomicU64::new(0);
    let said_all = AtomicBool::new(false);
    let told = async {
        tell(&mut sink, stdout, &moved).await?;
        said_all.store(true, Ordering::Relaxed);
        // Now the other end closes, too, and with that the feeding ends.
        Ok(sink.close().await?)
    };
    let fed = async {
        feed(stream, Some(stdin), &moved).await;
        // What was brought until it broke off is dealt with; what nobody waits for any more is not gone on with.
        if brings || said_all.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(AgentFault::Protocol(
            "nobody waits for an act on files".to_owned(),
        ))
    };
    let both = async { tokio::try_join!(told, fed) };
    tokio::select! {
        both = both => {
            both?;
        }
        () = silence(&moved) => {
            return Err(AgentFault::Protocol("an act on files that does not go on".to_owned()));
        }
    }
    helper.0.ended().await?;
    Ok(())
}

/// Until nothing has moved for too long.
async fn silence(moved: &AtomicU64) {
    let mut seen = u64::MAX;
    loop {
        let now = moved.load(Ordering::Relaxed);
        if now == seen {
            return;
        }
        seen = now;
        tokio::time::sleep(SILENCE_MAX).await;
    }
}

/// Passes on what the act says. What is no message came of something that is not ours: then nothing more is passed on.
async fn tell(
    sink: &mut SplitSink<Socket, Message>,
    mut stdout: Receiver,
    moved: &AtomicU64,
) -> Result<(), AgentFault> {
    while let Some(frame) = frame::next(&mut stdout).await? {
        let message = match frame {
            Frame::Word(text) => Message::text(text),
            Frame::Bytes(bytes) => Message::binary(bytes),
        };
        sink.send(message).await?;
        moved.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Passes on what is brought; dropping the pipe is its end.
async fn feed(mut stream: SplitStream<Socket>, mut stdin: Option<Sender>, moved: &AtomicU64) {
    while let Some(Ok(message)) = stream.next().await {
        match message {
            Message::Binary(bytes) => {
                let written = match &mut stdin {
                    Some(pipe) => pipe.write_all(&bytes).await,
                    None => Ok(()),
                };
                if written.is_err() {
                    // It has had enough, and says why.
                    stdin = None;
                }
                moved.fetch_add(1, Ordering::Relaxed);
            }
            Message::Text(_) => stdin = None,
            Message::Close(_) => break,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_knows_whether_another_was_under_way_meanwhile() {
        let (turns, vnode) = (Turns::default(), VnodeId(7));
        let look = turns.take(vnode).expect("room");
        drop(turns.take(VnodeId(8)));
        assert!(look.is_alone(), "those of others do not count");
        drop(turns.take(vnode));
        assert!(!look.is_alone(), "one came and went");
        drop(look);
        let long = turns.take(vnode).expect("room");
        let look = turns.take(vnode).expect("room");
        drop(long);
        assert!(!look.is_alone(), "one was there before");
        drop(look);
        assert!(turns.take(vnode).expect("room").is_alone());
    }
}
