//! Everything that can go wrong on a worker.

use std::path::PathBuf;

use docklet_link::LinkFault;

/// A fault of an act, the machine or the link to the masters.
#[derive(Debug, thiserror::Error)]
pub enum AgentFault {
    #[error("{act} {path}")]
    File {
        act: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot run {program}")]
    Spawn {
        program: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{program} failed: {output}")]
    Program { program: String, output: String },
    #[error("liblxc: {0}")]
    Lxc(String),
    #[error("limit {key} is {found}, {wanted} was set")]
    Limit {
        key: String,
        wanted: String,
        found: String,
    },
    #[error(
        "{used_mib} MiB of memory are in use, and {wanted_mib} MiB were asked for: the limit stays as it is until less is in use"
    )]
    MemoryInUse { used_mib: u64, wanted_mib: u64 },
    #[error("{what} cannot be \"{value}\"")]
    Unfit { what: String, value: String },
    #[error("vnode {vnode} is here by placement {here}, which is later than {asked}")]
    Stale { vnode: u64, here: u64, asked: u64 },
    #[error("{0}")]
    NotReady(String),
    #[error("image {digest}: {cause}")]
    Image { digest: String, cause: String },
    #[error("the upload is no image: {0}")]
    Upload(String),
    #[error("packed it has more than {most} bytes, and no more are allowed")]
    TooLarge { most: u64 },
    #[error("no worker that holds image {0} can be reached")]
    ImageUnreachable(String),
    #[error("all {0} links between this worker and gateways of segments are in use")]
    LinksExhausted(u32),
    #[error("shared home {path}: {cause}")]
    Home { path: PathBuf, cause: String },
    #[error("GPU {gpu}: {cause}")]
    Gpu { gpu: String, cause: String },
    #[error("vnode {0} is not on this worker")]
    NotHere(u64),
    #[error("vnode {0} does not run")]
    NotRunning(u64),
    #[error(
        "the shell that was shared has ended, or whoever shared it has not come back to it since the vnode moved"
    )]
    NotShared,
    #[error("all {0} terminals that a vnode may have are in use: close one first")]
    TooManyTerminals(usize),
    #[error("{0} is not understood")]
    Protocol(String),
    #[error("snapshot: {0}")]
    Snapshot(String),
    #[error("move: {0}")]
    Moving(String),
    #[error("the worker that the vnode leaves does not give it: {0}")]
    Giver(String),
    #[error("what came of the vnode's files is not what was sent")]
    Differs,
    #[error(
        "the vnode's files take {needed_mib} MiB more and the worker has {spare_mib} MiB to spare: delete snapshots or vnodes there"
    )]
    NoRoom { needed_mib: u64, spare_mib: u64 },
    #[error("by move {number} not all files of vnode {vnode} came here")]
    NotArrived { vnode: u64, number: u64 },
    #[error("it cannot move while it runs: {0}")]
    Checkpoint(String),
    #[error("vnode {0} has no checkpoint here that was not used yet")]
    NoCheckpoint(u64),
    #[error("lease: {0}")]
    Lease(String),
    #[error("link")]
    Link(#[from] LinkFault),
    #[error("system call")]
    System(#[from] std::io::Error),
    #[error("websocket")]
    WebSocket(#[from] Box<tokio_tungstenite::tungstenite::Error>),
    #[error("JSON")]
    Json(#[from] serde_json::Error),
}

impl AgentFault {
    /// Names the act and the file that an I/O error is about.
    pub fn file(
        act: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { act, path, source }
    }

    /// The fault with all its sources, for a report.
    #[must_use]
    pub fn full_text(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }
}

impl From<tokio_tungstenite::tungstenite::Error> for AgentFault {
    fn from(error: tokio_tungstenite::tungstenite::Error) -> Self {
        Self::WebSocket(Box::new(error))
    }
}
