//! Connections to ports of a vnode. Whoever may come was checked by a master; here it is the vnode of that placement, and
//! nothing else: the connection begins in the vnode's own network namespace, so it reaches what the vnode's own programs
//! reach, by its loopback and by its recorded address, and no address is ever asked for.
//!
//! After the WebSocket's handshake the connection is bytes. The master says one byte, so that nothing comes before it
//! listens as such; the answer is one byte of [`docklet_control::agent_wire::Reached`]; the rest is the connection.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use docklet_control::agent_wire::Reached;
use docklet_control::id::{Epoch, VnodeId};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional_with_sizes};
use tokio::net::{TcpSocket, TcpStream};

use super::noticed::Noticed;
use super::{Door, Socket};
use crate::fault::AgentFault;
use crate::lxc::Container;
use crate::network::space;
use crate::vnode_dir::container_name;

/// A port that does not answer in this time is closed.
const DIAL_DEADLINE: Duration = Duration::from_secs(5);
/// Connections to one vnode at the same time.
const PER_VNODE_MAX: usize = 1_024;
const BUFFER_BYTES: usize = 64 << 10;

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) vnode: VnodeId,
    pub(super) epoch: Epoch,
    pub(super) port: u16,
}

/// Connections that there are, by vnode.
#[derive(Clone, Default)]
pub(crate) struct Connections(Arc<Mutex<HashMap<VnodeId, usize>>>);

impl Connections {
    fn one_more(&self, vnode: VnodeId) -> Option<Counted> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(vnode).or_default();
        if *count >= PER_VNODE_MAX {
            return None;
        }
        *count += 1;
        Some(Counted(self.clone(), vnode))
    }
}

/// Counts as long as it is there.
struct Counted(Connections, VnodeId);

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.1);
            }
        }
    }
}

/// Serves one connection until either side ends, or the vnode does.
pub(super) async fn serve(
    door: &Arc<Door>,
    socket: Socket,
    target: Target,
) -> Result<(), AgentFault> {
    let mut master = socket.into_inner();
    master.read_u8().await?;
    let (reached, connected) = reach(door, target).await;
    master.write_all(&[reached.byte()]).await?;
    master.flush().await?;
    let Some(mut connected) = connected else {
        return Ok(master.shutdown().await?);
    };
    let activity = door.meter.activity().clone();
    let mut master = Noticed::new(master, move || activity.touch(target.vnode));
    tokio::select! {
        copied = copy_bidirectional_with_sizes(
            &mut master,
            &mut connected.stream,
            BUFFER_BYTES,
            BUFFER_BYTES,
        ) => copied.map(|_| ()).map_err(AgentFault::from),
        _ = connected.first_process.readable() => Ok(()),
    }
}

struct Connected {
    stream: TcpStream,
    /// Becomes readable with the end of the vnode: nobody would tell the connection of it.
    first_process: AsyncFd<OwnedFd>,
    _counted: Counted,
}

async fn reach(door: &Arc<Door>, target: Target) -> (Reached, Option<Connected>) {
    if door.check_runs(target.vnode, target.epoch).is_err() {
        return (Reached::Absent, None);
    }
    let Some(counted) = door.connections.one_more(target.vnode) else {
        return (Reached::Busy, None);
    };
    door.meter.activity().touch(target.vnode);
    match dial(door, target).await {
        Ok((stream, first_process)) => {
            let connected = Connected {
                stream,
                first_process,
                _counted: counted,
            };
            (Reached::Yes, Some(connected))
        }
        Err(AgentFault::NotRunning(_)) => (Reached::Absent, None),
        Err(AgentFault::System(error)) if error.kind() == io::ErrorKind::TimedOut => {
            (Reached::Silent, None)
        }
        Err(fault) => {
            tracing::debug!(vnode = %target.vnode, port = target.port, fault = fault.full_text(), "not reached");
            (Reached::Closed, None)
        }
    }
}

/// What listens for the vnode's own programs first, then what listens at its address only.
async fn dial(
    door: &Arc<Door>,
    target: Target,
) -> Result<(TcpStream, AsyncFd<OwnedFd>), AgentFault> {
    let placed = door.host.state().placed(target.vnode);
    let own = placed.ok_or(AgentFault::NotHere(target.vnode.0))?.address;
    let asked = door.clone();
    let entered = tokio::task::spawn_blocking(move || enter(&asked, target.vnode));
    let (first_process, sockets) = entered.await.map_err(io::Error::other)??;
    let mut last = io::Error::from(io::ErrorKind::ConnectionRefused);
    for (socket, address) in sockets.into_iter().zip([Ipv4Addr::LOCALHOST, own]) {
        let to = SocketAddr::new(IpAddr::V4(address), target.port);
        let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(socket));
        match tokio::time::timeout(DIAL_DEADLINE, socket.connect(to)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                // SAFETY: an `OwnedFd` is the same open descriptor as long as it is there.
                let watched = unsafe { AsyncFd::register(first_process) };
                return Ok((stream, watched.map_err(io::Error::from)?));
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last.into())
}

/// The vnode's first process, held so that its number cannot mean another, and two sockets of its network.
fn enter(door: &Door, vnode: VnodeId) -> Result<(OwnedFd, [OwnedFd; 2]), AgentFault> {
    let gone = || AgentFault::NotRunning(vnode.0);
    let container = Container::open(&door.host.state().lxc_path(), &container_name(vnode))?;
    let init = container.init_pid().ok_or_else(gone)?;
    let pid = Pid::from_raw(init).ok_or_else(gone)?;
    let first_process = pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from)?;
    if container.init_pid() != Some(init) {
        return Err(gone());
    }
    let network = PathBuf::from(format!("/proc/{init}/ns/net"));
    let sockets = space::within(&network, || Ok([socket()?, socket()?]))?;
    if container.init_pid() != Some(init) {
        return Err(gone());
    }
    Ok((first_process, sockets))
}

fn socket() -> io::Result<OwnedFd> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    Ok(socket(AddressFamily::Inet, SockType::Stream, flags, None)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vnode_has_so_many_connections_and_what_ended_makes_room() {
        let connections = Connections::default();
        let one = || connections.one_more(VnodeId(1));
        let mut held: Vec<Counted> = (0..PER_VNODE_MAX).map_while(|_| one()).collect();
        assert_eq!((held.len(), one().is_none()), (PER_VNODE_MAX, true));
        assert!(connections.one_more(VnodeId(2)).is_some());
        drop(held.pop());
        assert!(one().is_some());
        drop(held);
        assert!(connections.0.lock().expect("whole").is_empty());
    }
}
