//! A master's cluster listener: handshake, hello, role check, then the handler of the purpose.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::fault::LinkFault;
use crate::frame::{Channel, Hello, Purpose, WIRE_VERSION};
use crate::gate::{Gate, Gated};
use crate::identity::{Identity, Proof};
use crate::own::Own;
use crate::strangers::{STRANGERS_MAX, Stranger, Strangers};
use crate::tls;

/// Handshake and hello together may take this long.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// Handshakes under way at once; more wait for their turn.
const HANDSHAKES_MAX: usize = 64;

/// What an accepted connection looks like.
pub type Accepted = Channel<TlsStream<Gated<TcpStream>>>;

impl Accepted {
    /// What the other side proved by its certificate; none if it showed none.
    #[must_use]
    pub fn proof(&self) -> Option<Proof> {
        let (_, connection) = self.stream().get_ref();
        let chain = connection.peer_certificates()?;
        Proof::of_certificate(chain.first()?).ok()
    }
}

/// Serves one accepted connection to its end.
pub type Handler = Arc<
    dyn Fn(Option<Identity>, Accepted) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync,
>;
/// Knows which peers were removed from the cluster: their connections are refused, and cut if they are open.
#[derive(Clone)]
pub struct Deny {
    is_denied: Arc<dyn Fn(&Identity) -> bool + Send + Sync>,
    removals: watch::Receiver<()>,
}

impl Deny {
    /// Asks `is_denied` at each new connection, and again of all open ones whenever `removals` changes.
    pub fn new(
        removals: watch::Receiver<()>,
        is_denied: impl Fn(&Identity) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            is_denied: Arc::new(is_denied),
            removals,
        }
    }

    /// Whether this peer's connections for this purpose are refused now.
    #[must_use]
    pub fn denies(&self, peer: Option<Identity>, purpose: Purpose) -> bool {
        let denied = peer.is_some_and(|identity| (self.is_denied)(&identity));
        denied && purpose != Purpose::Standing
    }

    /// Waits until the peer is removed.
    pub async fn comes_to(mut self, peer: Option<Identity>, purpose: Purpose) {
        while !self.denies(peer, purpose) {
            if self.removals.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

/// Wraps an async function as a [`Handler`].
pub fn handler<F, Fut>(serve: F) -> Handler
where
    F: Fn(Option<Identity>, Accepted) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    Arc::new(move |peer, channel| Box::pin(serve(peer, channel)))
}

/// The listener before it serves.
pub struct ClusterListener {
    tcp: TcpListener,
    tls: Arc<ServerConfig>,
    gate: Gate,
    strangers_max: u32,
}

impl ClusterListener {
    /// Binds the address.
    ///
    /// # Errors
    /// The address is taken or not this machine's, or the certificate is unfit.
    pub async fn bind(addr: &str, own: impl Into<Own>) -> Result<Self, LinkFault> {
        let tls = tls::server_config(own)?;
        let tcp = TcpListener::bind(addr)
            .await
            .map_err(|source| LinkFault::Connect {
                addr: addr.to_owned(),
                source,
            })?;
        Ok(Self {
            tcp,
            tls,
            gate: Gate::default(),
            strangers_max: STRANGERS_MAX,
        })
    }

    /// The same, through a gate.
    #[must_use]
    pub fn through(self, gate: Gate) -> Self {
        Self { gate, ..self }
    }

    /// The same, with so many connections from one address that have not said what they come for.
    #[must_use]
    pub fn strangers(self, most: u32) -> Self {
        Self {
            strangers_max: most,
            ..self
        }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The socket is gone.
    pub fn local_addr(&self) -> Result<SocketAddr, LinkFault> {
        Ok(self.tcp.local_addr()?)
    }

    /// Serves until dropped; then all its connections end.
    pub async fn serve(self, handlers: HashMap<Purpose, Handler>, deny: Deny) {
        let doors = Arc::new(Doors {
            tls: self.tls,
            handlers,
            gate: self.gate,
            handshakes: Semaphore::new(HANDSHAKES_MAX),
            deny,
        });
        let strangers = Strangers::default();
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            match self.tcp.accept().await {
                Ok((tcp, from)) => match strangers.come(from.ip(), self.strangers_max) {
                    Some(stranger) => {
                        connections.spawn(doors.clone().connection(tcp, stranger));
                    }
                    None => tracing::debug!(%from, "too many connections from there"),
                },
                Err(error) => {
                    // Out of file descriptors, most likely: others must close before it helps to go on.
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// What every connection goes through.
struct Doors {
    tls: Arc<ServerConfig>,
    handlers: HashMap<Purpose, Handler>,
    gate: Gate,
    handshakes: Semaphore,
    deny: Deny,
}

impl Doors {
    async fn connection(self: Arc<Self>, tcp: TcpStream, stranger: Stranger) {
        let admitted = self.admit(tcp).await;
        drop(stranger);
        let (peer, purpose, channel) = match admitted {
            Ok(admitted) => admitted,
            Err(fault) => return tracing::debug!(%fault, "connection refused"),
        };
        let Some(serve) = self.handlers.get(&purpose) else {
            return tracing::warn!(?purpose, "no door for this purpose");
        };
        tokio::select! {
            () = serve(peer, channel) => {}
            () = self.deny.clone().comes_to(peer, purpose) => {
                let peer = peer.map(|peer| peer.to_string());
                tracing::info!(peer, "connection cut: the peer was removed");
            }
        }
    }

    async fn admit(
        &self,
        tcp: TcpStream,
    ) -> Result<(Option<Identity>, Purpose, Accepted), LinkFault> {
        // Who comes to a shut gate takes no turn from those who come afterwards.
        tokio::time::timeout(HANDSHAKE_DEADLINE, self.gate.passable())
            .await
            .map_err(|_| LinkFault::Deadline(5_000))?;
        let _turn = self
            .handshakes
            .acquire()
            .await
            .map_err(|_| LinkFault::Closed)?;
        let admit = async {
            tcp.set_nodelay(true)?;
            let (peer, stream) = handshake(self.gate.through(tcp), self.tls.clone()).await?;
            let mut channel = Channel::new(stream);
            let hello: Hello = channel.recv().await?;
            check(hello, peer, &self.deny)?;
            Ok((peer, hello.purpose, channel))
        };
        tokio::time::timeout(HANDSHAKE_DEADLINE, admit)
            .await
            .map_err(|_| LinkFault::Deadline(5_000))?
    }
}

/// The server side of the handshake; the peer's identity if it showed a certificate.
///
/// # Errors
/// The handshake failed, or the certificate has no identity.
pub async fn accept(
    tcp: TcpStream,
    gate: &Gate,
    tls: Arc<ServerConfig>,
) -> Result<(Option<Identity>, TlsStream<Gated<TcpStream>>), LinkFault> {
    tcp.set_nodelay(true)?;
    gate.passable().await;
    handshake(gate.through(tcp), tls).await
}

async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    tcp: S,
    tls: Arc<ServerConfig>,
) -> Result<(Option<Identity>, TlsStream<S>), LinkFault> {
    let stream =
        TlsAcceptor::from(tls)
            .accept(tcp)
            .await
            .map_err(|source| LinkFault::Handshake {
                peer: "a client".to_owned(),
                source,
            })?;
    let (_, connection) = stream.get_ref();
    let peer = connection
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(Identity::of_certificate)
        .transpose()?;
    Ok((peer, stream))
}

fn check(hello: Hello, peer: Option<Identity>, deny: &Deny) -> Result<(), LinkFault> {
    if hello.wire_version != WIRE_VERSION {
        return Err(LinkFault::WireVersion {
            theirs: hello.wire_version,
            ours: WIRE_VERSION,
        });
    }
    if deny.denies(peer, hello.purpose) || !hello.purpose.is_open_to(peer) {
        return Err(LinkFault::Purpose(format!("{:?}", hello.purpose)));
    }
    Ok(())
}
