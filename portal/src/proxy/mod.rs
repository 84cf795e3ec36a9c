//! The reverse proxy: services of vnodes in browsers, each at an origin of its own, after one login at the portal (ADR 0038).
//!
//! A browser without a visit is sent to the portal, which asks whether its person may and sends it back with a ticket; the
//! ticket becomes a cookie for that one origin. What a visit is worth is asked of the state at each request.

mod clean;
mod entrance;
mod line;
mod page;
mod place;
mod pool;
mod question;
mod through;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request;
use axum::response::Response;
use docklet_control::Refusal;
use docklet_control::id::{SecretHash, ServiceId, UnixMs, UserId};
use docklet_control::model::Service;
use docklet_control::service::visited;
use docklet_control::view::Phase;
use docklet_control::view::vcluster::phase_of;
use tower::ServiceExt as _;

use crate::asker::{OWN_WRITE_DEADLINE, cookie};
use crate::attend::attention_of;
use crate::bounds::{self, Lasting};
use crate::connect::Destination;
use crate::login::hash_of;
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) use entrance::back;
use place::Host;
pub use place::ProxyPlace;
pub(crate) use pool::Pool;

use question::Unfit;

/// What every door knows of the proxy.
#[derive(Clone, Default)]
pub(crate) struct Proxy {
    /// None where services have no names.
    pub(crate) place: Option<Arc<ProxyPlace>>,
    pub(crate) pool: Pool,
}

impl Proxy {
    pub(crate) fn at(place: Option<ProxyPlace>) -> Self {
        Self {
            place: place.map(Arc::new),
            pool: Pool::default(),
        }
    }

    /// Where a browser opens a service.
    pub(crate) fn url(&self, service: ServiceId, path: &str) -> Option<String> {
        let place = self.place.as_ref()?;
        Some(place.url(service, path))
    }
}

/// A browser that may use a service.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    visit: SecretHash,
    expires_at: UnixMs,
    service: Service,
    user: UserId,
    /// If the service is told.
    name: Option<String>,
}

/// Why a request is not answered by the service.
enum Lack {
    Unfit(Unfit),
    /// The service does not answer yet.
    Unready(Box<Unready>),
    Problem(Problem),
}

/// What a service that does not answer lacks.
struct Unready {
    service: Service,
    vcluster: String,
    vnode: String,
    phase: Phase,
    problem: Problem,
}

impl From<Unfit> for Lack {
    fn from(unfit: Unfit) -> Self {
        Self::Unfit(unfit)
    }
}

impl From<Problem> for Lack {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// What listeners of their own serve.
pub(crate) fn router(portal: Portal) -> Router {
    Router::new().fallback(serve).with_state(portal)
}

/// What the portal's listeners serve: what is for services goes there, or to nobody if they have listeners of their own, and
/// never comes near the routes of the portal.
pub(crate) fn before(routes: Router, portal: Portal) -> Router {
    Router::new()
        .fallback(by_host)
        .with_state(Front { routes, portal })
}

#[derive(Clone)]
struct Front {
    routes: Router,
    portal: Portal,
}

async fn by_host(
    State(Front { routes, portal }): State<Front>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let place = portal.proxy.place.clone();
    let (parts, body) = request.into_parts();
    let whose = place.map_or(Whose::Portal, |place| whose(&place, &parts));
    let request = Request::from_parts(parts, body);
    match whose {
        Whose::Portal => match routes.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        Whose::Nobody => page::unfit(Unfit::Misdirected, false),
        Whose::Service => serve(State(portal), ConnectInfo(client), request).await,
    }
}

/// Who answers a request at the portal's listeners.
enum Whose {
    Portal,
    Service,
    Nobody,
}

fn whose(place: &ProxyPlace, parts: &request::Parts) -> Whose {
    match question::host(parts).map(|host| place.host(host)) {
        Ok(Host::Other) | Err(_) => Whose::Portal,
        Ok(Host::Nobody | Host::Service(_)) if place.apart => Whose::Nobody,
        Ok(Host::Nobody | Host::Service(_)) => Whose::Service,
    }
}

async fn serve(
    State(portal): State<Portal>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let Some(place) = portal.proxy.place.clone() else {
        return page::unfit(Unfit::Misdirected, false);
    };
    let (parts, body) = request.into_parts();
    let person = question::is_for_a_person(&parts.method, &parts.headers);
    let answer = answer(&portal, &place, client, Request::from_parts(parts, body)).await;
    match answer {
        Ok(response) => response,
        Err(Lack::Unfit(unfit)) => page::unfit(unfit, person),
        Err(Lack::Unready(unready)) => page::unready(&place, &unready, person),
        Err(Lack::Problem(problem)) => page::problem(&problem, person),
    }
}

async fn answer(
    portal: &Portal,
    place: &ProxyPlace,
    client: SocketAddr,
    request: Request,
) -> Result<Response, Lack> {
    let (parts, body) = request.into_parts();
    let service = question::service_of(place, &parts)?;
    let told = |by, unfit: &Unfit| refused(portal, service, by, client, unfit.code());
    question::check(&parts).inspect_err(|unfit| told(None, unfit))?;
    if let Some(own) = parts.uri.path().strip_prefix(entrance::OWN_PATHS) {
        let door = entrance::Door {
            portal,
            place,
            service,
            client,
        };
        return Ok(Box::pin(entrance::own(&door, own, &parts)).await?);
    }
    let Some(visitor) = visitor(portal, service, client, &parts).await? else {
        let person = question::is_for_a_person(&parts.method, &parts.headers);
        return Ok(match person {
            true => entrance::begin(place, service, &parts.headers, &parts.uri),
            false => page::stranger(),
        });
    };
    let by = Some(visitor.user);
    let socket = question::wants_socket(&parts).inspect_err(|unfit| told(by, unfit))?;
    let foreign = question::refuse_foreign(&parts, &place.origin(service), socket.is_some());
    foreign.inspect_err(|unfit| told(by, unfit))?;
    let from = bounds::From {
        address: client.ip().to_canonical(),
        attention: attention_of(&parts.extensions),
    };
    let lease = portal.holdings.hold(Lasting::Tunnel, visitor.user, &from)?;
    let to = destination(portal, &visitor.service).map_err(Lack::Unready)?;
    let through = through::Through {
        portal,
        to,
        host: place.authority(service),
        client: from.address,
        visitor: &visitor,
    };
    let request = Request::from_parts(parts, body);
    let passed = match socket {
        Some(socket) => Box::pin(through.socket(request, socket, lease)).await,
        None => through.request(request, lease).await,
    };
    passed.map_err(|problem| unready(portal, &visitor.service, problem))
}

/// Counts it for the owner of the service.
fn refused(
    portal: &Portal,
    service: ServiceId,
    by: Option<UserId>,
    client: SocketAddr,
    code: &str,
) {
    let known = portal.master.local().state;
    portal
        .refused
        .at_service(&known, service, by, client.ip(), code);
}

/// Who the browser's cookie stands for, at this service. One that was given by another master a moment ago, a current state
/// knows. That somebody comes by a visit of another service, or of one that is not for them any more, is noted.
async fn visitor(
    portal: &Portal,
    service: ServiceId,
    client: SocketAddr,
    parts: &request::Parts,
) -> Result<Option<Visitor>, Problem> {
    let Some(secret) = cookie(&parts.headers, entrance::VISIT) else {
        return Ok(None);
    };
    let id = hash_of(&secret);
    let mut frozen = portal.master.local();
    if !frozen.state.visits.contains_key(&id) {
        frozen = Box::pin(portal.master.read(OWN_WRITE_DEADLINE)).await?;
    }
    let found = visited(&frozen.state, id);
    let found = found.filter(|(visit, ..)| visit.service == service);
    let alive = found.filter(|(visit, ..)| visit.expires_at > crate::asker::now());
    if alive.is_none()
        && let Some(visit) = frozen.state.visits.get(&id)
        && visit.expires_at > crate::asker::now()
    {
        let code = Problem::from(Refusal::NotLoggedIn).code;
        refused(portal, service, Some(visit.user), client, code);
    }
    Ok(alive.map(|(visit, service, user)| Visitor {
        visit: id,
        expires_at: visit.expires_at,
        service: service.clone(),
        user: visit.user,
        name: service.tells_user.then(|| user.name.to_string()),
    }))
}

/// Where the service is now.
fn destination(portal: &Portal, service: &Service) -> Result<Destination, Box<Unready>> {
    let state = portal.master.local().state;
    let found = state.vnodes.get(&service.vnode).and_then(|vnode| {
        let phase = phase_of(&state, vnode);
        // A worker that is out of touch with the masters may still answer here.
        let runs = matches!(phase, Phase::Running | Phase::Unknown);
        let placement = vnode.placement.filter(|_| runs)?;
        Some(Destination {
            vnode: vnode.id,
            epoch: placement.epoch,
            port: service.port,
            worker: placement.worker,
        })
    });
    found.ok_or_else(|| {
        let problem =
            Problem::service_unready("its vnode does not run: start it, or wait until it runs");
        Box::new(described(portal, service, problem))
    })
}

/// What is not there yet may come; a worker that fails is told as such.
fn unready(portal: &Portal, service: &Service, problem: Problem) -> Lack {
    if problem.code == Problem::SERVICE_UNREADY {
        return Lack::Unready(Box::new(described(portal, service, problem)));
    }
    Lack::Problem(problem)
}

fn described(portal: &Portal, service: &Service, problem: Problem) -> Unready {
    let state = portal.master.local().state;
    let vnode = state.vnodes.get(&service.vnode);
    let vcluster = state.vclusters.get(&service.vcluster);
    Unready {
        service: service.clone(),
        vcluster: vcluster.map(|row| row.name.to_string()).unwrap_or_default(),
        vnode: vnode.map(|row| row.hostname()).unwrap_or_default(),
        phase: vnode.map_or(Phase::Removing, |vnode| phase_of(&state, vnode)),
        problem,
    }
}
