//! What the proxy says by itself: to people as a page, to programs as problem+json. Never as if the service had said it.

use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use docklet_control::Refusal;
use docklet_control::id::ServiceId;
use docklet_control::view::Phase;
use maud::{DOCTYPE, Markup, html};

use super::Unready;
use super::place::ProxyPlace;
use super::question::Unfit;
use crate::pages::sentence;
use crate::problem::Problem;

/// Nothing but its own style sheet and script; nobody frames it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'";
/// Who waits looks again after so many seconds.
const AGAIN_S: u64 = 1;
/// What does not come by itself is looked for less often.
const AGAIN_SLOWLY_S: u64 = 5;

pub(super) fn unfit(unfit: Unfit, person: bool) -> Response {
    let (status, detail) = match unfit {
        Unfit::Ambiguous(why) => (
            StatusCode::BAD_REQUEST,
            format!("the request can be understood in two ways, as {why}: it was not passed on"),
        ),
        Unfit::Misdirected => (
            StatusCode::MISDIRECTED_REQUEST,
            "no service has this name at this port: open it by its link".to_owned(),
        ),
        Unfit::Foreign(what) => (
            StatusCode::FORBIDDEN,
            format!("another site's page asks for {what}: only the service's own pages may"),
        ),
    };
    let code = unfit.code();
    let told = Problem {
        status,
        code,
        detail,
    };
    problem(&told, person)
}

/// A program that shows no visit.
pub(super) fn stranger() -> Response {
    problem(&Problem::from(Refusal::NotLoggedIn), false)
}

pub(super) fn nothing() -> Response {
    let told = Problem {
        status: StatusCode::NOT_FOUND,
        code: "not_found",
        detail: "there is nothing at this address: check it".to_owned(),
    };
    problem(&told, true)
}

/// A ticket that is used up, too old, or another browser's.
pub(super) fn no_way_in(place: &ProxyPlace, service: ServiceId) -> Response {
    let body = html! {
        h1 { "This way in is used up" }
        p { "It is good once, for half a minute, and in the browser that began." }
        p { a.button href=(place.url(service, "/")) { "Open the service" } " " a.button.secondary href=(place.portal) { "Docklet" } }
    };
    page(StatusCode::FORBIDDEN, "No way in", None, &body)
}

pub(super) fn problem(problem: &Problem, person: bool) -> Response {
    if !person {
        return plain(problem.clone().into_response());
    }
    let title = problem.status.canonical_reason().unwrap_or("Problem");
    let body = html! {
        h1 { (title) }
        p.notice.refused role="alert" { (sentence(&problem.detail)) }
    };
    page(problem.status, title, None, &body)
}

/// The page goes over to the service by itself as soon as that answers.
pub(super) fn unready(place: &ProxyPlace, unready: &Unready, person: bool) -> Response {
    let comes = match unready.phase {
        Phase::Running | Phase::Starting | Phase::Pending | Phase::Unknown => true,
        Phase::Failed | Phase::Stopping | Phase::Stopped | Phase::Removing => false,
    };
    let again_s = if comes { AGAIN_S } else { AGAIN_SLOWLY_S };
    let mut response = if person {
        let body = waiting(place, unready, comes);
        page(
            unready.problem.status,
            "Not ready yet",
            Some(again_s),
            &body,
        )
    } else {
        plain(unready.problem.clone().into_response())
    };
    let again = HeaderValue::from(again_s);
    response.headers_mut().insert(header::RETRY_AFTER, again);
    response
}

fn waiting(place: &ProxyPlace, unready: &Unready, comes: bool) -> Markup {
    let Unready {
        service,
        vcluster,
        vnode,
        phase,
        problem,
    } = unready;
    html! {
        h1 { @if comes { (service.name) " is not ready yet" } @else { (service.name) " is not there" } }
        p #reason role="status" { (sentence(&problem.detail)) }
        dl.facts {
            div { dt { "Vnode" } dd { (vcluster) "/" (vnode) } }
            div { dt { "State" } dd { span class={"phase phase-" (phase.word())} { (phase.word()) } } }
            div { dt { "Port" } dd { (service.port) } }
        }
        p.hint { "This page goes over to the service by itself." }
        p { a.button.secondary href={(place.portal) "/vclusters/" (service.vcluster)} { "The vcluster's page" } }
    }
}

fn page(status: StatusCode, title: &str, again_s: Option<u64>, body: &Markup) -> Response {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(again_s) = again_s { noscript { meta http-equiv="refresh" content=(again_s); } }
                title { (title) " · Docklet" }
                link rel="stylesheet" href="/.docklet/style.css";
                @if again_s.is_some() { script src="/.docklet/wait.js" defer {} }
            }
            body { main.alone data-again=[again_s] { p.brand { "Docklet" } (body) } }
        }
    };
    plain((status, document).into_response())
}

fn plain(mut response: Response) -> Response {
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("docklet-proxy"), "own"),
    ];
    for (name, value) in fixed {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}
