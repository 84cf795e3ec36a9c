//! Routes of how the cluster is, what happened in it, what is used, and of groups.

use axum::Router;
use axum::routing::{get, post};

use crate::serve::Portal;
use crate::{health, pages};

pub(super) fn pages() -> Router<Portal> {
    Router::new()
        .route("/health", get(pages::health::show))
        .route("/events", get(pages::events::show))
        .route("/invitations", post(pages::invite::make))
        .route("/workers/{name}", get(pages::machine::show))
        .route("/workers/{name}/usage", get(pages::machine::table))
        .route("/workers/{name}/what-if", get(pages::machine::what_if))
        .route("/settings/tls/{action}", post(pages::tls::change))
        .route("/usage", get(pages::used::own))
        .route("/usage/table", get(pages::used::own_table))
        .route("/people/{name}/usage", get(pages::used::of))
        .route("/people/{name}/usage/table", get(pages::used::table_of))
        .route(
            "/groups",
            get(pages::group::list).post(pages::group::create),
        )
        .route("/groups/{name}", get(pages::group::show))
        .route("/groups/{name}/{action}", post(pages::group::change))
}

/// For load balancers, who are nobody.
pub(super) fn probes() -> Router<Portal> {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
}
