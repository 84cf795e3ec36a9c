//! Connections to ports of vnodes, through the data ports of their workers.

use std::time::Duration;

use axum::http::StatusCode;
use docklet_control::agent_wire::Reached;
use docklet_control::id::{Epoch, VnodeId, WorkerId};
use docklet_control::model::PortNumber;
use docklet_link::gate::Gated;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker;

/// A connection as a vnode's program has it at its other end.
pub(crate) type VnodeStream = TlsStream<Gated<TcpStream>>;

/// A worker answers in this time, whatever came of it.
const REACH_DEADLINE: Duration = Duration::from_secs(15);
/// Says to the worker that from now on all is bytes.
const READY: [u8; 1] = [1];

/// Where somebody wants to go.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    pub(crate) vnode: VnodeId,
    pub(crate) epoch: Epoch,
    pub(crate) port: PortNumber,
    pub(crate) worker: WorkerId,
}

/// Why nobody came there.
#[derive(Debug)]
pub(crate) enum Unreached {
    /// The worker did, and says this.
    There(Reached),
    Worker(Problem),
}

impl Unreached {
    /// For programs and people.
    pub(crate) fn problem(self, of: &str, port: PortNumber) -> Problem {
        let conflict = |code, detail| Problem {
            status: StatusCode::CONFLICT,
            code,
            detail,
        };
        match self {
            Self::Worker(problem) => problem,
            Self::There(Reached::Closed) => conflict(
                "port_closed",
                format!("nothing listens on port {port} of {of}: start it there, then try again"),
            ),
            Self::There(Reached::Silent) => conflict(
                "port_silent",
                format!(
                    "port {port} of {of} does not answer: look what keeps it busy or what filters it there"
                ),
            ),
            Self::There(Reached::Busy) => conflict(
                "port_busy",
                format!("{of} has as many connections from here as it may have: close some first"),
            ),
            Self::There(Reached::Absent | Reached::Yes) => conflict(
                "vnode_not_running",
                format!(
                    "{of} does not run where it was: look with `docklet vc show`, then try again"
                ),
            ),
        }
    }
}

/// Connects to a port of a vnode. That somebody may, was checked before.
pub(crate) async fn dial(portal: &Portal, to: &Destination) -> Result<VnodeStream, Unreached> {
    let state = portal.master.local().state;
    let gone = || Problem::worker(format!("worker {} was removed", to.worker));
    let worker = state.workers.get(&to.worker);
    let worker = worker.ok_or_else(|| Unreached::Worker(gone()))?;
    let path = format!("/connect/{}/{}/{}", to.vnode, to.epoch, to.port);
    let reach = async {
        let socket = worker::open(portal, worker, &path).await?;
        let mut stream = socket.into_inner();
        let broken = |error: std::io::Error| {
            Problem::worker(format!(
                "worker \"{}\" ended the connection ({error}): try again",
                worker.name
            ))
        };
        stream.write_all(&READY).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        let said = stream.read_u8().await.map_err(broken)?;
        Ok::<_, Problem>((said, stream))
    };
    let late = |_| Problem::worker(format!("worker \"{}\" does not answer", worker.name));
    let reached = tokio::time::timeout(REACH_DEADLINE, reach).await;
    let (said, stream) = reached
        .map_err(late)
        .and_then(|reached| reached)
        .map_err(Unreached::Worker)?;
    match Reached::of_byte(said) {
        Some(Reached::Yes) => Ok(stream),
        Some(other) => Err(Unreached::There(other)),
        None => Err(Unreached::Worker(Problem::worker(format!(
            "worker \"{}\" answers what is not understood: its agent is newer than this master",
            worker.name
        )))),
    }
}
