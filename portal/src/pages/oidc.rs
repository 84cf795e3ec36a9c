//! Logging in by the OpenID provider, and connecting one's account to it.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::extract::{ConnectInfo, Form, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use docklet_control::Command;
use docklet_control::id::IdentityId;
use docklet_control::identity::command::IdentityCommand;
use docklet_control::model::SessionKind;
use docklet_control::view::account::UserView;
use maud::{Markup, html};
use serde::Deserialize;

use super::login::{go, held};
use super::{check_csrf, csrf, document, instant, leading, mark, sentence};
use crate::asker::{Asker, cookie, propose, refuse_foreign};
use crate::brake::Attempt;
use crate::next;
use crate::oidc::{self, Answer, Beginning, Fault, Outcome};
use crate::problem::Problem;
use crate::serve::Portal;

/// Held by a browser that has begun a login at the provider.
const BEGUN: &str = "__Host-docklet-oidc";
/// Held by a browser whose person must still say what they are called here.
const ARRIVED: &str = "__Host-docklet-newcomer";
const AGE_S: u64 = 600;

#[derive(Deserialize)]
pub(crate) struct Begin {
    #[serde(default)]
    next: String,
}

/// The form of the login page.
pub(crate) fn button(label: &str, next: &str) -> Markup {
    html! {
        form method="post" action="/login/oidc" {
            input type="hidden" name="next" value=(next);
            button.button.secondary type="submit" { "Sign in with " (label) }
        }
    }
}

pub(crate) async fn begin(
    State(portal): State<Portal>,
    headers: HeaderMap,
    Form(form): Form<Begin>,
) -> Result<Response, Problem> {
    refuse_foreign(&headers)?;
    let begun = oidc::begin(&portal, &headers, &form.next, None).await;
    Ok(sent(begun))
}

#[derive(Deserialize)]
pub(crate) struct Confirmed {
    csrf: String,
}

/// Whoever is logged in says that they are also that person of the provider.
pub(crate) async fn connect(
    State(portal): State<Portal>,
    asker: Asker,
    headers: HeaderMap,
    Form(form): Form<Confirmed>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let begun = oidc::begin(&portal, &headers, "/account", Some(asker.session)).await;
    Ok(sent(begun))
}

pub(crate) async fn disconnect(
    State(portal): State<Portal>,
    asker: Asker,
    Path(identity): Path<IdentityId>,
    Form(form): Form<Confirmed>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let user = asker.user.id;
    let command = Command::Identity(IdentityCommand::Disconnect { user, identity });
    let receipt = propose(&portal, &asker, command).await?;
    Ok(Redirect::to(&next::after("/account", receipt.index)))
}

/// On to the provider. It sends the browser back from another site, so the cookie must come along then.
fn sent(begun: Result<Beginning, Problem>) -> Response {
    let begun = match begun {
        Ok(begun) => begun,
        Err(problem) => return refused(&problem),
    };
    let body = html! {
        main.login {
            h1 { (mark()) "Docklet" }
            p { "You are sent to " (begun.label) ", which asks who you are." }
            p { a.button href=(begun.address) { "Go on to " (begun.label) } }
        }
    };
    let page = leading("Sign in", None, Some(&begun.address), body);
    let cookie = lax(BEGUN, &begun.sealed, AGE_S);
    with_cookies(page.into_response(), [cookie])
}

fn lax(name: &str, value: &str, age_s: u64) -> String {
    format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={age_s}")
}

fn with_cookies(mut response: Response, cookies: impl IntoIterator<Item = String>) -> Response {
    for cookie in cookies {
        if let Ok(value) = cookie.parse() {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

/// The provider has sent the browser back.
pub(crate) async fn go_on(
    State(portal): State<Portal>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Query(answer): Query<Answer>,
) -> Response {
    let sealed = cookie(&headers, BEGUN);
    let outcome = match slowed(&portal, client.ip()).await {
        Ok(()) => oidc::go_on(&portal, client.ip(), sealed.as_deref(), answer).await,
        Err(problem) => Err(problem),
    };
    // Strangers can make up codes; whatever else goes wrong is the provider's.
    if let Err(problem) = &outcome
        && problem.code == Fault::CodeRefused.code()
    {
        let attempt = portal.oidc_brake.attempt("", client.ip(), Instant::now());
        attempt.inspect(Attempt::failed);
    }
    let again =
        matches!(&outcome, Err(problem) if problem.status == StatusCode::SERVICE_UNAVAILABLE);
    if again {
        return shown(outcome);
    }
    // Whatever else came of it, it was begun once.
    with_cookies(shown(outcome), [lax(BEGUN, "", 0)])
}

/// An address from which codes come that the provider does not know waits; others never do, however many come from one.
async fn slowed(portal: &Portal, client: IpAddr) -> Result<(), Problem> {
    let attempt = portal.oidc_brake.attempt("", client, Instant::now());
    let attempt = attempt.ok_or_else(Problem::too_many_logins)?;
    if !attempt.wait.is_zero() {
        tokio::time::sleep(attempt.wait).await;
    }
    Ok(())
}

#[derive(Deserialize)]
pub(crate) struct Named {
    name: String,
}

pub(crate) async fn name_oneself(
    State(portal): State<Portal>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(form): Form<Named>,
) -> Result<Response, Problem> {
    refuse_foreign(&headers)?;
    let sealed = cookie(&headers, ARRIVED);
    let outcome = oidc::name_oneself(&portal, client.ip(), sealed.as_deref(), &form.name).await;
    Ok(shown(outcome))
}

/// The browser came from another site, and does not show what it holds here until it goes on from a page of this one.
fn shown(outcome: Result<Outcome, Problem>) -> Response {
    match outcome {
        Ok(Outcome::Opened { opened, next }) => {
            let mut response = led_on(match opened.kind {
                SessionKind::Unproven => next::code_for(&next),
                SessionKind::Browser | SessionKind::Token | SessionKind::Api => {
                    next::after(&next, opened.index)
                }
            });
            let went = go(&opened, &next);
            for cookie in went.headers().get_all(header::SET_COOKIE) {
                let cookie = cookie.clone();
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            with_cookies(response, [held(ARRIVED, "", 0)])
        }
        Ok(Outcome::Connected { index, next }) => led_on(next::after(&next, index)),
        Ok(Outcome::Asked) => document(
            "Request noted",
            None,
            framed(html! {
                p.notice.done role="status" { "You have no account here yet. Your request for one is noted; an admin decides. Sign in again in the same way to see how it stands." }
                p { a.button.secondary href="/login" { "Back to the login" } }
            }),
        )
        .into_response(),
        Ok(Outcome::Unnamed {
            sealed,
            name,
            problem,
        }) => with_cookies(
            (problem.status, name_page(&name, &problem)).into_response(),
            [held(ARRIVED, &sealed, AGE_S)],
        ),
        Err(problem) => refused(&problem),
    }
}

fn led_on(to: String) -> Response {
    let body = framed(html! {
        p { "You are signed in." }
        p { a.button href=(to) { "Go on" } }
    });
    leading("Signed in", None, Some(&to), body).into_response()
}

fn framed(body: Markup) -> Markup {
    html! {
        main.login {
            h1 { (mark()) "Docklet" }
            (body)
        }
    }
}

fn name_page(name: &str, problem: &Problem) -> Markup {
    let body = framed(html! {
        p { "Choose what you are called here." }
        p.notice.refused role="alert" { (sentence(&problem.detail)) }
        form method="post" action="/login/oidc/name" {
            label for="name" { "User name" }
            input #name name="name" value=(name) autocomplete="username" maxlength="40" pattern="[a-z]([a-z0-9\\-]*[a-z0-9])?" title="a to z, 0 to 9 and -, beginning with a letter" required autofocus;
            button.button type="submit" { "Go on" }
        }
        p { a.button.secondary href="/login" { "Back to the login" } }
    });
    document("Choose a name", None, body)
}

fn refused(problem: &Problem) -> Response {
    let body = framed(html! {
        p.notice.refused role="alert" data-code=(problem.code) { (sentence(&problem.detail)) }
        p { a.button href="/login" { "Back to the login" } }
    });
    (problem.status, document("Not signed in", None, body)).into_response()
}

/// Of one's own account.
pub(super) fn section(asker: &Asker, view: &UserView) -> Markup {
    let provider = asker.frozen.state.provider();
    html! {
        @if provider.is_some() || !view.identities.is_empty() {
            section aria-labelledby="connections-title" {
                h2 #connections-title { "Sign in by others" }
                @if view.identities.is_empty() {
                    p.hint { "This account is connected to nobody of a provider: you log in with name and password." }
                } @else {
                    table {
                        thead { tr { th { "Provider" } th { "As" } th { "Since" } th { span.unseen { "Actions" } } } }
                        tbody {
                            @for identity in &view.identities {
                                tr {
                                    td.main data-label="Provider" { (identity.provider) }
                                    td data-label="As" { @if identity.mail.is_empty() { (identity.subject) } @else { (identity.mail) } }
                                    td data-label="Since" { (instant(identity.since)) }
                                    td.act {
                                        @if view.password || view.identities.len() > 1 {
                                            form method="post" action={"/account/oidc/" (identity.id) "/disconnect"} {
                                                (csrf(asker))
                                                button.button.danger.small type="submit" aria-label={"Disconnect from " (identity.provider)} { "Disconnect" }
                                            }
                                        } @else {
                                            span.muted { "the only way in" }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
                @if let Some(provider) = provider {
                    form method="post" action="/account/oidc/connect" {
                        (csrf(asker))
                        button.button.secondary type="submit" { "Connect to " (provider.label) }
                    }
                }
            }
        }
    }
}
