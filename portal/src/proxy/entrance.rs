//! The way in: from the service's origin to the portal and back, so that one login opens all services, and no cookie is for
//! two origins.
//!
//! 1. `GET https://s7.apps…/lab` without a visit: a cookie with a fresh secret, the *way*, and on to `/open/7` at the portal.
//! 2. `/open/7` asks who that is there, and puts a ticket in the log: good once, for this service, for half a minute.
//! 3. `/.docklet/enter` with the ticket, and with the hash of the way: only the browser that began comes in with it.

use std::net::SocketAddr;

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{StatusCode, Uri, request};
use axum::response::{IntoResponse, Response};
use docklet_control::Command;
use docklet_control::Refusal;
use docklet_control::id::ServiceId;
use docklet_control::service::command::ServiceCommand;
use form_urlencoded::Serializer;

use super::page;
use super::place::ProxyPlace;
use super::question::is_next;
use crate::asker::{OWN_WRITE_DEADLINE, cookie, now};
use crate::assets;
use crate::login::{self, fresh_secret, hash_of};
use crate::problem::Problem;
use crate::serve::Portal;

/// What a browser shows that is in.
pub(crate) const VISIT: &str = "__Host-docklet-visit";
/// What it shows that is on its way.
const WAY: &str = "__Host-docklet-way";
const WAY_SECONDS: u64 = 300;
/// What a ticket is refused as, in the audit trail.
const NO_WAY_IN: &str = "ticket_not_good";
/// Paths of a service's origin that are this cluster's.
pub(super) const OWN_PATHS: &str = "/.docklet/";

/// Sends a browser to the portal.
pub(super) fn begin(
    place: &ProxyPlace,
    service: ServiceId,
    headers: &HeaderMap,
    uri: &Uri,
) -> Response {
    // Several windows may be on their way at the same time.
    let known = cookie(headers, WAY).filter(|way| is_secret(way));
    let way = known.unwrap_or_else(fresh_secret);
    let next = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut query = Serializer::new(String::new());
    query.append_pair("state", &hash_of(&way).to_string());
    if is_next(next) && next != "/" {
        query.append_pair("next", next);
    }
    let to = format!("{}/open/{service}?{}", place.portal, query.finish());
    answer(StatusCode::SEE_OTHER, &to, &[held(WAY, &way, WAY_SECONDS)])
}

/// Where the portal sends a browser that may come in.
pub(crate) fn back(
    place: &ProxyPlace,
    service: ServiceId,
    ticket: &str,
    state: &str,
    next: &str,
) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("ticket", ticket);
    query.append_pair("state", state);
    if is_next(next) {
        query.append_pair("next", next);
    }
    format!(
        "{}{OWN_PATHS}enter?{}",
        place.origin(service),
        query.finish()
    )
}

/// The door of one service, and who stands before it.
pub(super) struct Door<'p> {
    pub(super) portal: &'p Portal,
    pub(super) place: &'p ProxyPlace,
    pub(super) service: ServiceId,
    pub(super) client: SocketAddr,
}

impl Door<'_> {
    fn refused(&self, code: &str) {
        super::refused(self.portal, self.service, None, self.client, code);
    }

    fn no_way_in(&self) -> Response {
        self.refused(NO_WAY_IN);
        page::no_way_in(self.place, self.service)
    }
}

/// This cluster's own paths at a service's origin.
pub(super) async fn own(
    door: &Door<'_>,
    path: &str,
    parts: &request::Parts,
) -> Result<Response, Problem> {
    if !parts.method.is_safe() {
        let unfit = super::Unfit::Foreign("a change");
        door.refused(unfit.code());
        return Ok(page::unfit(unfit, false));
    }
    match path {
        "enter" => enter(door, parts).await,
        "style.css" | "wait.js" => Ok(assets::file(path, None)),
        _ => Ok(page::nothing()),
    }
}

async fn enter(door: &Door<'_>, parts: &request::Parts) -> Result<Response, Problem> {
    let (portal, service) = (door.portal, door.service);
    let query = parts.uri.query().unwrap_or_default();
    let part = |name: &str| {
        let mut parts = form_urlencoded::parse(query.as_bytes());
        let found = parts.find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    let way = cookie(&parts.headers, WAY).filter(|way| is_secret(way));
    let began_here = way.is_some_and(|way| hash_of(&way).to_string() == part("state"));
    let ticket = part("ticket");
    if !began_here || !is_secret(&ticket) {
        return Ok(door.no_way_in());
    }
    let secret = fresh_secret();
    let command = Command::Service(ServiceCommand::Enter {
        ticket: hash_of(&ticket),
        service,
        visit: hash_of(&secret),
    });
    let receipt = match login::propose(portal, command).await {
        Ok(receipt) => receipt,
        Err(problem) if problem.code == Refusal::NotLoggedIn.code() => {
            return Ok(door.no_way_in());
        }
        Err(problem) => return Err(problem),
    };
    // The leader has it; this master hears of it a moment later.
    let master = &portal.master;
    let frozen = master
        .wait_applied(receipt.index, OWN_WRITE_DEADLINE)
        .await?;
    let visit = frozen.state.visits.get(&hash_of(&secret));
    let lasts_ms = visit.map_or(0, |visit| visit.expires_at.since_ms(now()));
    let next = part("next");
    let next = if is_next(&next) { next } else { "/".to_owned() };
    let cookies = [held(VISIT, &secret, lasts_ms / 1_000), held(WAY, "", 0)];
    Ok(answer(StatusCode::SEE_OTHER, &next, &cookies))
}

/// Whether it has the form of what this cluster gives out.
fn is_secret(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// Other sites' links lead in, and nothing else of theirs has the cookie: the door looks at who asks besides.
fn held(name: &str, secret: &str, age_s: u64) -> String {
    format!("{name}={secret}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={age_s}")
}

fn answer(status: StatusCode, to: &str, cookies: &[String]) -> Response {
    let mut response = Body::empty().into_response();
    *response.status_mut() = status;
    let fixed = [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    let headers = response.headers_mut();
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(to) = HeaderValue::from_str(to) {
        headers.insert(header::LOCATION, to);
    }
    for cookie in cookies {
        if let Ok(cookie) = HeaderValue::from_str(cookie) {
            headers.append(header::SET_COOKIE, cookie);
        }
    }
    response
}
