//! Files of vnodes on their way to other workers: to the worker to which a vnode moves, and to nobody else.

use std::sync::Arc;

use docklet_control::id::{LogIndex, VnodeId};
use docklet_link::identity::Identity;

use tokio::task::spawn_blocking;

use super::{Door, Socket, leave};
use crate::checkpoint;
use crate::fault::AgentFault;
use crate::host::linux::LinuxHost;
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
    let ahead = Arc::new(OfVnode(door.host.clone(), vnode));
    let (departures, pace) = (&door.departures, &door.pace);
    let given = give::give(departures, pace, dir, leave, socket, ahead).await;
    let host = door.host.clone();
    let forgotten = spawn_blocking(move || checkpoint::forget_ahead(&host, vnode));
    forgotten.await.map_err(std::io::Error::other)??;
    given
}

/// The vnode of which memory is written ahead.
struct OfVnode(Arc<LinuxHost>, VnodeId);

impl give::Ahead for OfVnode {
    fn write(&self) -> Result<Option<u32>, AgentFault> {
        checkpoint::write_ahead(&self.0, self.1)
    }
}
