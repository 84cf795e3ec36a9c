//! Every route of the public listener, on one page. No GET changes anything, but for the one by which an OpenID provider sends
//! a browser back that has begun a login here.

mod accounts;
mod api;
mod cluster;
mod files;
mod services;

use axum::Router;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use axum::middleware::{from_fn, from_fn_with_state, map_request, map_response};
use axum::routing::{get, post};
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::openapi::Operation;
use crate::serve::Portal;
use crate::{assets, intake, live, metrics, pages, problem, refused, rest, shared, terminal};

/// Scripts, styles and connections are this origin's own; nothing inline, nobody frames us.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(crate) fn router(portal: Portal) -> Router {
    Router::new()
        .merge(
            page_routes()
                .fallback(pages::not_found)
                .layer(map_request(intake::whole_body))
                .layer(map_response(problem::tell_all))
                .layer(from_fn(pages::show_problem)),
        )
        .merge(
            files::bringing_pages()
                .layer(map_response(problem::tell_all))
                .layer(from_fn(pages::show_problem)),
        )
        .nest(
            "/api/v1",
            api::routes()
                .into_router()
                .fallback(crate::api::not_found)
                .layer(map_request(intake::whole_body))
                .merge(api::uploads().of_any_length().into_router())
                .layer(map_response(problem::tell_all)),
        )
        .route(
            "/metrics",
            get(metrics::show).layer(map_response(problem::tell_all)),
        )
        .merge(cluster::probes())
        .with_state(portal.clone())
        .layer(from_fn_with_state(portal, refused::watch))
        .layer(CompressionLayer::new().compress_when(is_text))
        .layer(map_request(intake::name_host))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(CONTENT_SECURITY_POLICY),
        ))
        .layer(header_layer("x-content-type-options", "nosniff"))
        .layer(header_layer("referrer-policy", "same-origin"))
        .layer(header_layer(
            "strict-transport-security",
            "max-age=31536000",
        ))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ))
        .layer(from_fn(rest::take_in))
}

/// All operations of the JSON interface.
pub(crate) fn operations() -> Vec<Operation> {
    api::routes().and(api::uploads()).into_operations()
}

/// Pages, what belongs to them, and answers to programs get shorter. Streams do not: each of their messages goes out at once.
fn is_text(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    const KINDS: [&str; 5] = [
        "text/html",
        "text/css",
        "text/javascript",
        "text/csv",
        "application/json",
    ];
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_part = headers.contains_key(header::CONTENT_RANGE);
    !is_part && KINDS.iter().any(|text| kind.starts_with(text))
}

fn header_layer(name: &'static str, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    let value = HeaderValue::from_static(value);
    SetResponseHeaderLayer::overriding(HeaderName::from_static(name), value)
}

fn page_routes() -> Router<Portal> {
    Router::new()
        .route("/", get(pages::home::show))
        .route("/login", get(pages::login::show).post(pages::login::submit))
        .route("/logout", post(pages::login::leave))
        .merge(accounts::pages())
        .merge(notice_pages())
        .merge(bean_pages())
        .route(
            "/vclusters",
            get(pages::vcluster::list).post(pages::vcluster::form::create),
        )
        .route("/new/vcluster", get(pages::vcluster::form::show))
        .route("/vclusters/{name}", get(pages::vcluster::show))
        .route("/vclusters/{name}/usage", get(pages::usage::show))
        .route(
            "/vclusters/{name}/vnodes/{vnode}/explain",
            get(pages::explain::show),
        )
        .route(
            "/vclusters/{name}/vnodes/{vnode}/files",
            get(pages::files::show),
        )
        .route(
            "/vclusters/{name}/vnodes/{vnode}/files/change",
            post(pages::files::change),
        )
        .route(
            "/vclusters/{name}/vnodes/{vnode}/{action}",
            post(pages::moves::change),
        )
        .route("/vclusters/{name}/{action}", post(pages::vcluster::change))
        .route("/vclusters/{name}/ports/add", post(pages::port::add))
        .route("/vclusters/{name}/ports/remove", post(pages::port::remove))
        .route(
            "/vclusters/{name}/snapshots/take",
            post(pages::snapshot::take),
        )
        .route(
            "/vclusters/{name}/snapshots/restore",
            post(pages::snapshot::restore),
        )
        .route(
            "/vclusters/{name}/snapshots/delete",
            post(pages::snapshot::delete),
        )
        .route(
            "/vclusters/{name}/snapshots/schedule",
            post(pages::snapshot::set_schedule),
        )
        .route("/terminal/{vcluster}/{vnode}", get(pages::terminal::show))
        // Over HTTP/2 a WebSocket is asked for by CONNECT.
        .route(
            "/terminal/ws",
            get(terminal::browser).connect(terminal::browser),
        )
        .route("/replay", get(pages::terminal::replay))
        .merge(shared_pages())
        .route("/masters", get(pages::master::list))
        .route("/drills", get(pages::drill::list).post(pages::drill::start))
        .route("/drills/{id}", get(pages::drill::show))
        .route("/drills/{id}/abort", post(pages::drill::abort))
        .route(
            "/masters/{id}/{action}",
            get(pages::master::confirm).post(pages::master::change),
        )
        .route("/workers", get(pages::worker::list))
        .route("/workers/{name}/{action}", post(pages::worker::change))
        .route("/rebalance/apply", post(pages::rebalance::apply))
        .route("/rebalance/policy", post(pages::rebalance::set_policy))
        .route("/images", get(pages::image::list))
        .route("/images/{owner}/{name}", get(pages::image::show))
        .route(
            "/images/{owner}/{name}/{action}",
            post(pages::image::change),
        )
        .route(
            "/templates",
            get(pages::template::show).post(pages::template::publish),
        )
        .route("/templates/{name}/clone", post(pages::template::clone))
        .route(
            "/templates/{name}/clones",
            post(pages::template::clone_for_all),
        )
        .route(
            "/templates/{name}/withdraw",
            post(pages::template::withdraw),
        )
        .route("/quotas", get(pages::quota::show).post(pages::quota::set))
        .route("/past", get(pages::state::show))
        .route("/audit", get(pages::audit::show))
        .merge(services::pages())
        .merge(cluster::pages())
        .route("/trash/{id}/restore", post(pages::trash::restore))
        .route("/trash/{id}/purge", post(pages::trash::purge))
        .route("/deleted/{number}/restore", post(pages::kept::restore))
        .route("/deleted/{number}/purge", post(pages::kept::purge))
        .route("/settings", get(pages::setting::show))
        .route("/settings/{name}/undo", post(pages::setting::undo))
        .route("/live/{*page}", get(live::stream))
        .route("/assets/{name}", get(assets::serve))
}

/// Pages of what people are told, by mail too, and what they found wrong.
fn notice_pages() -> Router<Portal> {
    Router::new()
        .route(
            "/notices",
            get(pages::notices::show).post(pages::notices::announce),
        )
        .route("/notices/read", post(pages::notices::read_all))
        .route("/notices/wish", post(pages::notices::set_wish))
        .route("/notices/{id}/{action}", post(pages::notices::change))
        .route("/bugs", get(pages::bug::show).post(pages::bug::report))
        .route("/bugs/{id}/answer", post(pages::bug::answer))
        .route("/mail", get(pages::mail::show))
        .route("/mail/test", post(pages::mail::test))
        .route("/mail/{id}/resend", post(pages::mail::resend))
}

/// Terminals that are shared by a link.
fn shared_pages() -> Router<Portal> {
    Router::new()
        .route(
            "/terminal/{vcluster}/{vnode}/share",
            get(pages::share::show).post(pages::share::share),
        )
        .route(
            "/terminal/{vcluster}/{vnode}/share/{id}",
            post(pages::share::revoke),
        )
        .route("/shared/{link}", get(pages::share::visit))
        .route(
            "/shared/{link}/ws",
            get(shared::browser).connect(shared::browser),
        )
}

/// Pages of beans.
fn bean_pages() -> Router<Portal> {
    Router::new()
        .route("/beans", get(pages::bean::page::show))
        .route("/beans/settings", post(pages::bean::set))
        .route("/beans/grants", post(pages::bean::grant))
        .route("/beans/requests", post(pages::bean::request))
        .route("/beans/requests/{number}", post(pages::bean::decide))
}
