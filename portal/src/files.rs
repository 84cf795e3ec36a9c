//! Files of vnodes: this master checks who asks, lets the audit trail have it, and passes bytes on as fast as the slower side
//! takes them. It keeps nothing: whoever goes on with something may do so through any master.

mod told;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use docklet_control::Command;
use docklet_control::audit::command::AuditCommand;
use docklet_control::file_path::FilePath;
use docklet_control::file_wire::{FileAsk, FileRefused, FileSaid, FileWhy};
use docklet_control::id::LogIndex;
use futures_util::{SinkExt, Stream, StreamExt, stream};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_tungstenite::tungstenite::Message;

use crate::asker::Asker;
use crate::audit;
use crate::bounds::{Lasting, Lease};
use crate::looks::login_ends;
use crate::problem::Problem;
use crate::receipt;
use crate::serve::Portal;
use crate::worker::{self, Located, WorkerSocket};

use told::Told;

/// Acts that one master passes on at once.
static TURNS: Semaphore = Semaphore::const_new(256);
/// A worker ends what does not go on sooner than this.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// What somebody goes on sending although it was refused is read for so long, so that they see why.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);
/// Somebody who sends nothing for so long has gone.
const BODY_SILENCE_MAX: Duration = Duration::from_secs(60);

/// What somebody does to files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Touch {
    Read(FilePath),
    Write(FilePath),
    Delete(FilePath),
    Move(FilePath, FilePath),
}

/// A vnode whose files somebody reaches.
pub(crate) struct Reached {
    portal: Portal,
    asker: Asker,
    found: Located,
    lease: Arc<Lease>,
}

impl Reached {
    /// # Errors
    /// There is no such vnode for the asker, it does not run, or they have as much under way as they may.
    pub(crate) async fn new(
        portal: &Portal,
        asker: &Asker,
        vcluster: &str,
        vnode: &str,
    ) -> Result<Self, Problem> {
        let lease = Arc::new(asker.hold(portal, Lasting::Transfer)?);
        let found = worker::locate(portal, asker, vcluster, vnode).await?;
        Ok(Self {
            portal: portal.clone(),
            asker: asker.clone(),
            found,
            lease,
        })
    }

    /// Lets the audit trail have it. What lies within `batch`, a directory of which somebody does all, is told once.
    pub(crate) async fn note(&self, touch: Touch, batch: Option<&FilePath>) -> Result<(), Problem> {
        let told = self.told(&touch, batch)?;
        if !told.is_known() {
            self.tell_of(touch, told).await?;
        }
        Ok(())
    }

    /// The same, whatever it has heard before; answers the entry, if there is one by now.
    pub(crate) async fn tell(
        &self,
        touch: Touch,
        batch: Option<&FilePath>,
    ) -> Result<Option<LogIndex>, Problem> {
        let told = self.told(&touch, batch)?;
        self.tell_of(touch, told).await
    }

    async fn tell_of(&self, touch: Touch, told: Told) -> Result<Option<LogIndex>, Problem> {
        let command = Command::Audit(told.command.clone());
        let entry = audit::noted(&self.portal, &self.asker, command).await?;
        // Each deletion and each move is another one.
        if matches!(touch, Touch::Read(_) | Touch::Write(_)) {
            told.remember();
        }
        Ok(entry)
    }

    fn told(&self, touch: &Touch, batch: Option<&FilePath>) -> Result<Told, Problem> {
        let vnode = self.found.vnode;
        let within = |path: &FilePath| match batch {
            None => Ok(shortened(path, "")),
            Some(batch) if path.is_within(batch) => Ok(shortened(batch, "/")),
            Some(_) => Err(Problem::malformed("batch", "the file is not within it")),
        };
        let command = match touch {
            Touch::Read(path) => AuditCommand::ReadFiles {
                vnode,
                path: within(path)?,
            },
            Touch::Write(path) => AuditCommand::WriteFiles {
                vnode,
                path: within(path)?,
            },
            Touch::Delete(path) => AuditCommand::DeleteFiles {
                vnode,
                path: within(path)?,
            },
            Touch::Move(from, to) => AuditCommand::MoveFiles {
                vnode,
                from: shortened(from, ""),
                to: shortened(to, ""),
            },
        };
        Ok(Told {
            session: self.asker.session,
            command,
        })
    }

    /// The worker that does it.
    pub(crate) fn worker(&self) -> &str {
        self.found.worker.name.as_str()
    }

    /// A stage of a receipt, as the address of a page carries it.
    pub(crate) fn sealed(&self, says: impl Into<String>) -> String {
        receipt::sealed(&self.portal, &self.asker, &[receipt::Told::now(says)])
    }

    /// The page that tells of an act that is done now.
    pub(crate) fn receipt(
        &self,
        page: &str,
        entry: Option<LogIndex>,
        says: impl Into<String>,
    ) -> String {
        let told = [receipt::Told::now(says)];
        receipt::address(&self.portal, &self.asker, page, (entry, &told))
    }

    async fn open(&self, ask: &FileAsk) -> Result<Talk, Problem> {
        let turn = TURNS.try_acquire().map_err(|_| Problem {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "files_under_way",
            detail: "this master passes on as many files as it can: ask another master, or try again in a moment".to_owned(),
        })?;
        let mut socket = worker::open(&self.portal, &self.found.worker, "/files").await?;
        let act = serde_json::json!({
            "vnode": self.found.vnode,
            "epoch": self.found.epoch,
            "ask": ask,
        });
        let sent = socket.send(Message::text(act.to_string())).await;
        sent.map_err(|error| broken(&error))?;
        Ok(Talk {
            socket,
            _turn: turn,
            _lease: Arc::clone(&self.lease),
        })
    }

    /// An act that says something and gives no bytes.
    pub(crate) async fn act(&self, ask: &FileAsk) -> Result<FileSaid, Problem> {
        let mut talk = self.open(ask).await?;
        talk.end_input().await;
        talk.said().await
    }

    /// An act that takes long: each word of how far it is, then the last one. Whoever listens no more ends it.
    pub(crate) async fn follow(
        &self,
        ask: &FileAsk,
    ) -> Result<impl Stream<Item = Result<FileSaid, Problem>> + Send + use<>, Problem> {
        let mut talk = self.open(ask).await?;
        talk.end_input().await;
        let (portal, login, vnode) = (self.portal.clone(), self.asker.session, self.found.vnode);
        let ended = Box::pin(async move { login_ends(&portal, login, vnode).await });
        Ok(stream::unfold(Some((talk, ended)), |relay| async {
            let (mut talk, mut ended) = relay?;
            let word = tokio::select! {
                word = talk.word() => word,
                () = &mut ended => Err(docklet_control::Refusal::NotLoggedIn.into()),
            };
            match word {
                Ok(said @ FileSaid::Progress { .. }) => Some((Ok(said), Some((talk, ended)))),
                last => Some((last, None)),
            }
        }))
    }

    /// An act that gives bytes: what is said of them first, and they. They end with the login.
    pub(crate) async fn fetch(&self, ask: &FileAsk) -> Result<(FileSaid, Body), Problem> {
        let mut talk = self.open(ask).await?;
        talk.end_input().await;
        let first = talk.said().await?;
        let (portal, login, vnode) = (self.portal.clone(), self.asker.session, self.found.vnode);
        let ended = async move { login_ends(&portal, login, vnode).await };
        let relay = Relay {
            talk,
            ended: Box::pin(ended),
        };
        let bytes = stream::unfold(Some(relay), |relay| async {
            let mut relay = relay?;
            match relay.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(relay))),
                Ok(None) => None,
                // The connection breaks, so that nobody takes it for the whole.
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok((first, Body::from_stream(bytes)))
    }

    /// An act to which bytes are brought.
    pub(crate) async fn bring<E: std::fmt::Display>(
        &self,
        ask: &FileAsk,
        bytes: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<FileSaid, Problem> {
        let mut talk = self.open(ask).await?;
        let ended = login_ends(&self.portal, self.asker.session, self.found.vnode);
        tokio::select! {
            said = talk.bring(bytes) => said,
            () = ended => Err(docklet_control::Refusal::NotLoggedIn.into()),
        }
    }
}

/// A talk with a worker about one act.
struct Talk {
    socket: WorkerSocket,
    _turn: SemaphorePermit<'static>,
    _lease: Arc<Lease>,
}

/// What a worker said, or gave.
enum Next {
    Said(FileSaid),
    Bytes(Bytes),
}

impl Talk {
    async fn end_input(&mut self) {
        // Whoever has an answer already takes no more.
        drop(self.socket.send(Message::text(r#"{"stdin":"eof"}"#)).await);
    }

    /// What is said next, once there is more to say than that it goes on.
    async fn next(&mut self) -> Result<Next, Problem> {
        loop {
            let next = self.heard().await?;
            if !matches!(next, Next::Said(FileSaid::Progress { .. })) {
                return Ok(next);
            }
        }
    }

    async fn heard(&mut self) -> Result<Next, Problem> {
        loop {
            let message = tokio::time::timeout(SILENCE_MAX, self.socket.next()).await;
            let message = message.map_err(|_| broken(&"the worker says nothing more"))?;
            let message = message.ok_or_else(|| broken(&"the connection to the worker ended"))?;
            match message.map_err(|error| broken(&error))? {
                Message::Text(text) => {
                    let said: FileSaid =
                        serde_json::from_str(&text).map_err(|error| broken(&error))?;
                    if let FileSaid::Refused(refused) = said {
                        return Err(problem(refused));
                    }
                    return Ok(Next::Said(said));
                }
                Message::Binary(bytes) => return Ok(Next::Bytes(bytes)),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                Message::Close(_) => return Err(broken(&"the act broke off")),
            }
        }
    }

    async fn said(&mut self) -> Result<FileSaid, Problem> {
        word_of(self.next().await?)
    }

    /// The same, and how far it is.
    async fn word(&mut self) -> Result<FileSaid, Problem> {
        word_of(self.heard().await?)
    }

    async fn bring<E: std::fmt::Display>(
        &mut self,
        mut bytes: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<FileSaid, Problem> {
        loop {
            let chunk = tokio::select! {
                // It was refused before all of it came.
                said = self.said() => {
                    drain(bytes).await;
                    return said;
                }
                chunk = tokio::time::timeout(BODY_SILENCE_MAX, bytes.next()) => chunk,
            };
            // What came until it broke off is kept where it can be gone on with.
            let Ok(Some(Ok(chunk))) = chunk else { break };
            if self.socket.send(Message::Binary(chunk)).await.is_err() {
                break;
            }
        }
        self.end_input().await;
        self.said().await
    }
}

fn word_of(next: Next) -> Result<FileSaid, Problem> {
    match next {
        Next::Said(said) => Ok(said),
        Next::Bytes(_) => Err(broken(&"the worker gives what nobody asked for")),
    }
}

async fn drain<E>(mut bytes: impl Stream<Item = Result<Bytes, E>> + Unpin) {
    let all = async { while let Some(Ok(_)) = bytes.next().await {} };
    // Who sends more than that sees only that the connection ended.
    drop(tokio::time::timeout(DRAIN_DEADLINE, all).await);
}

/// Bytes on their way to somebody.
struct Relay {
    talk: Talk,
    ended: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Relay {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        tokio::select! {
            next = self.talk.next() => match next {
                Ok(Next::Bytes(bytes)) => Ok(Some(bytes)),
                Ok(Next::Said(FileSaid::End)) => Ok(None),
                Ok(Next::Said(_)) => Err(io::Error::other("the worker says something else")),
                Err(problem) => Err(io::Error::other(problem.detail)),
            },
            () = &mut self.ended => Err(io::Error::other("the login ended")),
        }
    }
}

fn broken(cause: &dyn std::fmt::Display) -> Problem {
    Problem::worker(format!(
        "the worker does not tell what came of it ({cause}): look whether it was done, and try again"
    ))
}

fn problem(refused: FileRefused) -> Problem {
    Problem {
        status: status(refused.why),
        code: refused.why.code(),
        detail: docklet_control::file_path::plain(&refused.cause),
    }
}

fn status(why: FileWhy) -> StatusCode {
    match why {
        FileWhy::NotFound => StatusCode::NOT_FOUND,
        FileWhy::Exists
        | FileWhy::NotADirectory
        | FileWhy::IsADirectory
        | FileWhy::NotAFile
        | FileWhy::Offset
        | FileWhy::Elsewhere
        | FileWhy::TooMany
        | FileWhy::Absent => StatusCode::CONFLICT,
        FileWhy::Changed => StatusCode::PRECONDITION_FAILED,
        FileWhy::Range => StatusCode::RANGE_NOT_SATISFIABLE,
        FileWhy::NoRoom => StatusCode::INSUFFICIENT_STORAGE,
        FileWhy::NotAllowed => StatusCode::FORBIDDEN,
        FileWhy::Fault => StatusCode::BAD_GATEWAY,
    }
}

/// What may be wrong with files, by status.
pub(crate) fn codes() -> impl Iterator<Item = (u16, &'static str)> {
    FileWhy::ALL
        .into_iter()
        .map(|why| (status(why).as_u16(), why.code()))
}

/// Bytes of a path that the trail has.
const PATH_BYTES_MAX: usize = 255;

/// A path without anything that acts, its middle left out if it is too long.
fn shortened(path: &FilePath, end: &str) -> String {
    let text = path.to_string();
    let text = format!("{}{end}", text.trim_end_matches('/'));
    let text = if text.is_empty() {
        "/".to_owned()
    } else {
        text
    };
    if text.len() <= PATH_BYTES_MAX {
        return text;
    }
    let (mut head, mut tail) = (PATH_BYTES_MAX / 2 - 2, text.len() - PATH_BYTES_MAX / 2 + 2);
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    format!("{}…{}", &text[..head], &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trail_has_paths_of_bounded_length_without_anything_that_acts() {
        let path = |text: &str| FilePath::parse(text).expect("a path");
        assert_eq!(shortened(&path("/a/b"), ""), "/a/b");
        assert_eq!(shortened(&path("/a/b"), "/"), "/a/b/");
        assert_eq!(shortened(&FilePath::root(), "/"), "/");
        assert_eq!(shortened(&path("/a\n"), ""), "/a\\u{a}");
        let long = path(&"/ä€😀".repeat(180));
        let told = shortened(&long, "/");
        assert!(
            told.len() <= PATH_BYTES_MAX && told.ends_with("😀/"),
            "{told}"
        );
    }
}
