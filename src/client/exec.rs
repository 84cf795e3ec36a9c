//! Running a program in a vnode, with its own streams and exit code.

use std::process::ExitCode;

use clap::Args;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;

use super::VnodeName;
use super::context::Context;
use super::input;
use super::output::reader_gone;
use super::silence::Pinged;
use super::socket::{self, Socket};
use crate::exit::{Class, Failure};

#[derive(Args)]
pub struct Exec {
    /// The vnode, as VCLUSTER/host-0
    vnode: VnodeName,
    /// The program and its arguments, after --
    #[arg(last = true, required = true)]
    argv: Vec<String>,
}

pub async fn run(exec: Exec) -> anyhow::Result<ExitCode> {
    let context = Context::load()?;
    let (vcluster, vnode) = (exec.vnode.vcluster, exec.vnode.vnode);
    let path = format!("/vclusters/{vcluster}/vnodes/{vnode}/exec");
    let mut socket = socket::open(&context, &path).await?;
    socket
        .send(Message::text(json!({"argv": exec.argv}).to_string()))
        .await?;
    let (sink, mut stream) = socket.split();
    let input = tokio::spawn(feed(sink));
    let (mut stdout, mut stderr) = (tokio::io::stdout(), tokio::io::stderr());
    let mut master = Pinged::default();
    loop {
        let message = tokio::select! {
            () = master.silence() => return Err(lost("the master fell silent")),
            message = stream.next() => message,
        };
        let Some(message) = message else {
            return Err(lost("the connection ended before the program did"));
        };
        let message = message?;
        master.heard(&message);
        match message {
            Message::Binary(bytes) => match bytes.split_first() {
                Some((1, rest)) => stdout.write_all(rest).await.map_err(reader_gone)?,
                Some((_, rest)) => stderr.write_all(rest).await.map_err(reader_gone)?,
                None => {}
            },
            Message::Text(text) => {
                input.abort();
                stdout.flush().await.map_err(reader_gone)?;
                stderr.flush().await.map_err(reader_gone)?;
                return ended(&serde_json::from_str(&text)?);
            }
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {}
        }
    }
}

fn lost(how: &str) -> anyhow::Error {
    let text = format!("{how}: whether the program still runs is not known");
    Failure::new(Class::Unavailable, text).into()
}

fn ended(last: &Value) -> anyhow::Result<ExitCode> {
    if let Some(cause) = last["refused"]["cause"].as_str() {
        return Err(Failure::new(
            Class::Conflict,
            format!("the program did not start: {cause}"),
        )
        .into());
    }
    let code = last["exit"]["code"]
        .as_u64()
        .and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(255)))
}

/// Passes standard input on, and tells its end.
async fn feed(mut sink: SplitSink<Socket, Message>) {
    let mut input = input::read();
    while let Some(chunk) = input.recv().await {
        if sink.send(Message::binary(chunk)).await.is_err() {
            return;
        }
    }
    let eof = json!({"stdin": "eof"}).to_string();
    // The program may have ended already.
    drop(sink.send(Message::text(eof)).await);
    std::future::pending::<()>().await;
}
