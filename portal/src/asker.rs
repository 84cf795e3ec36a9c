//! Who asks: a person with a session, by cookie or by bearer token, or a program of theirs with a token of its own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use docklet_control::account::scope;
use docklet_control::id::{LogIndex, RequestId, SecretHash, UnixMs, UserId};
use docklet_control::model::User;
use docklet_control::model::account::Scope;
use docklet_control::{Actor, Command, Refusal, State};
use docklet_raft::Frozen;

use crate::attend::attention_of;
use crate::bounds::{self, Lasting, Lease};
use crate::csrf::Csrf;
use crate::login;
use crate::problem::Problem;
use crate::receipt::{self, Receipt};
use crate::serve::Portal;

/// Bound to this host, to HTTPS and to the whole site by its name.
pub(crate) const COOKIE: &str = "__Host-docklet-session";
/// A request waits this long for a write of its client to arrive at this master.
pub(crate) const OWN_WRITE_DEADLINE: Duration = Duration::from_secs(3);
/// How long a write may take before its outcome counts as unknown.
pub(crate) const WRITE_DEADLINE: Duration = Duration::from_secs(10);

/// A person with a valid session, and the state that the answer is made from.
#[derive(Clone)]
pub(crate) struct Asker {
    /// Without their role, if it is a program that may not use it.
    pub(crate) user: User,
    actor: Actor,
    pub(crate) session: SecretHash,
    /// Guards forms: derived from the session's secret, never stored.
    pub(crate) csrf: Csrf,
    /// At least as new as what this client has seen before.
    pub(crate) frozen: Frozen,
    /// The entry of the client's own last write, if it says so.
    pub(crate) after: Option<LogIndex>,
    /// What came of that write, for a page.
    pub(crate) receipt: Option<Arc<Receipt>>,
    /// Chosen by a client that may ask again, through another master even; else by this master.
    request: RequestId,
    from: bounds::From,
}

impl Asker {
    pub(crate) fn actor(&self) -> Actor {
        self.actor
    }

    /// Where they ask from.
    pub(crate) fn address(&self) -> IpAddr {
        self.from.address
    }

    pub(crate) fn request(&self) -> RequestId {
        self.request
    }

    /// Counts one more of what lasts, of this person and from where they ask.
    ///
    /// # Errors
    /// There are as many as there may be.
    pub(crate) fn hold(&self, portal: &Portal, lasting: Lasting) -> Result<Lease, Problem> {
        portal.holdings.hold(lasting, self.user.id, &self.from)
    }
}

impl FromRequestParts<Portal> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Problem> {
        let (secret, by_cookie) = secret(&parts.headers).ok_or(Refusal::NotLoggedIn)?;
        if by_cookie && !parts.method.is_safe() {
            refuse_foreign(&parts.headers)?;
        }
        // As the router has it: what somebody calls a vcluster is no part of it.
        let route = parts.extensions.get::<MatchedPath>();
        let route = route.map(MatchedPath::as_str).unwrap_or_default();
        let after = seen_index(parts, route);
        let mut frozen = match after {
            Some(index) => {
                portal
                    .master
                    .wait_applied(index, OWN_WRITE_DEADLINE)
                    .await?
            }
            None => portal.master.local(),
        };
        let id = login::hash_of(&secret);
        if holder(&frozen.state, id).is_none() {
            // Opened through another master a moment ago, perhaps: then a current state knows it.
            frozen = portal.master.read(OWN_WRITE_DEADLINE).await?;
        }
        let (actor, user) = scope::bearer(&frozen.state, id, client(parts), now())?;
        if let Some((scope, what)) = wanted(route, &parts.method) {
            scope::check_look(&frozen.state, actor, scope, what)?;
        }
        login::note_use(portal, &frozen.state, actor);
        let seen = (&*frozen.state, user);
        let receipt = Receipt::of_page(portal, parts, route, seen).await;
        Ok(Self {
            user: user.clone(),
            actor,
            session: id,
            csrf: Csrf::of(&secret),
            request: request_id(&parts.headers, frozen.index),
            from: bounds::From {
                address: client(parts),
                attention: attention_of(&parts.extensions),
            },
            frozen,
            after,
            receipt: receipt.map(Arc::new),
        })
    }
}

impl OptionalFromRequestParts<Portal> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        portal: &Portal,
    ) -> Result<Option<Self>, Problem> {
        match <Self as FromRequestParts<Portal>>::from_request_parts(parts, portal).await {
            Ok(asker) => Ok(Some(asker)),
            Err(problem) if problem.code == Refusal::NotLoggedIn.code() => Ok(None),
            Err(problem) => Err(problem),
        }
    }
}

/// The person whose session it is, if it has not ended.
pub(crate) fn holder(state: &State, id: SecretHash) -> Option<&User> {
    let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let bearer = scope::bearer(state, id, nowhere, now());
    bearer.ok().map(|(_, user)| user)
}

/// Who shows a secret that opens something; none if nobody does.
pub(crate) fn who(state: &State, headers: &HeaderMap) -> Option<UserId> {
    let (secret, _) = secret(headers)?;
    holder(state, login::hash_of(&secret)).map(|user| user.id)
}

/// The scope that a program's token must have to get in here at all, and for what. What changes something is decided with
/// the command.
pub(crate) fn wanted(route: &str, method: &Method) -> Option<(Scope, &'static str)> {
    match route {
        "/api/v1/vclusters/{name}/vnodes/{vnode}/exec"
        | "/api/v1/vclusters/{name}/vnodes/{vnode}/terminal"
        | "/api/v1/vclusters/{name}/vnodes/{vnode}/terminals"
        | "/api/v1/vclusters/{name}/vnodes/{vnode}/connect"
        | "/terminal/ws"
        | "/shared/{link}/ws" => Some((Scope::Terminals, "run programs in vnodes")),
        _ if route.starts_with("/api/v1/vclusters/{name}/vnodes/{vnode}/files")
            || route.starts_with("/vclusters/{name}/vnodes/{vnode}/files") =>
        {
            Some(if method.is_safe() {
                (Scope::ReadFiles, "look at files of vnodes")
            } else {
                (Scope::WriteFiles, "change files of vnodes")
            })
        }
        "/metrics" => Some((Scope::Metrics, "read metrics")),
        // They change nothing, and their questions are too long for an address.
        "/api/v1/what-if" | "/api/v1/drills/forecast" => Some((Scope::Read, "look at anything")),
        _ if method.is_safe() => Some((Scope::Read, "look at anything")),
        _ => None,
    }
}

/// Where a request comes from.
fn client(parts: &Parts) -> IpAddr {
    let info = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let address = info.map(|ConnectInfo(address)| address.ip().to_canonical());
    address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

pub(crate) fn now() -> UnixMs {
    let now = jiff::Timestamp::now().as_millisecond();
    UnixMs(u64::try_from(now).unwrap_or(0))
}

/// The secret that the client shows, and whether it came by cookie.
fn secret(headers: &HeaderMap) -> Option<(String, bool)> {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    if let Some(token) = bearer {
        return Some((token.to_owned(), false));
    }
    Some((cookie(headers, COOKIE)?, true))
}

/// The value of a cookie.
pub(crate) fn cookie(headers: &HeaderMap, wanted: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split("; "))
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| *name == wanted)
        .map(|(_, value)| value.to_owned())
}

/// Only this site's own pages may change something with this site's cookies, or open sockets.
pub(crate) fn refuse_foreign(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let fetch_site = text(header::HeaderName::from_static("sec-fetch-site"));
    let own_origin = text(header::HOST).map(|host| format!("https://{host}"));
    let origin_fits = own_origin.is_some() && text(header::ORIGIN) == own_origin.as_deref();
    if origin_fits && fetch_site.is_none_or(|site| site == "same-origin") {
        return Ok(());
    }
    Err(Refusal::NotPermitted {
        action: "change something from another site".to_owned(),
        needed: "a request of this site's own pages".to_owned(),
    }
    .into())
}

/// Cookies travel with requests that other sites make; bearer tokens do not.
pub(crate) fn refuse_cookie(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(header::AUTHORIZATION) {
        Some(_) => Ok(()),
        None => refuse_foreign(headers),
    }
}

/// The entry up to which the client has seen the state: a header of programs, a query of redirects and of streams.
fn seen_index(parts: &Parts, route: &str) -> Option<LogIndex> {
    let header = parts
        .headers
        .get("docklet-index")
        .and_then(|value| value.to_str().ok());
    let query = parts.uri.query().unwrap_or_default().split('&');
    let query = query.filter_map(|pair| pair.strip_prefix("after=")).next();
    let says_so = receipt::has_receipts(route) || route.starts_with("/live/");
    let index = header.or(query.filter(|_| says_so && parts.method == Method::GET))?;
    index.parse().ok()
}

/// The request id that the client chose, as 32 hexadecimal digits; a fresh one if it chose none.
fn request_id(headers: &HeaderMap, known: LogIndex) -> RequestId {
    let given = headers
        .get("docklet-request")
        .and_then(|value| value.to_str().ok());
    let given = given.and_then(|text| u128::from_str_radix(text, 16).ok());
    given.map_or_else(|| RequestId::issued(known, rand::random()), RequestId)
}

/// Proposes in the name of the asker.
pub(crate) async fn propose(
    portal: &Portal,
    asker: &Asker,
    command: Command,
) -> Result<docklet_control::model::Receipt, Problem> {
    propose_as(portal, asker, asker.request, command).await
}

/// The same for one of several entries that a request is made of: each has an id of its own.
pub(crate) async fn propose_as(
    portal: &Portal,
    asker: &Asker,
    request: RequestId,
    command: Command,
) -> Result<docklet_control::model::Receipt, Problem> {
    let proposed = portal
        .master
        .propose(asker.actor(), request, command, WRITE_DEADLINE);
    Ok(proposed.await?)
}
