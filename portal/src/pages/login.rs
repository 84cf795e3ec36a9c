//! Logging in and out.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Form, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use docklet_control::Command;
use docklet_control::model::SessionKind;
use maud::{Markup, html};
use serde::Deserialize;

use super::{check_csrf, document, mark, sentence};
use crate::asker::{self, Asker, COOKIE, propose, refuse_foreign};
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn show(asker: Option<Asker>) -> Response {
    match asker {
        Some(_) => Redirect::to("/").into_response(),
        None => page("", None).into_response(),
    }
}

fn page(user: &str, problem: Option<&str>) -> Markup {
    let body = html! {
        main.login {
            h1 { (mark()) "Docklet" }
            p.muted { "Your own clusters on shared machines." }
            @if let Some(problem) = problem {
                p.notice.refused role="alert" { (sentence(problem)) }
            }
            form method="post" action="/login" {
                label for="user" { "User" }
                input #user name="user" value=(user) autocomplete="username" required autofocus;
                label for="password" { "Password" }
                input #password name="password" type="password" autocomplete="current-password" required;
                button.button type="submit" { "Log in" }
            }
        }
    };
    document("Log in", None, body)
}

#[derive(Deserialize)]
pub(crate) struct LogIn {
    user: String,
    password: String,
}

pub(crate) async fn submit(
    State(portal): State<Portal>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(form): Form<LogIn>,
) -> Result<Response, Problem> {
    refuse_foreign(&headers)?;
    let (client, kind) = (client.ip(), SessionKind::Browser);
    let opened = asker::log_in(&portal, client, &form.user, form.password, kind).await;
    let opened = match opened {
        Ok(opened) => opened,
        Err(problem) => {
            let page = page(&form.user, Some(&problem.detail));
            return Ok((problem.status, page).into_response());
        }
    };
    let (secret, age) = (opened.secret, opened.ttl.as_secs());
    let cookie =
        format!("{COOKIE}={secret}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={age}");
    let to = format!("/?after={}", opened.index);
    Ok((
        StatusCode::SEE_OTHER,
        [(header::SET_COOKIE, cookie), (header::LOCATION, to)],
    )
        .into_response())
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
    let cookie = format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    let headers = [
        (header::SET_COOKIE, cookie),
        (header::LOCATION, "/login".to_owned()),
    ];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}
