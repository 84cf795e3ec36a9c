//! The public listener.

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use docklet_link::{Dialer, Own, keepalive};
use docklet_raft::Master;
use tokio::sync::Semaphore;

use crate::accept::Prepared;
use crate::acme::Seal;
use crate::attend::{Attending, Deadlines};
use crate::bounds::{Bounds, Holdings};
use crate::brake::Brake;
use crate::dispatch::Dispatcher;
use crate::forward::Told;
use crate::health::Ready;
use crate::login::Noted;
use crate::meters::Meters;
use crate::proxy::{self, Proxy, ProxyPlace};
use crate::public::{Public, PublicConfig};
use crate::refused::Refused;
use crate::{acme, mail, oidc, past, refused, router, service};

/// Who has not sent all headers of a request by then is cut off, also one who waits with the next.
pub const HEADERS_DEADLINE: Duration = Duration::from_secs(60);

/// Who has asked for nothing for so long after the last answer is cut off, also over HTTP/2.
pub const IDLE_DEADLINE: Duration = Duration::from_secs(300);

/// Who takes nothing of an answer for so long is cut off.
const TAKEN_DEADLINE: Duration = Duration::from_secs(120);

/// What the doors of one master need.
pub struct PortalConfig {
    pub master: Master,
    pub dispatcher: Dispatcher,
    /// For dialling workers.
    pub credentials: Own,
    /// This master's name for people.
    pub name: String,
    /// Addresses to listen on; several masters on one machine may share one.
    pub listen: Vec<SocketAddr>,
    /// Where services are; none if they have no names.
    pub proxy: Option<ProxyPlace>,
    /// Addresses for services alone.
    pub proxy_listen: Vec<SocketAddr>,
    /// Where the public certificates come from.
    pub public: PublicConfig,
    /// By when whoever asks has sent all headers.
    pub headers_deadline: Duration,
    /// By when they have asked for something else.
    pub idle_deadline: Duration,
    /// How much is held open at once.
    pub bounds: Bounds,
    /// Seals what browsers keep for all masters; for nothing else.
    pub sealing_key: [u8; 32],
    /// This program, which asks PAM in a process of its own.
    pub program: PathBuf,
}

/// What every door holds; clones are the same.
#[derive(Clone)]
pub struct Portal(Arc<Held>);

impl Deref for Portal {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.0
    }
}

pub struct Held {
    pub(crate) master: Master,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) name: Arc<str>,
    pub(crate) public: Public,
    pub(crate) seal: Seal,
    pub(crate) dialer: Dialer,
    pub(crate) credentials: Own,
    /// Of passwords, by account and address, and by address alone.
    pub(crate) brake: Brake,
    /// Of codes, by account and address, and by account alone.
    pub(crate) code_brake: Brake,
    /// Of requests for accounts, by address alone.
    pub(crate) register_brake: Brake,
    /// Of answers of the OpenID provider, by address alone.
    pub(crate) oidc_brake: Brake,
    pub(crate) oidc: Arc<oidc::Provider>,
    pub(crate) sealer: Arc<oidc::Sealer>,
    pub(crate) program: Arc<Path>,
    pub(crate) meters: Meters,
    pub(crate) ready: Ready,
    pub(crate) noted: Noted,
    /// What was refused here since it was last noted.
    pub(crate) refused: Refused,
    pub(crate) proxy: Proxy,
    /// Ports that programs connect to, as the audit trail knows it.
    pub(crate) forwards: Told,
    pub(crate) holdings: Holdings,
    /// Turns to look back.
    pub(crate) looks: Arc<Semaphore>,
}

/// Serves all listeners until dropped.
///
/// # Errors
/// An address is taken, or the certificate is unfit.
pub async fn serve(config: PortalConfig) -> std::io::Result<()> {
    let secrets = config.public.authority.deriver();
    let seal = Seal::new(secrets.map_err(std::io::Error::other)?);
    let (public, keeper) = Public::begin(config.public)?;
    let tls = RustlsConfig::from_config(Arc::new(public.tls()?));
    let portal = Portal(Arc::new(Held {
        dialer: Dialer::new(config.credentials.clone()),
        credentials: config.credentials,
        master: config.master,
        dispatcher: config.dispatcher,
        name: config.name.into(),
        public,
        seal,
        brake: Brake::of_passwords(),
        code_brake: Brake::of_codes(),
        register_brake: Brake::default(),
        oidc_brake: Brake::default(),
        oidc: Arc::default(),
        sealer: Arc::new(oidc::Sealer::new(&config.sealing_key)),
        program: config.program.into(),
        meters: Meters::default(),
        ready: Ready::default(),
        noted: Noted::default(),
        refused: Refused::default(),
        proxy: Proxy::at(config.proxy),
        forwards: Told::default(),
        holdings: Holdings::new(config.bounds),
        looks: Arc::new(Semaphore::new(past::LOOKS_MAX)),
    }));
    let mut servers = tokio::task::JoinSet::new();
    servers.spawn(keeper.run());
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
    let noting = refused::run(portal.clone());
    servers.spawn(async move {
        noting.await;
        Ok(())
    });
    let pool = portal.proxy.pool.clone();
    servers.spawn(async move {
        pool.sweep().await;
        Ok(())
    });
    let services = proxy::router(portal.clone());
    let (ordering, following) = (acme::run(portal.clone()), acme::follow(portal.clone()));
    servers.spawn(async move {
        ordering.await;
        Ok(())
    });
    servers.spawn(async move {
        following.await;
        Ok(())
    });
    let (headers_deadline, holdings) = (config.headers_deadline, portal.holdings.clone());
    let deadlines = Deadlines {
        first: headers_deadline,
        next: config.idle_deadline,
        taken: TAKEN_DEADLINE,
    };
    let router = proxy::before(router::router(portal.clone()), portal);
    let public = config.listen.into_iter().map(|addr| (addr, router.clone()));
    let apart = config.proxy_listen.into_iter();
    let apart = apart.map(|addr| (addr, services.clone()));
    for (addr, router) in public.chain(apart) {
        let listener = shared_listener(addr)?;
        let acceptor = Attending {
            inner: RustlsAcceptor::new(tls.clone()).acceptor(Prepared),
            holdings: holdings.clone(),
            deadlines,
        };
        let mut server = axum_server::from_tcp(listener)?.acceptor(acceptor);
        let mut http1 = server.http_builder().http1();
        http1.header_read_timeout(headers_deadline);
        // WebSockets come over a connection that is there (RFC 8441), and not each over one of its own.
        server.http_builder().http2().enable_connect_protocol();
        servers.spawn(server.serve(router.into_make_service_with_connect_info::<SocketAddr>()));
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
