//! A site with people, and whoever asks it for something: HTTP/1.1 by hand, so that nothing is made sound on its way.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use docklet_control::model::{ClusterVersion, Role};
use docklet_control::{Actor, Command, State};
use docklet_portal::public::PublicConfig;
use docklet_portal::{Bounds, PortalConfig, hash_password, serve};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{ADMIN, Alone, PATIENCE};

pub const PASSWORD: &str = "a long password";
/// What a browser shows that is logged in.
const SESSION: &str = "__Host-docklet-session";
/// Whoever has not sent all headers by then is cut off.
pub const HEADERS_DEADLINE: Duration = Duration::from_millis(500);

/// Whoever has asked for nothing for so long is cut off.
pub const IDLE_DEADLINE: Duration = Duration::from_millis(1_500);

/// A master whose public door is open. Ada and bob are there, the admin has a password, and ada has the vcluster `lab`.
pub struct Site {
    pub alone: Alone,
    pub addr: SocketAddr,
    tls: TlsConnector,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
    /// Keeps the port while nobody listens.
    _kept: TcpSocket,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What came back, as far as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    fn of(head: &str, body: &str) -> Self {
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        Self {
            status: status.unwrap_or(0),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

impl Site {
    pub async fn start() -> Self {
        Self::bounded(Bounds::default()).await
    }

    /// One at which so much may be held open.
    pub async fn bounded(bounds: Bounds) -> Self {
        Self::over(Alone::start().await, bounds).await
    }

    /// One over a master that has lived already.
    pub async fn over(alone: Alone, bounds: Bounds) -> Self {
        let kept = TcpSocket::new_v4().expect("a socket");
        kept.set_reuseport(true).expect("shared");
        kept.set_reuseaddr(true).expect("shared");
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        kept.bind(anywhere).expect("a port");
        let addr = kept.local_addr().expect("an address");
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(alone.authority.certificate_pem().as_bytes());
        roots.add(ca.expect("a certificate")).expect("trusted");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let config = PortalConfig {
            master: alone.master.clone(),
            dispatcher: alone.dispatcher.clone(),
            credentials: alone.proof.clone(),
            name: "m1".to_owned(),
            listen: vec![addr],
            proxy: None,
            proxy_listen: Vec::new(),
            public: PublicConfig {
                authority: alone.authority.clone(),
                names: vec!["localhost".to_owned()],
                service_names: Vec::new(),
                life: Duration::from_secs(86_400),
                given: None,
            },
            headers_deadline: HEADERS_DEADLINE,
            idle_deadline: IDLE_DEADLINE,
            bounds,
            sealing_key: [7; 32],
            program: PathBuf::from("/nonexistent"),
        };
        let serving = tokio::spawn(serve(config));
        let site = Self {
            alone,
            addr,
            tls: TlsConnector::from(Arc::new(tls)),
            serving,
            _kept: kept,
        };
        site.people().await;
        site
    }

    async fn people(&self) {
        self.wait(|state| state.version() == ClusterVersion::CURRENT)
            .await;
        let password_hash = hash_password(PASSWORD).expect("long enough");
        let of_admin = Command::ChangePassword {
            user: docklet_control::id::UserId(1),
            password_hash: password_hash.clone(),
        };
        self.alone.propose(ADMIN, of_admin).await;
        for name in ["ada", "bob"] {
            let command = Command::CreateUser {
                name: name.to_owned(),
                role: Role::User,
                password_hash: password_hash.clone(),
            };
            self.alone.propose(ADMIN, command).await;
        }
        let worker = self.alone.worker("w1").await;
        self.alone.image(worker.id).await;
        self.wait(|state| !state.image_titles.is_empty()).await;
        let lab = Command::CreateVcluster {
            name: "lab".to_owned(),
            image: "busybox".to_owned(),
            vnodes: 1,
            size: docklet_control::amount::VnodeSize::default(),
        };
        self.alone.propose(self.actor("ada"), lab).await;
    }

    /// Until the state is as it should be.
    pub async fn wait(&self, mut is_so: impl FnMut(&State) -> bool) {
        let mut states = self.alone.master.watch();
        let found = states.wait_for(|frozen| is_so(&frozen.state));
        let found = tokio::time::timeout(PATIENCE, found).await;
        drop(found.expect("in time").expect("the master lives"));
    }

    pub fn state(&self) -> Arc<State> {
        self.alone.master.local().state
    }

    pub fn actor(&self, name: &str) -> Actor {
        let state = self.state();
        let mut users = state.users.values();
        let user = users.find(|user| user.name.as_str() == name);
        Actor::User(user.expect("somebody").id)
    }

    pub fn host(&self) -> String {
        format!("localhost:{}", self.addr.port())
    }

    pub fn origin(&self) -> String {
        format!("https://{}", self.host())
    }

    pub async fn tcp(&self) -> TcpStream {
        let connecting = async {
            loop {
                match TcpStream::connect(self.addr).await {
                    Ok(stream) => return stream,
                    // Nobody listens yet.
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        let connected = tokio::time::timeout(PATIENCE, connecting).await;
        connected.expect("somebody listens")
    }

    pub async fn connect(&self) -> TlsStream<TcpStream> {
        self.secured(self.tcp().await).await.expect("a handshake")
    }

    /// One that speaks HTTP/2 from now on.
    pub async fn connect_by_http2(&self) -> TlsStream<TcpStream> {
        let mut config = (**self.tls.config()).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let tls = TlsConnector::from(Arc::new(config));
        let connected = tls.connect(site_name(), self.tcp().await).await;
        connected.expect("a handshake")
    }

    /// From another address of this machine, where it has so many.
    pub async fn tcp_from(&self, last: u8) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, last], 0)))?;
        socket.connect(self.addr).await
    }

    /// # Errors
    /// The other side ends it.
    pub async fn secured(&self, tcp: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        self.tls.connect(site_name(), tcp).await
    }

    /// Sends these bytes and reads what comes: to the end, or of what has none, the headers.
    pub async fn raw(&self, request: &str) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.expect("sent");
        let read = read(&mut stream);
        let read = tokio::time::timeout(PATIENCE, read).await;
        read.expect("an answer in time")
    }

    /// Asks for something with these headers beside the host.
    pub async fn ask(
        &self,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let request = self.request((method, path), headers, body);
        self.raw(&request).await
    }

    /// The same, as it is sent.
    pub fn request(
        &self,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: &str,
    ) -> String {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.host());
        let upgrades = headers.iter().any(|(name, _)| *name == "upgrade");
        if !upgrades {
            request.push_str("connection: close\r\n");
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if method != "GET" {
            request.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        request.push_str(body);
        request
    }

    /// Logs somebody in by the page; answers the cookie.
    pub async fn log_in(&self, name: &str) -> String {
        let answer = self.try_login(name, PASSWORD).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        let (_, rest) = answer.head.split_once(SESSION).expect("a cookie");
        let secret: String = rest[1..].chars().take_while(|c| *c != ';').collect();
        format!("{SESSION}={secret}")
    }

    pub async fn try_login(&self, name: &str, password: &str) -> Answer {
        let origin = self.origin();
        let headers = [("origin", origin.as_str()), FORM];
        let body = format!("user={name}&password={}", password.replace(' ', "+"));
        self.ask(("POST", "/login"), &headers, &body).await
    }
}

/// A connection over which one question follows the other; another when the site ends it.
pub struct Line<'s> {
    site: &'s Site,
    stream: Option<TlsStream<TcpStream>>,
}

impl<'s> Line<'s> {
    pub fn of(site: &'s Site) -> Self {
        Self { site, stream: None }
    }

    /// Asks as [`Site::ask`] does.
    pub async fn ask(
        &mut self,
        what: (&str, &str),
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let request = self.site.request(what, headers, body);
        let request = request.replacen("connection: close\r\n", "", 1);
        loop {
            let is_new = self.stream.is_none();
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => self.site.connect().await,
            };
            let asked = async {
                stream.write_all(request.as_bytes()).await.ok()?;
                read_one(&mut stream).await
            };
            let asked = tokio::time::timeout(PATIENCE, asked).await;
            if let Some((answer, goes_on)) = asked.expect("an answer in time") {
                self.stream = goes_on.then_some(stream);
                return answer;
            }
            assert!(!is_new, "no answer to {request}");
        }
    }
}

/// One answer, and whether others may follow; none if the site ended it before.
async fn read_one(stream: &mut TlsStream<TcpStream>) -> Option<(Answer, bool)> {
    let mut bytes = Vec::new();
    let mut part = [0; 16_384];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let answer = Answer::of(head, body);
            let whole = match answer.header("content-length") {
                Some(length) => length.parse() == Ok(bytes.len() - head.len() - 4),
                None if answer.header("transfer-encoding").is_some() => body.ends_with("0\r\n\r\n"),
                None => true,
            };
            if whole {
                let goes_on = answer.header("connection") != Some("close");
                return Some((answer, goes_on));
            }
        }
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&part[..read]),
        }
    }
}

fn site_name() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a name")
}

pub const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
pub const JSON: (&str, &str) = ("content-type", "application/json");
/// A handshake of a WebSocket.
pub const SOCKET: [(&str, &str); 4] = [
    ("connection", "upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
];

/// The head, and of what ends the body.
pub async fn read(stream: &mut TlsStream<TcpStream>) -> Answer {
    let mut bytes = Vec::new();
    let mut part = [0; 16_384];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let head = text.split_once("\r\n\r\n").map(|(head, _)| head);
        let endless = head.is_some_and(|head| {
            head.starts_with("HTTP/1.1 101") || head.contains("text/event-stream")
        });
        let read = match endless {
            true => 0,
            // Whoever is refused before all was read may be cut off.
            false => stream.read(&mut part).await.unwrap_or(0),
        };
        if read == 0 {
            let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
            return Answer::of(head, body);
        }
        bytes.extend_from_slice(&part[..read]);
    }
}
