//! Routes of services.

use axum::Router;
use axum::routing::{get, post};

use crate::pages;
use crate::serve::Portal;

/// What is opened in browsers.
pub(super) fn pages() -> Router<Portal> {
    Router::new()
        .route("/workspace", get(pages::workspace::show))
        .route("/workspace/open", post(pages::workspace::open))
        .route("/open/{id}", get(pages::service::open))
        .route("/services/{id}/go", get(pages::service::go))
        .route("/vclusters/{name}/services/add", post(pages::service::add))
        .route(
            "/vclusters/{name}/services/remove",
            post(pages::service::remove),
        )
        .route(
            "/vclusters/{name}/services/share",
            post(pages::service::set_audience),
        )
}
