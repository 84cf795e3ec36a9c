//! Dialling a worker's data port.

use docklet_control::State;
use docklet_control::id::{Epoch, VclusterId, VnodeId, WorkerId};
use docklet_control::model::{User, Vcluster, Vnode, Worker};
use docklet_control::name::Name;
use docklet_control::{Refusal, permit};
use docklet_link::identity::{Identity, PeerRole};
use docklet_link::tls::Expect;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;

use crate::problem::Problem;
use crate::serve::Portal;

/// A socket to a worker.
pub(crate) type WorkerSocket = WebSocketStream<TlsStream<TcpStream>>;

/// A vnode and where it is.
#[derive(Clone, Copy)]
pub(crate) struct Located {
    pub(crate) vnode: VnodeId,
    pub(crate) epoch: Epoch,
    pub(crate) worker: WorkerId,
}

/// The vcluster that the asker means: an own one by name, any visible one by number.
pub(crate) fn find_vcluster<'s>(
    state: &'s State,
    asker: &User,
    text: &str,
) -> Result<&'s Vcluster, Refusal> {
    let missing = || Refusal::not_found("vcluster", text.escape_debug());
    let by_number = text
        .parse::<VclusterId>()
        .ok()
        .and_then(|id| state.vclusters.get(&id));
    let by_name = || state.vcluster_named(asker.id, &Name::parse("vcluster", text).ok()?);
    by_number
        .or_else(by_name)
        .filter(|vcluster| permit::owns(asker, vcluster.owner))
        .ok_or_else(missing)
}

/// The vnode `host-N` of a vcluster, if it has a worker.
pub(crate) fn locate(
    state: &State,
    asker: &User,
    vcluster: &str,
    hostname: &str,
) -> Result<Located, Refusal> {
    let vcluster = find_vcluster(state, asker, vcluster)?;
    let live = state.live_vnodes_of(vcluster.id);
    let named = |vnode: &&&Vnode| vnode.hostname() == hostname;
    let missing = || Refusal::not_found("placed vnode", hostname.escape_debug());
    let vnode = live.iter().find(named).ok_or_else(missing)?;
    let placement = vnode.placement.ok_or_else(missing)?;
    Ok(Located {
        vnode: vnode.id,
        epoch: placement.epoch,
        worker: placement.worker,
    })
}

/// Opens a socket on a worker's data port.
pub(crate) async fn open(
    portal: &Portal,
    worker: &Worker,
    path: &str,
) -> Result<WorkerSocket, Problem> {
    let identity = Identity {
        role: PeerRole::Agent,
        id: worker.id.0,
        cluster: portal.credentials.identity.cluster,
    };
    let unreachable = |cause: String| {
        Problem::worker(format!(
            "worker \"{}\" does not answer on its data port ({cause}): its vnodes may still run; try again",
            worker.name
        ))
    };
    let stream = portal
        .dialer
        .connect(&worker.data_addr, Expect::Exactly(identity))
        .await
        .map_err(|fault| unreachable(fault.to_string()))?;
    let (socket, _) = tokio_tungstenite::client_async(format!("ws://worker{path}"), stream)
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    Ok(socket)
}

/// The worker's row.
pub(crate) fn row(state: &State, worker: WorkerId) -> Result<&Worker, Refusal> {
    state
        .workers
        .get(&worker)
        .ok_or_else(|| Refusal::not_found("worker", worker))
}
