//! Connections to ports of vnodes through the cluster's public port, with one's own token.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

use super::VnodeName;
use super::caller;
use super::context::Context;
use super::input;
use super::output::remark;
use super::silence::Pinged;
use super::socket::{self, Socket};
use crate::exit::{Class, Failure};

/// Bytes of one message.
const CHUNK_BYTES: usize = 64 << 10;

const ENDED: &str =
    "the cluster ended the connection: the vnode stopped or moved, or your login is over";
const SILENT: &str =
    "the master fell silent: whether all that was sent came there is not known; connect again";

#[derive(Args)]
pub struct PortForward {
    /// The vnode, as VCLUSTER/host-0
    vnode: VnodeName,
    /// Ports, as 8080:80 for port 8080 here and port 80 there, or 80 for both; 0:80 for any free one here
    #[arg(required = true, value_name = "LOCAL:REMOTE")]
    ports: Vec<Forward>,
    /// Address to listen on here; unless it is one of this machine alone, whoever reaches it comes in as you
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    /// Let other users of this machine come in as you, too
    #[arg(long)]
    anyone: bool,
    /// Connect standard input and output to the one port, as ssh's ProxyCommand wants it
    #[arg(long)]
    stdio: bool,
}

/// A port here, and where it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Forward {
    local: u16,
    remote: u16,
}

impl FromStr for Forward {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (local, remote) = text.split_once(':').unwrap_or((text, text));
        let port = |text: &str| text.parse::<u16>().ok();
        let forward = port(local).zip(port(remote).filter(|remote| *remote > 0));
        let (local, remote) = forward.ok_or("give LOCAL:REMOTE, each from 1 to 65535")?;
        Ok(Self { local, remote })
    }
}

pub async fn run(ask: PortForward) -> anyhow::Result<ExitCode> {
    let context = Arc::new(Context::load()?);
    if ask.stdio {
        let [forward] = ask.ports[..] else {
            let text = "--stdio takes one port";
            return Err(Failure::new(Class::Invalid, text).into());
        };
        let socket = open(&context, &ask.vnode, forward.remote).await?;
        relay(socket, input::reader(), tokio::io::stdout()).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut listening = tokio::task::JoinSet::new();
    for forward in ask.ports {
        let here = SocketAddr::new(ask.address, forward.local);
        let listener = TcpListener::bind(here).await.map_err(|error| {
            let text = format!("{here} cannot be listened on ({error}): choose another local port");
            Failure::new(Class::Conflict, text)
        })?;
        let here = listener.local_addr()?;
        remark(&format!(
            "{here} leads to {} port {}",
            ask.vnode, forward.remote
        ));
        listening.spawn(accept(Door {
            context: context.clone(),
            vnode: ask.vnode.clone(),
            listener,
            here,
            remote: forward.remote,
            anyone: ask.anyone || !ask.address.is_loopback(),
        }));
    }
    match listening.join_next().await {
        Some(ended) => ended?.map(|()| ExitCode::SUCCESS),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Where one listens, and where that leads.
struct Door {
    context: Arc<Context>,
    vnode: VnodeName,
    listener: TcpListener,
    here: SocketAddr,
    remote: u16,
    /// Whether users of this machine come in who are neither root nor oneself.
    anyone: bool,
}

async fn accept(door: Door) -> anyhow::Result<()> {
    loop {
        let accepted = door.listener.accept().await;
        let (stream, there) = accepted.context("accept a connection")?;
        if !door.anyone && !is_own(there, door.here)? {
            remark(
                "a connection of another user of this machine was refused: `--anyone` lets them in",
            );
            continue;
        }
        let (context, vnode, remote) = (door.context.clone(), door.vnode.clone(), door.remote);
        tokio::spawn(async move {
            if let Err(error) = one(&context, &vnode, stream, remote).await {
                remark(&format!("a connection ended: {error:#}"));
            }
        });
    }
}

/// Whether who connected is who runs this, or root, who could take the token anyway. Nobody knows whose an end is that is gone.
fn is_own(there: SocketAddr, here: SocketAddr) -> anyhow::Result<bool> {
    let user = caller::user_at(there, here).context("look whose a connection is")?;
    let me = nix::unistd::geteuid().as_raw();
    Ok(user.is_some_and(|user| user == 0 || user == me))
}

async fn one(
    context: &Context,
    vnode: &VnodeName,
    stream: TcpStream,
    remote: u16,
) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let socket = open(context, vnode, remote).await?;
    let (reads, writes) = stream.into_split();
    relay(socket, reads, writes).await
}

async fn open(context: &Context, name: &VnodeName, port: u16) -> anyhow::Result<Socket> {
    let (vcluster, vnode) = (&name.vcluster, &name.vnode);
    let path = format!("/vclusters/{vcluster}/vnodes/{vnode}/connect?port={port}");
    socket::open(context, &path).await
}

/// Passes bytes both ways until both directions have ended, or the far one has and nobody here reads on.
async fn relay(
    socket: Socket,
    reads: impl AsyncRead + Unpin,
    writes: impl AsyncWrite + Unpin,
) -> anyhow::Result<()> {
    let (sink, stream) = socket.split();
    let inward = take(stream, writes);
    tokio::pin!(inward);
    tokio::select! {
        ended = &mut inward => ended,
        fed = feed(sink, reads) => match fed {
            // What was sent to its end may still be answered.
            Ok(_open) => inward.await,
            Err(error) => Err(error),
        },
    }
}

/// Sends what there is to send, then its end. The socket stays open.
async fn feed(
    mut sink: SplitSink<Socket, Message>,
    mut reads: impl AsyncRead + Unpin,
) -> anyhow::Result<SplitSink<Socket, Message>> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = reads.read(&mut chunk).await?;
        sink.send(Message::binary(chunk[..length].to_vec())).await?;
        if length == 0 {
            return Ok(sink);
        }
    }
}

async fn take(
    mut stream: SplitStream<Socket>,
    mut writes: impl AsyncWrite + Unpin,
) -> anyhow::Result<()> {
    let mut master = Pinged::default();
    loop {
        let message = tokio::select! {
            () = master.silence() => return Err(ended(SILENT)),
            message = stream.next() => message,
        };
        let Some(message) = message else { break };
        let message = message?;
        master.heard(&message);
        match message {
            Message::Binary(bytes) if bytes.is_empty() => {
                writes.shutdown().await?;
                return Ok(());
            }
            Message::Binary(bytes) => {
                writes.write_all(&bytes).await?;
                writes.flush().await?;
            }
            Message::Close(_) => break,
            Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
    Err(ended(ENDED))
}

fn ended(how: &str) -> anyhow::Error {
    Failure::new(Class::Unavailable, how).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_they_are_written() {
        let forward = |local, remote| Ok(Forward { local, remote });
        assert_eq!("8080:80".parse(), forward(8_080, 80));
        assert_eq!("80".parse(), forward(80, 80));
        assert_eq!("0:80".parse(), forward(0, 80));
        for wrong in [
            "", "80:", ":80", "80:0", "0", "80:80:80", "x", "65536", "-1",
        ] {
            assert!(wrong.parse::<Forward>().is_err(), "{wrong}");
        }
    }
}
