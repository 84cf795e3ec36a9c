//! The public listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use docklet_link::{Credentials, Dialer, keepalive};
use docklet_raft::Master;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::Semaphore;

use crate::brake::Brake;
use crate::dispatch::Dispatcher;
use crate::login::Noted;
use crate::meters::Meters;
use crate::{mail, past, router, service};

/// Who guesses codes knows the password already, and may come from anywhere. Three in a million are right at any moment: at
/// this pace, through three masters, one day of guessing succeeds once in a hundred. The owner waits for so long, too.
const CODE_WAIT_MAX: Duration = Duration::from_secs(60);

/// What the doors of one master need.
pub struct PortalConfig {
    pub master: Master,
    pub dispatcher: Dispatcher,
    /// For dialling workers.
    pub credentials: Credentials,
    /// This master's name for people.
    pub name: String,
    /// Addresses to listen on; several masters on one machine may share one.
    pub listen: Vec<SocketAddr>,
    /// Certificate and key of the public name.
    pub certificate_pem: String,
    pub key_pem: String,
}

/// What every door holds.
#[derive(Clone)]
pub struct Portal {
    pub(crate) master: Master,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) name: Arc<str>,
    pub(crate) dialer: Dialer,
    pub(crate) credentials: Credentials,
    pub(crate) brake: Brake,
    /// Of codes, by account alone.
    pub(crate) code_brake: Brake,
    /// Of requests for accounts, by address alone.
    pub(crate) register_brake: Brake,
    pub(crate) meters: Meters,
    pub(crate) noted: Noted,
    /// Turns to look back.
    pub(crate) looks: Arc<Semaphore>,
}

/// Serves all listeners until dropped.
///
/// # Errors
/// An address is taken, or the certificate is unfit.
pub async fn serve(config: PortalConfig) -> std::io::Result<()> {
    let tls = RustlsConfig::from_config(Arc::new(tls(&config)?));
    let portal = Portal {
        dialer: Dialer::new(config.credentials.clone()),
        credentials: config.credentials,
        master: config.master,
        dispatcher: config.dispatcher,
        name: config.name.into(),
        brake: Brake::default(),
        code_brake: Brake::waiting(CODE_WAIT_MAX),
        register_brake: Brake::default(),
        meters: Meters::default(),
        noted: Noted::default(),
        looks: Arc::new(Semaphore::new(past::LOOKS_MAX)),
    };
    let mut servers = tokio::task::JoinSet::new();
    let watching = service::run(portal.clone());
    servers.spawn(async move {
        watching.await;
        Ok(())
    });
    let mails = mail::run(portal.clone());
    servers.spawn(async move {
        mails.await;
        Ok(())
    });
    let router = router::router(portal);
    for addr in config.listen {
        let listener = shared_listener(addr)?;
        let server = axum_server::from_tcp_rustls(listener, tls.clone())?;
        servers.spawn(
            server.serve(
                router
                    .clone()
                    .into_make_service_with_connect_info::<SocketAddr>(),
            ),
        );
    }
    while let Some(ended) = servers.join_next().await {
        ended.map_err(std::io::Error::other)??;
    }
    Ok(())
}

/// SO_REUSEPORT lets several masters of one machine listen on one address: the kernel hands a new connection to one
/// that lives.
fn shared_listener(addr: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4(),
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    keepalive::set(&socket)?;
    socket.bind(addr)?;
    socket.listen(1_024)?.into_std()
}

fn tls(config: &PortalConfig) -> std::io::Result<ServerConfig> {
    let other = std::io::Error::other::<String>;
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(config.certificate_pem.as_bytes()).collect();
    let chain = chain.map_err(|error| other(format!("public certificate: {error}")))?;
    let key = PrivateKeyDer::from_pem_slice(config.key_pem.as_bytes())
        .map_err(|error| other(format!("public key: {error}")))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(std::io::Error::other)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}
