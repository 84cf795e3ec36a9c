//! Dialling a worker's data port.

use docklet_control::id::{Epoch, LogIndex, UserId, VclusterId, VnodeId};
use docklet_control::model::{User, Vcluster, Vnode, Worker};
use docklet_control::name::Name;
use docklet_control::view::Phase;
use docklet_control::{Refusal, State, permit, view};
use docklet_link::gate::Gated;
use docklet_link::identity::{Identity, PeerRole};
use docklet_link::tls::Expect;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;

use crate::asker::{Asker, OWN_WRITE_DEADLINE};
use crate::problem::Problem;
use crate::serve::Portal;

/// A socket to a worker.
pub(crate) type WorkerSocket = WebSocketStream<TlsStream<Gated<TcpStream>>>;

/// A vnode and where it is.
pub(crate) struct Located {
    pub(crate) vnode: VnodeId,
    pub(crate) epoch: Epoch,
    pub(crate) worker: Worker,
    /// Its last move that was over then.
    pub(crate) last_move: Option<LogIndex>,
}

/// The vcluster that the asker means and may use: an own one by name, any by number.
pub(crate) fn find_vcluster<'s>(
    state: &'s State,
    asker: &User,
    text: &str,
) -> Result<&'s Vcluster, Refusal> {
    meant(state, asker, text, permit::owns)
}

/// The same of one that the asker may see, and have moved.
pub(crate) fn find_watched<'s>(
    state: &'s State,
    asker: &User,
    text: &str,
) -> Result<&'s Vcluster, Refusal> {
    meant(state, asker, text, permit::watches)
}

fn meant<'s>(
    state: &'s State,
    asker: &User,
    text: &str,
    allowed: fn(&User, UserId) -> bool,
) -> Result<&'s Vcluster, Refusal> {
    let missing = || Refusal::not_found("vcluster", text.escape_debug());
    let by_number = text
        .parse::<VclusterId>()
        .ok()
        .and_then(|id| state.vclusters.get(&id))
        .filter(|vcluster| !state.is_trashed(vcluster.id));
    let by_name = || state.vcluster_named(asker.id, &Name::parse("vcluster", text).ok()?);
    by_number
        .or_else(by_name)
        .filter(|vcluster| allowed(asker, vcluster.owner))
        .ok_or_else(missing)
}

/// The vnode `host-N` of a vcluster.
pub(crate) fn find_vnode<'s>(
    state: &'s State,
    asker: &User,
    vcluster: &str,
    hostname: &str,
) -> Result<&'s Vnode, Refusal> {
    hosted(state, find_vcluster(state, asker, vcluster)?, hostname)
}

/// The same of a vcluster that the asker may see, and have moved.
pub(crate) fn find_watched_vnode<'s>(
    state: &'s State,
    asker: &User,
    vcluster: &str,
    hostname: &str,
) -> Result<&'s Vnode, Refusal> {
    hosted(state, find_watched(state, asker, vcluster)?, hostname)
}

fn hosted<'s>(state: &'s State, vcluster: &Vcluster, hostname: &str) -> Result<&'s Vnode, Refusal> {
    let live = state.live_vnodes_of(vcluster.id);
    let mut named = live
        .into_iter()
        .filter(|vnode| vnode.hostname() == hostname);
    let missing = || Refusal::not_found("vnode", hostname.escape_debug());
    named.next().ok_or_else(missing)
}

/// The running vnode `host-N` of a vcluster. What this master's own state refuses, a current one may allow: the vnode
/// may have started a moment ago.
pub(crate) async fn locate(
    portal: &Portal,
    asker: &Asker,
    vcluster: &str,
    hostname: &str,
) -> Result<Located, Problem> {
    if let Ok(found) = locate_in(&asker.frozen.state, &asker.user, vcluster, hostname) {
        return Ok(found);
    }
    let current = portal.master.read(OWN_WRITE_DEADLINE).await?;
    Ok(locate_in(&current.state, &asker.user, vcluster, hostname)?)
}

fn locate_in(
    state: &State,
    asker: &User,
    vcluster: &str,
    hostname: &str,
) -> Result<Located, Refusal> {
    located(state, find_vnode(state, asker, vcluster, hostname)?.id)
}

/// The same of a vnode of which somebody was asked already whether they may go in.
pub(crate) fn located(state: &State, id: VnodeId) -> Result<Located, Refusal> {
    let missing = || Refusal::not_found("vnode", id);
    let vnode = state.vnodes.get(&id).ok_or_else(missing)?;
    let vcluster = state.vclusters.get(&vnode.vcluster).ok_or_else(missing)?;
    let phase = view::vcluster::phase_of(state, vnode);
    let asleep = || Refusal::VnodeNotRunning {
        vnode: format!("{}/{}", vcluster.name, vnode.hostname()),
        phase: phase.word().to_owned(),
    };
    // A worker that is out of touch with the masters may still answer here.
    if !matches!(phase, Phase::Running | Phase::Unknown) {
        return Err(asleep());
    }
    let placement = vnode.placement.ok_or_else(asleep)?;
    let worker = state.workers.get(&placement.worker).ok_or_else(asleep)?;
    let last_move = state.moves.get(&vnode.id).filter(|last| !last.is_open());
    Ok(Located {
        vnode: vnode.id,
        epoch: placement.epoch,
        worker: worker.clone(),
        last_move: last_move.map(|last| last.number),
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
