//! Names for the vnodes of a segment: a name server at the gateway's address, within the agent.
//!
//! Names of the asker's own vcluster are answered from the assignment, everything else by the name servers of the
//! worker, whom it asks from the worker's own network namespace. Only the sockets for the asking vnodes are in the
//! gateway's. It is bounded: questions in flight, connections, lengths and times; what is beyond is left out, and the
//! asker asks again. Answers are not kept: the worker's name servers do that.

pub mod answer;
mod upstream;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use docklet_control::assignment::AssignedNetwork;
use docklet_control::id::NetworkId;
use docklet_control::model::Network;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::space;
use crate::fault::AgentFault;
use answer::{Answer, Zone, answer};

const PORT: u16 = 53;
/// Questions of one segment that wait for the worker's name servers at once.
const ASKING_MAX: usize = 128;
/// Connections of one segment's vnodes at once.
const CONNECTIONS_MAX: usize = 32;
/// A connection on which nothing is asked for so long is closed.
const IDLE: Duration = Duration::from_secs(5);
/// Longest question; RFC 1035 says 512, and EDNS makes few longer.
const QUESTION_BYTES_MAX: usize = 4_096;

/// The name servers of all segments of this worker.
pub struct NameServers {
    runtime: tokio::runtime::Handle,
    /// Names the worker's own name servers.
    resolv_conf: Arc<Path>,
    servers: Mutex<BTreeMap<NetworkId, Server>>,
}

/// One segment's. Its sockets are closed when it is dropped.
struct Server {
    names: Arc<Names>,
    tasks: Vec<JoinHandle<()>>,
    space: space::Identity,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// What a segment's vnodes may ask for.
struct Names {
    resolv_conf: Arc<Path>,
    zones: Mutex<Arc<Vec<Zone>>>,
    asking: Arc<Semaphore>,
    connections: Arc<Semaphore>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl NameServers {
    /// None yet; they will run on `runtime`, and ask those that `resolv_conf` names.
    #[must_use]
    pub fn new(runtime: tokio::runtime::Handle, resolv_conf: PathBuf) -> Self {
        Self {
            runtime,
            resolv_conf: resolv_conf.into(),
            servers: Mutex::default(),
        }
    }

    /// Serves a segment whose gateway is there; one that is served there already goes on.
    ///
    /// # Errors
    /// Sockets cannot be made in the gateway's namespace.
    pub fn ensure(&self, path: &Path, network: &AssignedNetwork) -> Result<(), AgentFault> {
        let Some(subnet) = network.subnet else {
            return Ok(());
        };
        let space = space::identity(path)?;
        let served = |server: &Server| server.space == space;
        if lock(&self.servers).get(&network.id).is_some_and(served) {
            return Ok(());
        }
        let at = SocketAddrV4::new(Network::gateway_of(subnet), PORT);
        let (datagrams, connections) = space::within(path, || sockets(at))?;
        let _runtime = self.runtime.enter();
        let datagrams = UdpSocket::from_std(datagrams)?;
        let connections = TcpListener::from_std(connections)?;
        let names = self.names(network.id);
        let tasks = vec![
            self.runtime
                .spawn(serve_datagrams(datagrams, names.clone())),
            self.runtime
                .spawn(serve_connections(connections, names.clone())),
        ];
        let server = Server {
            names,
            tasks,
            space,
        };
        lock(&self.servers).insert(network.id, server);
        Ok(())
    }

    /// The names of a segment as they are known until now: a new gateway knows what the one before did.
    fn names(&self, id: NetworkId) -> Arc<Names> {
        let known = lock(&self.servers)
            .get(&id)
            .map(|server| server.names.clone());
        known.unwrap_or_else(|| {
            Arc::new(Names {
                resolv_conf: self.resolv_conf.clone(),
                zones: Mutex::default(),
                asking: Arc::new(Semaphore::new(ASKING_MAX)),
                connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            })
        })
    }

    /// Tells a segment's server what names there are; nothing if it is not served.
    pub fn tell(&self, id: NetworkId, zones: Vec<Zone>) {
        if let Some(server) = lock(&self.servers).get(&id) {
            *lock(&server.names.zones) = Arc::new(zones);
        }
    }

    /// Ends a segment's server.
    pub fn stop(&self, id: NetworkId) {
        lock(&self.servers).remove(&id);
    }
}

fn sockets(at: SocketAddrV4) -> Result<(std::net::UdpSocket, std::net::TcpListener), AgentFault> {
    let datagrams = std::net::UdpSocket::bind(at)?;
    datagrams.set_nonblocking(true)?;
    let connections = std::net::TcpListener::bind(at)?;
    connections.set_nonblocking(true)?;
    Ok((datagrams, connections))
}

/// What to answer a vnode; none if it is to ask again later, or is not worth an answer.
async fn reply(names: &Names, asker: IpAddr, question: &[u8], longest: usize) -> Option<Vec<u8>> {
    let IpAddr::V4(asker) = asker else {
        return None;
    };
    let zones = lock(&names.zones).clone();
    match answer(&zones, asker, question, longest) {
        Answer::Known(reply) => Some(reply),
        Answer::Ask(refusal) => {
            let _turn = names.asking.clone().try_acquire_owned().ok()?;
            let found = upstream::ask(&names.resolv_conf, question, longest).await;
            Some(found.unwrap_or(refusal))
        }
        Answer::Nothing => None,
    }
}

async fn serve_datagrams(socket: UdpSocket, names: Arc<Names>) {
    let socket = Arc::new(socket);
    let mut buffer = vec![0; QUESTION_BYTES_MAX];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            // An error of an earlier answer that nobody heard.
            tokio::task::yield_now().await;
            continue;
        };
        let question = buffer[..length].to_vec();
        let (socket, names) = (socket.clone(), names.clone());
        tokio::spawn(async move {
            let longest = answer::datagram_bytes_max(&question);
            if let Some(reply) = reply(&names, from.ip(), &question, longest).await {
                // Whoever hears no answer asks again.
                drop(socket.send_to(&reply, from).await);
            }
        });
    }
}

async fn serve_connections(listener: TcpListener, names: Arc<Names>) {
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            // The kernel is short of something: a moment later it may not be.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(turn) = names.connections.clone().try_acquire_owned() else {
            continue;
        };
        let names = names.clone();
        tokio::spawn(async move {
            let _turn = turn;
            // A connection that fails is one that the asker gave up.
            drop(serve_connection(stream, from, &names).await);
        });
    }
}

/// Questions and answers with their lengths before them (RFC 1035, 4.2.2), until nobody asks any more.
async fn serve_connection(
    mut stream: TcpStream,
    from: SocketAddr,
    names: &Names,
) -> std::io::Result<()> {
    loop {
        let read = async {
            let length = usize::from(stream.read_u16().await?);
            let mut question = vec![0; length.min(QUESTION_BYTES_MAX)];
            stream.read_exact(&mut question).await?;
            std::io::Result::Ok(question)
        };
        let question = tokio::time::timeout(IDLE, read).await??;
        let longest = usize::from(u16::MAX);
        let Some(reply) = reply(names, from.ip(), &question, longest).await else {
            return Ok(());
        };
        let length = u16::try_from(reply.len()).map_err(std::io::Error::other)?;
        let write = async {
            stream.write_u16(length).await?;
            stream.write_all(&reply).await
        };
        tokio::time::timeout(IDLE, write).await??;
    }
}
