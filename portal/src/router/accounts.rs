//! Routes of accounts, of how one gets in, and of who says who people are.

use axum::Router;
use axum::routing::{get, post};

use crate::pages;
use crate::serve::Portal;

/// Pages of accounts, and of people.
pub(super) fn pages() -> Router<Portal> {
    Router::new()
        .route(
            "/login/code",
            get(pages::login::ask_code).post(pages::login::submit_code),
        )
        .route("/login/oidc", post(pages::oidc::begin))
        .route("/login/oidc/callback", get(pages::oidc::go_on))
        .route("/login/oidc/name", post(pages::oidc::name_oneself))
        .route("/account/oidc/connect", post(pages::oidc::connect))
        .route(
            "/account/oidc/{identity}/disconnect",
            post(pages::oidc::disconnect),
        )
        .route(
            "/register",
            get(pages::register::show).post(pages::register::submit),
        )
        .route("/account", get(pages::account::show))
        .route("/account/profile", post(pages::account::set_profile))
        .route("/account/password", post(pages::account::change_password))
        .route("/account/tokens", post(pages::account::create_token))
        .route(
            "/account/logins/end-others",
            post(pages::account::end_others),
        )
        .route(
            "/account/logins/{number}/end",
            post(pages::account::end_login),
        )
        .route("/account/factor/begin", post(pages::account::begin_factor))
        .route(
            "/account/factor/confirm",
            post(pages::account::confirm_factor),
        )
        .route(
            "/account/factor/remove",
            post(pages::account::remove_factor),
        )
        .route("/people", get(pages::people::list))
        .route("/registration", post(pages::people::set_registration))
        .route("/requests/{id}", get(pages::people::request))
        .route("/requests/{id}/{action}", post(pages::people::decide))
        .route("/people/{name}", get(pages::people::show))
        .route("/people/{name}/{action}", post(pages::people::change))
}
