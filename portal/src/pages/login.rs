//! Logging in and out, in one step or in two.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use docklet_control::Command;
use docklet_control::Refusal;
use docklet_control::model::SessionKind;
use maud::{Markup, html};
use serde::Deserialize;

use super::{check_csrf, document, mark, sentence};
use crate::asker::{Asker, COOKIE, cookie, propose, refuse_foreign};
use crate::login::{self, Credentials, Opened};
use crate::next;
use crate::problem::Problem;
use crate::register;
use crate::serve::Portal;

/// Held by a browser that has shown a password and no code yet.
const WAITING: &str = "__Host-docklet-login";

/// Where to go on afterwards, if that is not home.
#[derive(Deserialize)]
pub(crate) struct On {
    #[serde(default)]
    next: String,
}

pub(crate) async fn show(
    State(portal): State<Portal>,
    asker: Option<Asker>,
    Query(On { next }): Query<On>,
) -> Response {
    let on = next::within(&next);
    match asker {
        Some(_) => Redirect::to(on).into_response(),
        None => page(&portal, on, "", None).into_response(),
    }
}

fn page(portal: &Portal, on: &str, user: &str, problem: Option<&str>) -> Markup {
    let state = portal.master.local().state;
    let body = html! {
        main.login {
            h1 { (mark()) "Docklet" }
            p.muted { "Your own clusters on shared machines." }
            @if let Some(problem) = problem {
                p.notice.refused role="alert" { (sentence(problem)) }
            }
            form method="post" action="/login" {
                input type="hidden" name="next" value=(on);
                label for="user" { "User" }
                input #user name="user" value=(user) autocomplete="username" required autofocus;
                label for="password" { "Password" }
                input #password name="password" type="password" autocomplete="current-password" required;
                button.button type="submit" { "Log in" }
            }
            @if let Some(provider) = state.provider() { (super::oidc::button(&provider.label, on)) }
            @if register::policy(portal).registration {
                p.hint { "No account yet? " a href="/register" { "Ask for one" } }
            }
        }
    };
    document("Log in", None, body)
}

fn code_page(on: &str, problem: Option<&str>) -> Markup {
    let body = html! {
        main.login {
            h1 { (mark()) "Docklet" }
            @if let Some(problem) = problem {
                p.notice.refused role="alert" { (sentence(problem)) }
            }
            form method="post" action="/login/code" {
                input type="hidden" name="next" value=(on);
                label for="code" { "Code that your device shows" }
                input #code name="code" autocomplete="one-time-code" inputmode="numeric" required autofocus aria-describedby="code-hint";
                p.hint #code-hint { "Six digits; or one of your recovery codes, if the device is lost." }
                button.button type="submit" { "Go on" }
            }
            p { a.button.secondary href="/login" { "Log in as somebody else" } }
        }
    };
    document("Second factor", None, body)
}

#[derive(Deserialize)]
pub(crate) struct LogIn {
    user: String,
    password: String,
    #[serde(default)]
    next: String,
}

pub(crate) async fn submit(
    State(portal): State<Portal>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(form): Form<LogIn>,
) -> Result<Response, Problem> {
    refuse_foreign(&headers)?;
    let given = Credentials {
        name: form.user.clone(),
        password: form.password,
        code: None,
    };
    let opened = login::log_in(&portal, client.ip(), given, SessionKind::Browser).await;
    let on = next::within(&form.next);
    Ok(match opened {
        Ok(opened) => go(&opened, on),
        Err(problem) => {
            let page = page(&portal, on, &form.user, Some(&problem.detail));
            (problem.status, page).into_response()
        }
    })
}

/// On to the first page, or to where the code is asked for.
pub(super) fn go(opened: &Opened, on: &str) -> Response {
    if opened.kind == SessionKind::Unproven {
        let cookie = held(WAITING, &opened.secret, opened.ttl.as_secs());
        let headers = [
            (header::SET_COOKIE, cookie),
            (header::LOCATION, next::code_for(on)),
        ];
        return (StatusCode::SEE_OTHER, headers).into_response();
    }
    let to = next::after(next::within(on), opened.index);
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response();
    let cookies = [
        held(COOKIE, &opened.secret, opened.ttl.as_secs()),
        held(WAITING, "", 0),
    ];
    for cookie in cookies {
        if let Ok(value) = cookie.parse() {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

pub(super) fn held(name: &str, secret: &str, age_s: u64) -> String {
    format!("{name}={secret}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={age_s}")
}

pub(crate) async fn ask_code(headers: HeaderMap, Query(On { next }): Query<On>) -> Response {
    match cookie(&headers, WAITING) {
        Some(_) => code_page(next::within(&next), None).into_response(),
        None => Redirect::to("/login").into_response(),
    }
}

#[derive(Deserialize)]
pub(crate) struct Code {
    code: String,
    #[serde(default)]
    next: String,
}

pub(crate) async fn submit_code(
    State(portal): State<Portal>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(form): Form<Code>,
) -> Result<Response, Problem> {
    refuse_foreign(&headers)?;
    let secret = cookie(&headers, WAITING).ok_or(Refusal::NotLoggedIn)?;
    let on = next::within(&form.next);
    Ok(
        match login::go_on(&portal, client.ip(), &secret, &form.code).await {
            Ok(opened) => go(&opened, on),
            Err(problem) if problem.code == Refusal::NotLoggedIn.code() => {
                Redirect::to("/login").into_response()
            }
            Err(problem) => (problem.status, code_page(on, Some(&problem.detail))).into_response(),
        },
    )
}

#[derive(Deserialize)]
pub(crate) struct Leave {
    csrf: String,
}

pub(crate) async fn leave(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<Leave>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let command = Command::CloseSession { id: asker.session };
    propose(&portal, &asker, command).await?;
    let headers = [
        (header::SET_COOKIE, held(COOKIE, "", 0)),
        (header::LOCATION, "/login".to_owned()),
    ];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}
