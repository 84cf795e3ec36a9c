//! A master's cluster listener: handshake, hello, role check, then the handler of the purpose.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::credentials::Credentials;
use crate::fault::LinkFault;
use crate::frame::{Channel, Hello, Purpose, WIRE_VERSION};
use crate::identity::Identity;
use crate::tls;

/// Handshake and hello together may take this long.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// Handshakes under way at once; more wait for their turn.
const HANDSHAKES_MAX: usize = 64;

/// What an accepted connection looks like.
pub type Accepted = Channel<TlsStream<TcpStream>>;
/// Serves one accepted connection to its end.
pub type Handler = Arc<
    dyn Fn(Option<Identity>, Accepted) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync,
>;
/// Says whether a peer was removed from the cluster.
pub type Deny = Arc<dyn Fn(&Identity) -> bool + Send + Sync>;

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
}

impl ClusterListener {
    /// Binds the address.
    ///
    /// # Errors
    /// The address is taken or not this machine's, or the certificate is unfit.
    pub async fn bind(addr: &str, own: &Credentials) -> Result<Self, LinkFault> {
        let tcp = TcpListener::bind(addr)
            .await
            .map_err(|source| LinkFault::Connect {
                addr: addr.to_owned(),
                source,
            })?;
        Ok(Self {
            tcp,
            tls: tls::server_config(own)?,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The socket is gone.
    pub fn local_addr(&self) -> Result<SocketAddr, LinkFault> {
        Ok(self.tcp.local_addr()?)
    }

    /// Serves until dropped.
    pub async fn serve(self, handlers: HashMap<Purpose, Handler>, deny: Deny) {
        let handlers = Arc::new(handlers);
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        loop {
            let tcp = match self.tcp.accept().await {
                Ok((tcp, _)) => tcp,
                Err(error) => {
                    // Out of file descriptors, most likely: others must close before it helps to go on.
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (tls, handlers) = (self.tls.clone(), handlers.clone());
            let (handshakes, deny) = (handshakes.clone(), deny.clone());
            tokio::spawn(async move {
                match admit(tcp, tls, &handshakes, &deny).await {
                    Ok((peer, purpose, channel)) => match handlers.get(&purpose) {
                        Some(serve) => serve(peer, channel).await,
                        None => tracing::warn!(?purpose, "no door for this purpose"),
                    },
                    Err(fault) => tracing::debug!(%fault, "connection refused"),
                }
            });
        }
    }
}

async fn admit(
    tcp: TcpStream,
    tls: Arc<ServerConfig>,
    handshakes: &Semaphore,
    deny: &Deny,
) -> Result<(Option<Identity>, Purpose, Accepted), LinkFault> {
    let _turn = handshakes.acquire().await.map_err(|_| LinkFault::Closed)?;
    let admit = async {
        let (peer, stream) = accept(tcp, tls).await?;
        let mut channel = Channel::new(stream);
        let hello: Hello = channel.recv().await?;
        check(hello, peer, deny)?;
        Ok((peer, hello.purpose, channel))
    };
    tokio::time::timeout(HANDSHAKE_DEADLINE, admit)
        .await
        .map_err(|_| LinkFault::Deadline(5_000))?
}

/// The server side of the handshake; the peer's identity if it showed a certificate.
///
/// # Errors
/// The handshake failed, or the certificate has no identity.
pub async fn accept(
    tcp: TcpStream,
    tls: Arc<ServerConfig>,
) -> Result<(Option<Identity>, TlsStream<TcpStream>), LinkFault> {
    tcp.set_nodelay(true)?;
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
    let denied = peer.is_some_and(|identity| deny(&identity));
    if denied || !hello.purpose.is_open_to(peer) {
        return Err(LinkFault::Purpose(format!("{:?}", hello.purpose)));
    }
    Ok(())
}
