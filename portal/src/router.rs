//! Every route of the public listener, on one page. No GET changes anything.

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{map_request, map_response};
use axum::routing::{delete, get, post, put};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::serve::Portal;
use crate::{api, assets, events, images, intake, live, metrics, pages, problem, terminal};

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
                .layer(map_response(pages::show_problem)),
        )
        .nest(
            "/api/v1",
            api_routes()
                .layer(map_request(intake::whole_body))
                .merge(upload_routes())
                .layer(map_response(problem::tell_all)),
        )
        .route(
            "/metrics",
            get(metrics::show).layer(map_response(problem::tell_all)),
        )
        .with_state(portal)
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
        .merge(account_pages())
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
        .route("/terminal/ws", get(terminal::browser))
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
        .route("/trash/{id}/restore", post(pages::trash::restore))
        .route("/trash/{id}/purge", post(pages::trash::purge))
        .route("/settings", get(pages::setting::show))
        .route("/settings/{name}/undo", post(pages::setting::undo))
        .route("/live/{*page}", get(live::stream))
        .route("/assets/{name}", get(assets::serve))
}

fn api_routes() -> Router<Portal> {
    Router::new()
        .route("/login", post(api::access::log_in))
        .route("/logout", post(api::access::log_out))
        .route("/status", get(api::status::show))
        .route(
            "/vclusters",
            get(api::vcluster::list).post(api::vcluster::create),
        )
        .route(
            "/vclusters/{name}",
            get(api::vcluster::show).delete(api::vcluster::delete),
        )
        .route("/vclusters/{name}/start", post(api::vcluster::start))
        .route("/vclusters/{name}/stop", post(api::vcluster::stop))
        .route("/vclusters/{name}/scale", post(api::vcluster::scale))
        .route("/vclusters/{name}/resize", post(api::vcluster::resize))
        .route("/vclusters/{name}/usage", get(api::meter::vcluster_usage))
        .route(
            "/vclusters/{name}/history",
            get(api::meter::vcluster_history),
        )
        .route(
            "/vclusters/{name}/vnodes/{vnode}/history",
            get(api::meter::vnode_history),
        )
        .route("/moves", get(api::moves::list))
        .route(
            "/vclusters/{name}/vnodes/{vnode}/move",
            get(api::moves::show)
                .post(api::moves::begin)
                .delete(api::moves::cancel),
        )
        .route("/vclusters/{name}/vnodes/{vnode}/exec", get(terminal::exec))
        .route(
            "/vclusters/{name}/vnodes/{vnode}/terminal",
            get(terminal::program),
        )
        .route(
            "/vclusters/{name}/snapshots",
            get(api::snapshot::list).post(api::snapshot::take),
        )
        .route(
            "/vclusters/{name}/snapshots/{snapshot}",
            delete(api::snapshot::delete),
        )
        .route(
            "/vclusters/{name}/snapshots/{snapshot}/restore",
            post(api::snapshot::restore),
        )
        .route(
            "/vclusters/{name}/snapshot-schedule",
            put(api::snapshot::schedule).delete(api::snapshot::unschedule),
        )
        .route("/ports", get(api::port::list).post(api::port::add))
        .route("/ports/{protocol}/{number}", delete(api::port::remove))
        .route(
            "/bandwidth",
            get(api::port::bandwidth).put(api::port::limit_bandwidth),
        )
        .route(
            "/bandwidth-ceiling",
            get(api::port::bandwidth_ceiling).put(api::port::set_bandwidth_ceiling),
        )
        .route("/homes", get(api::home::list).put(api::home::set_usual))
        .route(
            "/homes/{user}",
            put(api::home::set).delete(api::home::forget),
        )
        .route("/backup", post(api::backup::take))
        .route("/state", get(api::state::show))
        .route("/state/diff", get(api::state::diff))
        .route("/drills", get(api::drill::list).post(api::drill::start))
        .route("/drills/forecast", post(api::drill::forecast))
        .route("/drills/{id}", get(api::drill::show))
        .route("/drills/{id}/abort", post(api::drill::abort))
        .route("/drills/{id}/probes", post(api::drill::probe))
        .route("/drills/{id}/report", post(api::drill::report))
        .route("/masters", get(api::master::list))
        .route("/masters/autopilot", put(api::master::set_autopilot))
        .route("/masters/{name}", delete(api::master::remove))
        .route("/masters/{name}/transfer", post(api::master::transfer))
        .route("/masters/{name}/drain", post(api::master::drain))
        .route("/masters/{name}/replace", post(api::master::replace))
        .route("/workers", get(api::machine::workers))
        .route("/workers/{name}/cordon", post(api::schedule::cordon))
        .route("/workers/{name}/uncordon", post(api::schedule::uncordon))
        .route("/workers/{name}/labels", put(api::schedule::label))
        .route(
            "/workers/{name}/drain",
            get(api::drain::show)
                .post(api::drain::begin)
                .delete(api::drain::abort),
        )
        .route("/workers/{name}/restore", post(api::drain::restore))
        .route("/what-if", post(api::schedule::ask))
        .route(
            "/rebalance",
            get(api::rebalance::plan).post(api::rebalance::apply),
        )
        .route(
            "/rebalance/policy",
            get(api::rebalance::policy).put(api::rebalance::set_policy),
        )
        .route(
            "/vclusters/{name}/rules",
            get(api::schedule::rules).put(api::schedule::set_rules),
        )
        .route("/vclusters/{name}/explain", get(api::schedule::explain_all))
        .route(
            "/vclusters/{name}/vnodes/{vnode}/explain",
            get(api::schedule::explain_one),
        )
        .route(
            "/disk-overcommit",
            get(api::machine::disk_overcommit).put(api::machine::set_disk_overcommit),
        )
        .route("/usage", get(api::meter::workers_usage))
        .route("/workers/gpus", get(api::meter::workers_gpus))
        .route("/workers/{name}/history", get(api::meter::worker_history))
        .route("/tokens", post(api::machine::create_token))
        .merge(account_routes())
        .merge(notice_routes())
        .merge(bean_routes())
        .route("/users/{name}/role", put(api::role::set))
        .route("/quotas", get(api::allowance::list))
        .route(
            "/quotas/usual",
            get(api::allowance::usual).put(api::allowance::set_usual),
        )
        .route(
            "/quotas/users/{user}",
            get(api::allowance::of_user).put(api::allowance::set_of_user),
        )
        .route(
            "/quotas/groups/{group}",
            get(api::allowance::of_group).put(api::allowance::set_of_group),
        )
        .route(
            "/quotas/groups/{group}/members/{user}",
            put(api::allowance::set_share),
        )
        .route("/trash", get(api::trash::list))
        .route("/trash/{vcluster}", delete(api::trash::purge))
        .route("/trash/{vcluster}/restore", post(api::trash::restore))
        .route("/settings", get(api::setting::list))
        .route(
            "/settings/{name}",
            get(api::setting::show).put(api::setting::set),
        )
        .route("/settings/{name}/undo", post(api::setting::undo))
        .route("/audit", get(api::audit::list))
        .route("/audit/end", get(api::audit::end))
        .route("/audit/records/{number}", get(api::audit::mark))
        .route("/audit/export", get(api::audit::export))
        .route("/templates", get(api::template::list))
        .route(
            "/templates/{name}",
            get(api::template::show)
                .put(api::template::publish)
                .delete(api::template::withdraw),
        )
        .route("/templates/{name}/clone", post(api::template::clone))
        .route(
            "/templates/{name}/clones",
            post(api::template::clone_for_all),
        )
        .route("/groups", get(api::group::list).post(api::group::create))
        .route(
            "/groups/{name}",
            get(api::group::show)
                .post(api::group::change)
                .delete(api::group::delete),
        )
        .route(
            "/vclusters/{name}/vnodes/{vnode}/save",
            post(api::image::save).delete(api::image::cancel_save),
        )
        .route("/saves", get(api::image::saves))
        .route("/image-quotas", get(api::quota::show).put(api::quota::set))
        .route(
            "/image-quotas/{user}",
            put(api::quota::set_of).delete(api::quota::reset),
        )
        .route("/images", get(api::image::list))
        .route(
            "/images/{name}",
            get(api::image::show)
                .post(api::image::change)
                .delete(api::image::delete),
        )
        .route("/events", get(events::stream))
        .fallback(api::not_found)
}

/// Pages of accounts, and of people.
fn account_pages() -> Router<Portal> {
    Router::new()
        .route(
            "/login/code",
            get(pages::login::ask_code).post(pages::login::submit_code),
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

/// Accounts and how one gets in.
fn account_routes() -> Router<Portal> {
    Router::new()
        .route(
            "/registration",
            get(api::account::registration).put(api::account::set_registration),
        )
        .route("/register", post(api::account::register))
        .route("/applications", get(api::account::applications))
        .route("/applications/{id}", get(api::account::application))
        .route("/applications/{id}/approve", post(api::account::approve))
        .route("/applications/{id}/decline", post(api::account::decline))
        .route(
            "/users",
            get(api::account::users).post(api::account::create_user),
        )
        .route(
            "/users/{name}",
            get(api::account::user).delete(api::account::delete),
        )
        .route("/users/{name}/lock", post(api::account::lock))
        .route("/users/{name}/unlock", post(api::account::unlock))
        .route("/users/{name}/profile", put(api::account::set_profile))
        .route("/users/{name}/password", put(api::account::change_password))
        .route("/users/{name}/factor", delete(api::account::remove_factor))
        .route("/factor", post(api::access::begin_factor))
        .route("/factor/confirm", post(api::access::confirm_factor))
        .route(
            "/logins",
            get(api::access::logins).delete(api::access::end_others),
        )
        .route("/logins/{number}", delete(api::access::end))
        .route("/access-tokens", post(api::access::create_token))
        .route("/access-tokens/{name}", delete(api::access::revoke_token))
}

/// What people are told, by mail too, and what they found wrong.
fn notice_routes() -> Router<Portal> {
    Router::new()
        .route(
            "/notices",
            get(api::notice::list).post(api::notice::announce),
        )
        .route("/notices/announced", get(api::notice::announced))
        .route("/notices/read", post(api::notice::read))
        .route("/notices/wish", put(api::notice::set_wish))
        .route(
            "/notices/{id}",
            get(api::notice::show).delete(api::notice::withdraw),
        )
        .route(
            "/mail",
            get(api::mail::server)
                .put(api::mail::set_server)
                .delete(api::mail::unset_server),
        )
        .route("/mail/test", post(api::mail::test))
        .route("/mail/queue", get(api::mail::queue))
        .route("/mail/queue/{id}/resend", post(api::mail::resend))
        .route("/bugs", get(api::bug::list).post(api::bug::report))
        .route("/bugs/{id}", get(api::bug::show).delete(api::bug::forget))
        .route("/bugs/{id}/answer", post(api::bug::answer))
}

/// Pages of the same.
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

/// Pages of beans.
fn bean_pages() -> Router<Portal> {
    Router::new()
        .route("/beans", get(pages::bean::show))
        .route("/beans/settings", post(pages::bean::set))
        .route("/beans/grants", post(pages::bean::grant))
        .route("/beans/requests", post(pages::bean::request))
        .route("/beans/requests/{number}", post(pages::bean::decide))
}

/// Beans.
fn bean_routes() -> Router<Portal> {
    Router::new()
        .route("/beans", get(api::bean::show))
        .route(
            "/beans/settings",
            get(api::bean::settings).put(api::bean::set),
        )
        .route("/beans/rates", put(api::bean::set_rates))
        .route("/beans/statement", get(api::bean::statement))
        .route("/beans/statement.csv", get(api::bean::csv))
        .route("/beans/purses", get(api::bean::purses))
        .route("/beans/grants", post(api::bean::grant))
        .route("/beans/requests", post(api::bean::request))
        .route("/beans/requests/{number}/approve", post(api::bean::approve))
        .route("/beans/requests/{number}/decline", post(api::bean::decline))
}

/// Bodies that are passed on as they come, of any length.
fn upload_routes() -> Router<Portal> {
    Router::new()
        .route("/images/{name}", put(images::upload))
        .route("/images/{name}/import", put(images::import))
}
