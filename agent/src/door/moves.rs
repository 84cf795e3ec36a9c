//! Files of vnodes on their way to other workers: to the worker to which a vnode moves, and to nobody else.

use docklet_control::id::{LogIndex, VnodeId};
use docklet_link::identity::Identity;

use super::{Door, Socket, leave};
use crate::fault::AgentFault;
use crate::transfer::give;

/// Gives a vnode's files to whoever asked, for as long as it moves to there.
pub(super) async fn give(
    door: &Door,
    socket: Socket,
    vnode: VnodeId,
    number: LogIndex,
    peer: Option<Identity>,
) -> Result<(), AgentFault> {
    let leave = leave(vnode, number, peer).ok_or(AgentFault::NotHere(vnode.0))?;
    let dir = door.host.state().vnode(vnode);
    give::give(&door.departures, &door.pace, dir, leave, socket).await
}
