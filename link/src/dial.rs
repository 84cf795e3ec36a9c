//! Dialling another process: TCP, TLS, hello, all within one deadline.

use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::fault::LinkFault;
use crate::frame::{Channel, Hello, Purpose, WIRE_VERSION};
use crate::gate::{Gate, Gated};
use crate::identity::Identity;
use crate::own::Own;
use crate::tls::{self, Expect};

/// How long reaching another process may take.
pub const DIAL_DEADLINE: Duration = Duration::from_secs(3);

/// What a dialled connection looks like.
pub type Dialled = Channel<TlsStream<Gated<TcpStream>>>;

/// Dials with this process's certificate.
#[derive(Clone, Debug)]
pub struct Dialer {
    own: Own,
    gate: Gate,
}

impl Dialer {
    /// A dialer that proves to be `own`, by what is current whenever it dials.
    #[must_use]
    pub fn new(own: impl Into<Own>) -> Self {
        Self {
            own: own.into(),
            gate: Gate::default(),
        }
    }

    /// The same, through a gate.
    #[must_use]
    pub fn through(self, gate: Gate) -> Self {
        Self { gate, ..self }
    }

    /// Opens a connection for `purpose` to a process at `addr` that must be as expected.
    ///
    /// # Errors
    /// It cannot be reached in time, or is another.
    pub async fn dial(
        &self,
        addr: &str,
        expect: Expect,
        purpose: Purpose,
    ) -> Result<Dialled, LinkFault> {
        let dialled = self.dial_known(addr, expect, purpose).await;
        dialled.map(|(_, channel)| channel)
    }

    /// The same, and who it is that was reached.
    ///
    /// # Errors
    /// It cannot be reached in time, or is another.
    pub async fn dial_known(
        &self,
        addr: &str,
        expect: Expect,
        purpose: Purpose,
    ) -> Result<(Identity, Dialled), LinkFault> {
        let config = tls::client_config(&self.own, expect)?;
        let reach = async {
            self.gate.passable().await;
            let tcp = self.gate.through(connect_tcp(addr).await?);
            let stream = handshake(addr, tcp, config).await?;
            let peer = peer_of(&stream)?;
            Ok((peer, greet(stream, purpose).await?))
        };
        in_time(reach).await
    }

    /// Who it proves to be.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.own.identity
    }

    /// Opens a bare TLS connection, for other protocols.
    ///
    /// # Errors
    /// It cannot be reached in time, or is another.
    pub async fn connect(
        &self,
        addr: &str,
        expect: Expect,
    ) -> Result<TlsStream<Gated<TcpStream>>, LinkFault> {
        let config = tls::client_config(&self.own, expect)?;
        let reach = async {
            self.gate.passable().await;
            let tcp = self.gate.through(connect_tcp(addr).await?);
            handshake(addr, tcp, config).await
        };
        in_time(reach).await
    }
}

/// Opens a connection to the join door of the cluster whose authority has this fingerprint.
///
/// # Errors
/// It cannot be reached in time, or is of another cluster.
pub async fn dial_join(addr: &str, ca_fingerprint: [u8; 32]) -> Result<Dialled, LinkFault> {
    let config = tls::join_config(ca_fingerprint)?;
    in_time(async {
        let tcp = Gate::default().through(connect_tcp(addr).await?);
        greet(handshake(addr, tcp, config).await?, Purpose::Join).await
    })
    .await
}

/// Whom the certificate of the other side names.
fn peer_of<S>(stream: &TlsStream<S>) -> Result<Identity, LinkFault> {
    let (_, connection) = stream.get_ref();
    let chain = connection.peer_certificates().unwrap_or_default();
    let missing = || LinkFault::Identity("no certificate".to_owned());
    Identity::of_certificate(chain.first().ok_or_else(missing)?)
}

async fn greet(
    stream: TlsStream<Gated<TcpStream>>,
    purpose: Purpose,
) -> Result<Dialled, LinkFault> {
    let mut channel = Channel::new(stream);
    let hello = Hello {
        wire_version: WIRE_VERSION,
        purpose,
    };
    channel.send(&hello).await?;
    Ok(channel)
}

async fn connect_tcp(addr: &str) -> Result<TcpStream, LinkFault> {
    let tcp = TcpStream::connect(addr)
        .await
        .map_err(|source| LinkFault::Connect {
            addr: addr.to_owned(),
            source,
        })?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    addr: &str,
    tcp: S,
    config: Arc<ClientConfig>,
) -> Result<TlsStream<S>, LinkFault> {
    // Identities are in the certificate; the name only fills the field.
    let name = ServerName::try_from("docklet").expect("a plain word is a DNS name");
    TlsConnector::from(config)
        .connect(name, tcp)
        .await
        .map_err(|source| LinkFault::Handshake {
            peer: addr.to_owned(),
            source,
        })
}

async fn in_time<T>(reach: impl Future<Output = Result<T, LinkFault>>) -> Result<T, LinkFault> {
    tokio::time::timeout(DIAL_DEADLINE, reach)
        .await
        .map_err(|_| LinkFault::Deadline(3_000))?
}
