//! Everything that can go wrong between two processes.

use std::path::PathBuf;

/// A fault of the link; none of them is the user's.
#[derive(Debug, thiserror::Error)]
pub enum LinkFault {
    #[error("cannot reach {addr}")]
    Connect {
        addr: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot reach {addr}: {cause}")]
    Unreachable { addr: String, cause: String },
    #[error("TLS with {peer} failed")]
    Handshake {
        peer: String,
        #[source]
        source: std::io::Error,
    },
    #[error("TLS set-up failed")]
    Tls(#[from] rustls::Error),
    #[error("certificate cannot be made")]
    Certificate(#[from] rcgen::Error),
    #[error("certificate carries no Docklet identity: {0}")]
    Identity(String),
    #[error("{path} cannot be used")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} holds no PEM that fits")]
    Pem { path: PathBuf },
    #[error("connection broke")]
    Io(#[from] std::io::Error),
    #[error("message cannot be read")]
    Message(#[from] postcard::Error),
    #[error("peer closed the connection")]
    Closed,
    #[error("peer speaks wire version {theirs}, this one {ours}")]
    WireVersion { theirs: u16, ours: u16 },
    #[error("peer is of another cluster")]
    OtherCluster,
    #[error("peer may not open a connection for {0}")]
    Purpose(String),
    #[error("no answer within {0} ms")]
    Deadline(u64),
    #[error("peer failed: {0}")]
    Remote(String),
}

impl LinkFault {
    /// Names the file that an I/O error is about.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
