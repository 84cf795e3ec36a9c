//! Running one program in a vnode, with separate streams and its exit code.
//!
//! From the master, first: text `{"vnode":N,"epoch":N,"argv":[…]}`; then binary messages of standard input and text
//! `{"stdin":"eof"}`. To the master: binary messages of one byte (1 standard output, 2 standard error) and bytes,
//! at last text `{"exit":{"code":N}}`, or `{"refused":{"cause":"…"}}`.

use std::sync::Arc;

use docklet_control::id::{Epoch, VnodeId};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use nix::sys::signal::Signal;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::{Door, Socket, attach};
use crate::fault::AgentFault;
use crate::lxc::helpers::Working;
use crate::lxc::{AttachRequest, HelperRequest};
use crate::surroundings::Surroundings;
use crate::vnode_dir::container_name;

/// Bytes of one message.
const CHUNK_BYTES: usize = 32 << 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    vnode: VnodeId,
    epoch: Epoch,
    argv: Vec<String>,
}

/// Serves one program.
pub(super) async fn serve(door: &Arc<Door>, mut socket: Socket) -> Result<(), AgentFault> {
    let Some(Ok(Message::Text(text))) = socket.next().await else {
        return Err(AgentFault::Protocol("what to run".to_owned()));
    };
    let run: Run = serde_json::from_str(&text)?;
    let program = match spawn(door, run) {
        Ok(program) => program,
        Err(fault) => {
            let text = serde_json::json!({"refused": {"cause": fault.full_text()}});
            socket.send(Message::text(text.to_string())).await?;
            return Ok(socket.close(None).await?);
        }
    };
    relay(socket, program).await
}

/// A program and our ends of its streams.
struct Program {
    helper: Working,
    stdin: Sender,
    stdout: Receiver,
    stderr: Receiver,
}

/// Starts the program as the leader of a session, so that all of it can be told to end.
fn spawn(door: &Door, run: Run) -> Result<Program, AgentFault> {
    door.check_runs(run.vnode, run.epoch)?;
    door.meter.activity().touch(run.vnode);
    let around = Surroundings::of(door.host.state(), run.vnode);
    let request = HelperRequest::Attach(AttachRequest {
        lxc_path: door.host.state().lxc_path(),
        name: container_name(run.vnode),
        argv: run.argv,
        environment: around.environment(),
        directory: around.directory_of_programs(),
        terminal: false,
    });
    let (its_stdin, stdin) = attach::input()?;
    let (its_stdout, stdout) = attach::output()?;
    let (its_stderr, stderr) = attach::output()?;
    let helper = attach::begin(door, &request, [its_stdin, its_stdout, its_stderr])?;
    Ok(Program {
        helper,
        stdin,
        stdout,
        stderr,
    })
}

/// Serves the program until it has ended, or nobody is there any more to see what it does: then it is told to hang
/// up, as if it had lost its terminal.
async fn relay(socket: Socket, program: Program) -> Result<(), AgentFault> {
    let Program {
        helper,
        stdin,
        stdout,
        stderr,
    } = program;
    let (sink, stream) = socket.split();
    let told = tokio::select! {
        told = tell(sink, &helper, stdout, stderr) => told.map(|()| true),
        () = feed(stream, Some(stdin)) => Ok(false),
    };
    if !matches!(told, Ok(true)) {
        // Nobody listens. What wants to go on then, ignores it.
        helper.signal(Signal::SIGHUP);
    }
    told.map(|_| ())
}

/// Tells what the program prints, and at last its exit code.
async fn tell(
    mut sink: SplitSink<Socket, Message>,
    helper: &Working,
    stdout: Receiver,
    stderr: Receiver,
) -> Result<(), AgentFault> {
    let (output, printed) = mpsc::channel(16);
    tokio::try_join!(
        send_all(&mut sink, printed),
        read(1, stdout, output.clone()),
        read(2, stderr, output),
    )?;
    let status = helper.ended().await?;
    let exit = serde_json::json!({"exit": {"code": status.code().unwrap_or(255)}});
    sink.send(Message::text(exit.to_string())).await?;
    Ok(sink.close().await?)
}

async fn send_all(
    sink: &mut SplitSink<Socket, Message>,
    mut printed: mpsc::Receiver<Message>,
) -> Result<(), AgentFault> {
    while let Some(message) = printed.recv().await {
        sink.send(message).await?;
    }
    Ok(())
}

async fn read(
    tag: u8,
    mut from: impl AsyncRead + Unpin,
    output: mpsc::Sender<Message>,
) -> Result<(), AgentFault> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = from.read(&mut chunk[1..]).await?;
        if length == 0 {
            return Ok(());
        }
        chunk[0] = tag;
        let message = Message::binary(chunk[..=length].to_vec());
        if output.send(message).await.is_err() {
            return Ok(());
        }
    }
}

/// Passes standard input on; dropping the pipe is its end. Ends when the asker goes.
async fn feed(mut stream: SplitStream<Socket>, mut stdin: Option<Sender>) {
    while let Some(Ok(message)) = stream.next().await {
        match message {
            Message::Binary(bytes) => {
                if let Some(pipe) = &mut stdin
                    && pipe.write_all(&bytes).await.is_err()
                {
                    // The program does not read any more.
                    stdin = None;
                }
            }
            Message::Text(_) => stdin = None,
            Message::Close(_) => return,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}
