//! Running one program in a vnode, with separate streams and its exit code.
//!
//! From the master, first: text `{"vnode":N,"epoch":N,"argv":[…]}`; then binary messages of standard input and text
//! `{"stdin":"eof"}`. To the master: binary messages of one byte (1 standard output, 2 standard error) and bytes,
//! at last text `{"exit":{"code":N}}`, or `{"refused":{"cause":"…"}}`.

use std::process::Stdio;
use std::sync::Arc;

use docklet_control::id::{Epoch, VnodeId};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::ChildStdin;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::terminal::spawn_attached;
use super::{Door, Socket};
use crate::fault::AgentFault;
use crate::lxc::{AttachRequest, HelperRequest};
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
    let child = match spawn(door, run) {
        Ok(child) => child,
        Err(fault) => {
            let text = serde_json::json!({"refused": {"cause": fault.full_text()}});
            socket.send(Message::text(text.to_string())).await?;
            return Ok(socket.close(None).await?);
        }
    };
    relay(socket, child).await
}

type Pipes = (
    std::process::Child,
    ChildStdin,
    tokio::process::ChildStdout,
    tokio::process::ChildStderr,
);

fn spawn(door: &Door, run: Run) -> Result<Pipes, AgentFault> {
    door.check_placed(run.vnode, run.epoch)?;
    let request = HelperRequest::Attach(AttachRequest {
        lxc_path: door.host.state().lxc_path(),
        name: container_name(run.vnode),
        argv: run.argv,
        environment: crate::act::environment(),
        directory: "/root".to_owned(),
        terminal: false,
    });
    let mut child = spawn_attached(
        door,
        &request,
        [Stdio::piped(), Stdio::piped(), Stdio::piped()],
    )?;
    let gone = || AgentFault::Protocol("a helper without streams".to_owned());
    let stdin = ChildStdin::from_std(child.stdin.take().ok_or_else(gone)?)?;
    let stdout = tokio::process::ChildStdout::from_std(child.stdout.take().ok_or_else(gone)?)?;
    let stderr = tokio::process::ChildStderr::from_std(child.stderr.take().ok_or_else(gone)?)?;
    Ok((child, stdin, stdout, stderr))
}

async fn relay(
    socket: Socket,
    (mut child, stdin, stdout, stderr): Pipes,
) -> Result<(), AgentFault> {
    let (sink, stream) = socket.split();
    let (output, printed) = mpsc::channel(16);
    let input = tokio::spawn(feed(stream, stdin));
    let readers = [
        tokio::spawn(read(1, stdout, output.clone())),
        tokio::spawn(read(2, stderr, output)),
    ];
    let mut sink = send_all(sink, printed).await?;
    for reader in readers {
        reader.await.map_err(std::io::Error::other)??;
    }
    let status = tokio::task::spawn_blocking(move || child.wait()).await;
    let status = status.map_err(std::io::Error::other)??;
    input.abort();
    let exit = serde_json::json!({"exit": {"code": status.code().unwrap_or(255)}});
    sink.send(Message::text(exit.to_string())).await?;
    Ok(sink.close().await?)
}

async fn send_all(
    mut sink: SplitSink<Socket, Message>,
    mut printed: mpsc::Receiver<Message>,
) -> Result<SplitSink<Socket, Message>, AgentFault> {
    while let Some(message) = printed.recv().await {
        sink.send(message).await?;
    }
    Ok(sink)
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

/// Passes standard input on; dropping the pipe is its end.
async fn feed(mut stream: SplitStream<Socket>, mut stdin: ChildStdin) {
    while let Some(Ok(message)) = stream.next().await {
        let written = match message {
            Message::Binary(bytes) => stdin.write_all(&bytes).await,
            Message::Text(_) | Message::Close(_) => return,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(()),
        };
        if written.is_err() {
            // The program does not read any more.
            return;
        }
    }
}
