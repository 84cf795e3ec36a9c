//! Terminals of vnodes that come to another worker, or start again where they were. A shell ends with the place that it ran in. The
//! viewer hears where the vnode is going; when it runs the connection ends, the viewer comes back as after any that
//! was lost, through whichever master, and its session has a new shell.

use std::time::Duration;

use axum::extract::ws;
use docklet_control::State;
use docklet_control::id::VnodeId;
use docklet_control::model::{Move, MoveStage, User, Vnode, VnodeWanted};
use docklet_control::view::Phase;
use docklet_control::view::vcluster::show_vnode;
use futures_util::{Sink, SinkExt};

use crate::pulse::{beat, pulse};
use crate::serve::Portal;
use crate::worker::{Located, find_vnode};

/// Whether a shell ended by itself is told after this even if no quorum answers.
const CURRENT_DEADLINE: Duration = Duration::from_secs(1);
/// A viewer that is kept waiting comes back after this.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// How a vnode stands that a terminal is to follow.
enum Standing {
    Runs,
    /// It is not running yet, but will be, at this worker.
    Coming(String),
    /// It does not come by itself.
    Stays(String),
}

/// The vnode that the viewer means, if it is worth waiting for: it is on its way, or starts while somebody comes back to it.
pub(crate) fn coming(
    portal: &Portal,
    asker: &User,
    (vcluster, hostname): (&str, &str),
    again: bool,
) -> Option<VnodeId> {
    let state = portal.master.local().state;
    let vnode = find_vnode(&state, asker, vcluster, hostname).ok()?.id;
    coming_to(portal, vnode, again)
}

/// The same of a vnode of which somebody was asked already whether they may go in.
pub(crate) fn coming_to(portal: &Portal, vnode: VnodeId, again: bool) -> Option<VnodeId> {
    let state = portal.master.local().state;
    let moves = state.open_move(vnode).is_some();
    let comes = matches!(standing(&state, vnode), Standing::Coming(_));
    (comes && (moves || again)).then_some(vnode)
}

/// Ends when the vnode is placed anew: what was found is no more then.
pub(crate) async fn placed_anew(portal: &Portal, found: &Located) {
    let mut states = portal.master.watch();
    let placed = states.wait_for(|frozen| is_elsewhere(&frozen.state, found));
    if placed.await.is_err() {
        // This master stops.
        std::future::pending::<()>().await;
    }
}

/// Whether the vnode has left what was found, so that nothing of its terminals can be there.
pub(crate) async fn has_left(portal: &Portal, found: &Located) -> bool {
    if left(&portal.master.local().state, found) {
        return true;
    }
    // The worker may have heard of it from another master first.
    let current = portal.master.read(CURRENT_DEADLINE).await;
    current.is_ok_and(|current| left(&current.state, found))
}

fn left(state: &State, found: &Located) -> bool {
    let vnode = state.vnodes.get(&found.vnode);
    let wanted = vnode.is_some_and(|vnode| vnode.wanted == VnodeWanted::Running);
    wanted && (is_elsewhere(state, found) || stood_still(state, found))
}

fn is_elsewhere(state: &State, found: &Located) -> bool {
    let placement = state.vnodes.get(&found.vnode).and_then(|v| v.placement);
    placement.is_some_and(|placement| placement.epoch != found.epoch)
}

/// A move that came to nothing has ended its shells, too, if it was let stand still for it.
fn stood_still(state: &State, found: &Located) -> bool {
    let moving = state.moves.get(&found.vnode);
    let since = moving.filter(|moving| Some(moving.number) != found.last_move);
    since.is_some_and(|moving| moving.times.switched_at.is_some())
}

/// Tells where the vnode is going until it runs, or why it will not.
pub(crate) async fn until_it_runs<E>(
    portal: &Portal,
    vnode: VnodeId,
    to_viewer: &mut (impl Sink<ws::Message, Error = E> + Unpin),
) {
    // Nothing better can be done at the end of the time than to let the viewer ask again.
    let _ = tokio::time::timeout(WAIT_MAX, tell(portal, vnode, to_viewer)).await;
}

async fn tell<E>(
    portal: &Portal,
    vnode: VnodeId,
    to_viewer: &mut (impl Sink<ws::Message, Error = E> + Unpin),
) -> Option<()> {
    let mut states = portal.master.watch();
    let mut beat = beat();
    let mut told = None;
    loop {
        let standing = standing(&states.borrow_and_update().state, vnode);
        let message = match standing {
            Standing::Runs => return Some(()),
            Standing::Coming(to) if told.as_ref() == Some(&to) => None,
            Standing::Coming(to) => {
                let message = serde_json::json!({"moving": {"to": to}});
                told = Some(to);
                Some(message)
            }
            Standing::Stays(cause) => {
                let message = serde_json::json!({"refused": {"cause": cause}}).to_string();
                return to_viewer.send(ws::Message::text(message)).await.ok();
            }
        };
        if let Some(message) = message {
            let message = ws::Message::text(message.to_string());
            to_viewer.send(message).await.ok()?;
        }
        loop {
            tokio::select! {
                changed = states.changed() => break changed.ok()?,
                _ = beat.tick() => to_viewer.send(pulse()).await.ok()?,
            }
        }
    }
}

fn standing(state: &State, id: VnodeId) -> Standing {
    let Some(vnode) = state.vnodes.get(&id) else {
        return Standing::Stays("the vnode is gone".to_owned());
    };
    let shown = show_vnode(state, vnode);
    let stays = || Standing::Stays(format!("the vnode is {}", shown.phase.word()));
    let coming = || destination(state, vnode).map_or_else(stays, Standing::Coming);
    match shown.phase {
        // One that is out of touch with the masters may still answer here.
        Phase::Running | Phase::Unknown => Standing::Runs,
        Phase::Starting => coming(),
        Phase::Failed if state.open_move(id).is_some() => coming(),
        Phase::Pending | Phase::Failed | Phase::Stopping | Phase::Stopped | Phase::Removing => {
            stays()
        }
    }
}

/// The worker at which it is to run next.
fn destination(state: &State, vnode: &Vnode) -> Option<String> {
    let moving = state.open_move(vnode.id);
    let placed = || vnode.placement.map(|placement| placement.worker);
    let worker = moving.map(bound_for).or_else(placed)?;
    Some(state.worker_called(worker))
}

fn bound_for(moving: &Move) -> docklet_control::id::WorkerId {
    match moving.stage {
        MoveStage::Returning { .. } => moving.from,
        MoveStage::Copying | MoveStage::Switching | MoveStage::Starting | MoveStage::Ended(_) => {
            moving.to
        }
    }
}
