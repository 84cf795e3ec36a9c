//! Routes of files of vnodes, and of images that come as files.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use crate::pages;
use crate::serve::Portal;

/// Pages whose forms bring bodies of any length.
pub(super) fn bringing_pages() -> Router<Portal> {
    Router::new()
        .route(
            "/vclusters/{name}/vnodes/{vnode}/files/upload",
            post(pages::files::bring::upload),
        )
        .route(
            "/vclusters/{name}/vnodes/{vnode}/files/edit",
            get(pages::files::bring::edit).post(pages::files::bring::save),
        )
        .route("/images/import", post(pages::image::import::take))
        .layer(DefaultBodyLimit::disable())
}
