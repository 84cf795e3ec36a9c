//! A terminal in a vnode. When its master is gone, the session is taken up through another: no byte lost or twice. When
//! the vnode moves, a new shell is opened where it goes on. A master that is silent counts as gone.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use nix::sys::termios::{self, LocalFlags, SetArg, Termios};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::VnodeName;
use super::context::Context;
use super::input;
use super::output::{remark_after_program, remark_raw};
use super::silence::{SILENCE_MAX, Watch};
use super::socket::{self, Socket};
use crate::exit::{Class, Failure};

/// A lost connection is taken up again for this long.
const REATTACH: Duration = Duration::from_secs(60);
/// What is typed goes nowhere while the vnode moves, but for this.
const CTRL_C: u8 = 3;
const INTERRUPTED: u8 = 130;
/// The worker hears after so many bytes that they were read; it sends no more than 256 KiB ahead.
const ACKNOWLEDGE_BYTES: u64 = 32 << 10;

#[derive(Args)]
pub struct Shell {
    /// The vnode, as VCLUSTER/host-0
    vnode: VnodeName,
}

/// The terminal's settings, put back when dropped.
pub struct RawMode(Option<Termios>);

impl RawMode {
    fn set(change: impl FnOnce(&mut Termios)) -> Self {
        let stdin = std::io::stdin();
        let Ok(before) = termios::tcgetattr(&stdin) else {
            // Not a terminal: there is nothing to set.
            return Self(None);
        };
        let mut raw = before.clone();
        change(&mut raw);
        let set = termios::tcsetattr(&stdin, SetArg::TCSANOW, &raw);
        Self(set.is_ok().then_some(before))
    }

    /// Every key goes to the vnode.
    pub fn raw() -> Self {
        Self::set(termios::cfmakeraw)
    }

    /// What is typed is not shown.
    pub fn no_echo() -> Self {
        Self::set(|settings| settings.local_flags.remove(LocalFlags::ECHO))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // Nothing better can be done if this fails.
            let _ = termios::tcsetattr(std::io::stdin(), SetArg::TCSANOW, before);
        }
    }
}

/// How one connection ended.
enum End {
    Exit(u8),
    Lost,
}

/// What is known of the shell.
#[derive(Default)]
struct Known {
    /// What its worker calls it; empty until it has said that.
    shell: String,
    /// How far what it printed was read.
    offset: u64,
    /// Where it is, and where the present connection leads, as far as was told.
    worker: String,
    came_to: String,
    /// Where its vnode is going.
    bound_for: Option<String>,
}

pub async fn run(shell: Shell) -> anyhow::Result<ExitCode> {
    let context = Context::load()?;
    refuse_no_terminal(&shell.vnode)?;
    let session = hex::encode(rand::random::<[u8; 16]>());
    let VnodeName { vcluster, vnode } = shell.vnode;
    let viewer = hex::encode(rand::random::<[u8; 8]>());
    let path = format!("/vclusters/{vcluster}/vnodes/{vnode}/terminal");
    let base = format!("{path}?session={session}&viewer={viewer}");
    let mut known = Known::default();
    let mut socket = connect(&context, &base, &known).await?;
    let _raw = RawMode::raw();
    let mut input = input::read();
    loop {
        match talk(socket, &mut input, &mut known).await? {
            End::Exit(code) => return Ok(ExitCode::from(code)),
            End::Lost => socket = reattach(&context, &base, &known).await?,
        }
    }
}

/// A shell on a terminal does not end with its input, and edits what it reads: that is nothing for files and pipes.
fn refuse_no_terminal(vnode: &VnodeName) -> anyhow::Result<()> {
    if std::io::stdin().is_terminal() {
        return Ok(());
    }
    let VnodeName { vcluster, vnode } = vnode;
    let text = format!(
        "standard input is no terminal: give a script to `docklet exec {vcluster}/{vnode} -- sh`"
    );
    Err(Failure::new(Class::Invalid, text).into())
}

async fn connect(context: &Context, base: &str, known: &Known) -> anyhow::Result<Socket> {
    let (cols, rows) = size();
    let Known { shell, offset, .. } = known;
    let place = format!("shell={shell}&from={offset}&cols={cols}&rows={rows}");
    socket::open(context, &format!("{base}&{place}")).await
}

async fn reattach(context: &Context, base: &str, known: &Known) -> anyhow::Result<Socket> {
    if known.bound_for.is_none() {
        remark_raw("connection lost, reattaching");
    }
    let again = async {
        loop {
            match connect(context, base, known).await {
                Ok(socket) => return Ok(socket),
                Err(error) => match error.downcast_ref::<Failure>() {
                    Some(failure) if failure.class == Class::Unavailable => {}
                    _ => return Err(error),
                },
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let lost = || {
        Failure::new(
            Class::Unavailable,
            "no master can be reached; the shell goes on at its worker",
        )
    };
    tokio::time::timeout(REATTACH, again)
        .await
        .map_err(|_| lost())?
}

/// Whether the master took it.
async fn say(sink: &mut SplitSink<Socket, Message>, message: Message) -> bool {
    let said = tokio::time::timeout(SILENCE_MAX, sink.send(message)).await;
    matches!(said, Ok(Ok(())))
}

async fn talk(
    socket: Socket,
    input: &mut mpsc::Receiver<Vec<u8>>,
    known: &mut Known,
) -> anyhow::Result<End> {
    let (mut sink, mut stream) = socket.split();
    let mut resized = signal(SignalKind::window_change())?;
    let mut stdout = tokio::io::stdout();
    let mut open = true;
    // What is typed before is for this shell only if it is the one that was there.
    let mut attached = false;
    let mut acknowledged = known.offset;
    let mut watch = Watch::begin();
    loop {
        tokio::select! {
            () = watch.silence() => return Ok(End::Lost),
            message = stream.next() => match message {
                Some(Ok(Message::Binary(bytes))) => {
                    let fresh = fresh_part(&bytes, &mut known.offset);
                    stdout.write_all(fresh).await?;
                    stdout.flush().await?;
                    // It may have waited for this terminal.
                    watch.heard();
                    if known.offset >= acknowledged + ACKNOWLEDGE_BYTES {
                        acknowledged = known.offset;
                        let text = json!({"read": acknowledged}).to_string();
                        if !say(&mut sink, Message::text(text)).await {
                            return Ok(End::Lost);
                        }
                    }
                }
                Some(Ok(Message::Text(text))) => {
                    watch.heard();
                    match told(&serde_json::from_str(&text)?, known)? {
                        Told::Exit(code) => return Ok(End::Exit(code)),
                        Told::Attached { anew } => {
                            attached = true;
                            while anew && input.try_recv().is_ok() {}
                        }
                        Told::Else => {}
                    }
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => watch.heard(),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(End::Lost),
            },
            typed = input.recv(), if open && (attached || known.bound_for.is_some()) => match typed {
                Some(bytes) if known.bound_for.is_some() => if bytes.contains(&CTRL_C) {
                    return Ok(End::Exit(INTERRUPTED));
                },
                Some(bytes) => if !say(&mut sink, Message::binary(bytes)).await {
                    return Ok(End::Lost);
                },
                None => open = false,
            },
            _ = resized.recv() => {
                let (cols, rows) = size();
                let text = json!({"resize": {"cols": cols, "rows": rows}}).to_string();
                if !say(&mut sink, Message::text(text)).await {
                    return Ok(End::Lost);
                }
            }
        }
    }
}

/// The bytes of a message that were not printed yet.
fn fresh_part<'b>(message: &'b [u8], offset: &mut u64) -> &'b [u8] {
    let Some((position, bytes)) = message.split_first_chunk::<8>() else {
        return &[];
    };
    let start = u64::from_be_bytes(*position);
    let skip = usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX);
    let fresh = bytes.get(skip..).unwrap_or_default();
    *offset = (*offset).max(start + bytes.len() as u64);
    fresh
}

/// What a text message means for the terminal.
enum Told {
    Exit(u8),
    /// Whether to another shell than before.
    Attached {
        anew: bool,
    },
    Else,
}

fn told(text: &Value, known: &mut Known) -> anyhow::Result<Told> {
    if let Some(cause) = text["refused"]["cause"].as_str() {
        return Err(Failure::new(Class::Conflict, format!("no terminal: {cause}")).into());
    }
    if let Some(code) = text["exit"]["code"].as_u64() {
        return Ok(Told::Exit(u8::try_from(code).unwrap_or(255)));
    }
    if let Some(to) = text["moving"]["to"].as_str() {
        say_once_moving(to, known);
    }
    if let Some(worker) = text["via"]["worker"].as_str() {
        known.came_to = worker.to_owned();
    }
    if let Some(attached) = text.get("attached") {
        let shell = attached["shell"].as_str().unwrap_or_default();
        let anew = attach(shell, known);
        return Ok(Told::Attached { anew });
    }
    Ok(Told::Else)
}

fn say_once_moving(to: &str, known: &mut Known) {
    if known.bound_for.as_deref() == Some(to) {
        return;
    }
    if known.worker == to {
        remark_after_program(&format!("starting again on {to} …; ctrl-c leaves"));
    } else {
        remark_after_program(&format!("moving to {to} …; ctrl-c leaves"));
    }
    known.bound_for = Some(to.to_owned());
}

/// Whether it is another shell than before: what is known of that is no more.
fn attach(shell: &str, known: &mut Known) -> bool {
    let before = std::mem::replace(&mut known.shell, shell.to_owned());
    let worker = known.came_to.clone();
    let moved = std::mem::replace(&mut known.worker, worker.clone()) != worker;
    known.bound_for = None;
    let anew = !before.is_empty() && before != shell;
    if anew {
        known.offset = 0;
        let how = if moved { "moved to" } else { "still on" };
        remark_after_program(&format!(
            "{how} {worker}; a new shell there, the one before has ended"
        ));
    }
    anew
}

nix::ioctl_read_bad!(window_size, nix::libc::TIOCGWINSZ, nix::libc::winsize);

/// Columns and rows of this terminal.
fn size() -> (u16, u16) {
    let mut size = nix::libc::winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCGWINSZ writes one winsize, which outlives the call; a descriptor that is no terminal is an error.
    let known = unsafe { window_size(0, &raw mut size) }.is_ok() && size.ws_col > 0;
    if known {
        (size.ws_col, size.ws_row)
    } else {
        (80, 24)
    }
}

#[cfg(test)]
mod tests {
    use super::fresh_part;

    #[test]
    fn bytes_that_come_twice_are_printed_once() {
        let message = |start: u64, bytes: &[u8]| [&start.to_be_bytes()[..], bytes].concat();
        let mut offset = 0;
        assert_eq!(fresh_part(&message(0, b"abc"), &mut offset), b"abc");
        assert_eq!(fresh_part(&message(1, b"bcd"), &mut offset), b"d");
        assert_eq!(fresh_part(&message(0, b"ab"), &mut offset), b"");
        assert_eq!(
            (fresh_part(&message(4, b"e"), &mut offset), offset),
            (&b"e"[..], 5)
        );
    }
}
