//! The worker's data port: WebSocket over mutual TLS. Masters open terminals, run programs, reach files and bring images; other
//! agents fetch images, and the files of vnodes that move to them. What a path is open to is checked here, who the person is was checked by the master.

mod attach;
mod audience;
mod connect;
mod devpts;
mod exec;
mod files;
pub mod images;
mod meters;
mod moves;
mod noticed;
mod pty;
mod ring;
mod terminal;
mod terminals;
mod uploads;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use docklet_control::id::{Digest, Epoch, LogIndex, UserId, VnodeId, WorkerId};
use docklet_link::gate::Gated;
use docklet_link::identity::{Identity, PeerRole};
use docklet_link::strangers::{STRANGERS_MAX, Stranger, Strangers};
use docklet_link::{LinkFault, keepalive, listener, tls};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;

use crate::config::AgentConfig;
use crate::fault::AgentFault;
use crate::host::linux::LinuxHost;
use crate::masters::Tell;
use crate::members::Members;
use crate::meter::Meter;
use crate::transfer::departures::Leave;
use crate::transfer::names::strict_number;
use crate::transfer::{Departures, Pace};

/// Handshakes may take this long.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);

/// Terminals that nobody looks at are looked for this often.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(50);
const LOOK_EVERY_MAX: Duration = Duration::from_secs(60);

/// An accepted connection.
pub(crate) type Socket = WebSocketStream<TlsStream<Gated<TcpStream>>>;

/// What every connection may use.
pub(crate) struct Door {
    pub(crate) config: AgentConfig,
    pub(crate) host: Arc<LinuxHost>,
    pub(crate) images: watch::Sender<Vec<Digest>>,
    pub(crate) tell: mpsc::Sender<Tell>,
    pub(crate) terminals: terminals::Terminals,
    pub(crate) files: files::Turns,
    pub(crate) members: Members,
    pub(crate) meter: Meter,
    pub(crate) departures: Departures,
    pub(crate) pace: Pace,
    pub(crate) connections: connect::Connections,
}

impl Door {
    /// Refuses a vnode that is not here at this epoch, or does not run.
    pub(crate) fn check_runs(&self, id: VnodeId, epoch: Epoch) -> Result<(), AgentFault> {
        let seen = self.host.seen(id)?;
        if seen.epoch != Some(epoch) {
            return Err(AgentFault::NotHere(id.0));
        }
        if !seen.running {
            return Err(AgentFault::NotRunning(id.0));
        }
        Ok(())
    }
}

/// Binds the data port, and gives what serves it.
///
/// # Errors
/// The address is taken.
pub async fn serve(
    config: AgentConfig,
    host: Arc<LinuxHost>,
    images: watch::Sender<Vec<Digest>>,
    tell: mpsc::Sender<Tell>,
    members: Members,
    meter: Meter,
    departures: Departures,
) -> Result<impl Future<Output = ()>, AgentFault> {
    let tls = tls::server_config(&config.credentials)?;
    let listener = TcpListener::bind(config.data_listen)
        .await
        .map_err(|source| LinkFault::Connect {
            addr: config.data_listen.to_string(),
            source,
        })?;
    keepalive::set(&listener)?;
    let pace = Pace::new(config.move_bytes_per_s);
    let door = Arc::new(Door {
        config,
        host,
        images,
        tell,
        terminals: terminals::Terminals::default(),
        files: files::Turns::default(),
        members,
        meter,
        departures,
        pace,
        connections: connect::Connections::default(),
    });
    Ok(async move {
        tokio::select! {
            () = accept(&door, listener, tls) => {}
            () = end_lonely(&door) => {}
            () = uploads::sweep(&door) => {}
        }
    })
}

async fn accept(door: &Arc<Door>, listener: TcpListener, tls: Arc<rustls::ServerConfig>) {
    let strangers = Strangers::default();
    loop {
        match listener.accept().await {
            Ok((tcp, from)) => {
                let Some(stranger) = strangers.come(from.ip(), STRANGERS_MAX) else {
                    tracing::debug!(%from, "too many connections from there");
                    continue;
                };
                let (door, tls) = (door.clone(), tls.clone());
                tokio::spawn(async move {
                    if let Err(fault) = connection(door, (tcp, stranger), tls).await {
                        tracing::debug!(fault = fault.full_text(), "connection ended");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Ends terminals that nobody has looked at for as long as the configuration allows.
async fn end_lonely(door: &Door) {
    let longest = door.config.terminal_alone;
    let look_every = (longest / 4).clamp(LOOK_EVERY_MIN, LOOK_EVERY_MAX);
    loop {
        tokio::time::sleep(look_every).await;
        door.terminals.end_lonely(longest);
    }
}

async fn connection(
    door: Arc<Door>,
    (tcp, stranger): (TcpStream, Stranger),
    tls: Arc<rustls::ServerConfig>,
) -> Result<(), AgentFault> {
    let handshake = async {
        let (peer, stream) = listener::accept(tcp, &door.config.gate, tls).await?;
        let mut asked = None;
        #[expect(clippy::result_large_err, reason = "the form that the handshake wants")]
        let check = |request: &Request, response: Response| {
            let uri = request.uri();
            let route = route(uri.path(), uri.query().unwrap_or_default());
            let removed = peer.is_some_and(|peer| door.members.was_removed(&peer));
            let open = |route: &Route| route.is_open_to(peer, &door.departures);
            match route.filter(|route| !removed && open(route)) {
                Some(route) => {
                    asked = Some(route);
                    Ok(response)
                }
                None => Err(refused()),
            }
        };
        let socket = tokio_tungstenite::accept_hdr_async(stream, check).await?;
        Ok::<_, AgentFault>((peer, asked, socket))
    };
    let (peer, asked, socket) = tokio::time::timeout(HANDSHAKE_DEADLINE, handshake)
        .await
        .map_err(|_| LinkFault::Deadline(5_000))??;
    drop(stranger);
    tokio::select! {
        ended = serve_route(&door, peer, socket, asked) => ended,
        () = door.members.removal_of(peer) => {
            tracing::info!("connection cut: the master at its other end was removed");
            Ok(())
        }
    }
}

async fn serve_route(
    door: &Arc<Door>,
    peer: Option<Identity>,
    socket: Socket,
    asked: Option<Route>,
) -> Result<(), AgentFault> {
    match asked {
        Some(Route::Terminal(open)) => terminal::serve(door, socket, open).await,
        Some(Route::Terminals(asked)) => terminals::tell(door, socket, &asked).await,
        Some(Route::Exec) => exec::serve(door, socket).await,
        Some(Route::Files) => files::serve(door, socket).await,
        Some(Route::Connect(target)) => connect::serve(door, socket, target).await,
        Some(Route::GetImage(digest, from)) => images::give(door, socket, digest, from).await,
        Some(Route::PutImage(digest)) => images::take(door, socket, digest).await,
        Some(Route::Meters) => meters::serve(door, socket).await,
        Some(Route::Import(most)) => images::import(door, socket, most).await,
        Some(Route::Unwanted(digest, arrival)) => {
            images::unwanted(door, socket, digest, arrival).await
        }
        Some(Route::Move(vnode, number)) => moves::give(door, socket, vnode, number, peer).await,
        None => Ok(()),
    }
}

fn refused() -> ErrorResponse {
    let mut response = ErrorResponse::new(Some("no such door for you".to_owned()));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// What can be asked for.
enum Route {
    Terminal(terminal::Open),
    /// Shells of a person that go on.
    Terminals(terminals::Asked),
    Exec,
    Files,
    Connect(connect::Target),
    /// From this byte on.
    GetImage(Digest, Option<u64>),
    PutImage(Digest),
    Meters,
    /// The image may have so many bytes.
    Import(Option<u64>),
    /// What came by this arrival nobody wants after all.
    Unwanted(Digest, u64),
    /// The files of a vnode that leaves by this move.
    Move(VnodeId, LogIndex),
}

impl Route {
    fn is_open_to(&self, peer: Option<Identity>, departures: &Departures) -> bool {
        match (self, peer.map(|peer| peer.role)) {
            (Self::Move(vnode, number), _) => {
                leave(*vnode, *number, peer).is_some_and(|leave| departures.leads(leave))
            }
            (_, Some(PeerRole::Master)) | (Self::GetImage(..), Some(PeerRole::Agent)) => true,
            (_, Some(PeerRole::Agent) | None) => false,
        }
    }
}

/// The move of a vnode to whoever asks, if that may be one.
fn leave(vnode: VnodeId, number: LogIndex, peer: Option<Identity>) -> Option<Leave> {
    let to = peer.filter(|peer| peer.role == PeerRole::Agent)?.id;
    let to = WorkerId(to);
    Some(Leave { vnode, number, to })
}

fn route(path: &str, query: &str) -> Option<Route> {
    let query: HashMap<&str, &str> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .collect();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match parts[..] {
        ["terminal", session] => terminal::Open::parse(session, &query).map(Route::Terminal),
        ["terminals"] => {
            let number = |key| strict_number(query.get(key)?);
            Some(Route::Terminals(terminals::Asked {
                vnode: VnodeId(number("vnode")?),
                epoch: Epoch(number("epoch")?),
                person: UserId(number("person")?),
            }))
        }
        ["exec"] => Some(Route::Exec),
        ["files"] => Some(Route::Files),
        ["connect", vnode, epoch, port] => {
            let (vnode, epoch) = (strict_number(vnode)?, strict_number(epoch)?);
            let port = u16::try_from(strict_number(port)?).ok()?;
            Some(Route::Connect(connect::Target {
                vnode: VnodeId(vnode),
                epoch: Epoch(epoch),
                port,
            }))
        }
        ["moves", vnode, number] => {
            let (vnode, number) = (strict_number(vnode)?, strict_number(number)?);
            Some(Route::Move(VnodeId(vnode), LogIndex(number)))
        }
        ["meters"] => Some(Route::Meters),
        ["images", "import"] => {
            let most = query.get("blob_bytes_max").map(|most| most.parse());
            Some(Route::Import(most.transpose().ok()?))
        }
        ["images", digest] => {
            let digest = digest.parse().ok()?;
            match (query.get("put"), query.get("unwanted")) {
                (Some(_), _) => Some(Route::PutImage(digest)),
                (None, Some(arrival)) => Some(Route::Unwanted(digest, arrival.parse().ok()?)),
                (None, None) => {
                    let from = query.get("from").map(|from| from.parse()).transpose();
                    Some(Route::GetImage(digest, from.ok()?))
                }
            }
        }
        _ => None,
    }
}
