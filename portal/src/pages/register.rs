//! Asking for an account, for strangers.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::{document, mark, sentence};
use crate::asker::refuse_foreign;
use crate::problem::Problem;
use crate::register::{self, Wish};
use crate::serve::Portal;

pub(crate) async fn show(State(portal): State<Portal>) -> Markup {
    if register::policy(&portal).registration {
        return page(&Wish::default(), None);
    }
    frame(html! {
        p { "This cluster takes no requests for accounts. Ask an admin: they make one." }
        p { a.button.secondary href="/login" { "Log in" } }
    })
}

fn frame(body: Markup) -> Markup {
    let body = html! {
        main.login {
            h1 { (mark()) "Docklet" }
            (body)
        }
    };
    document("Ask for an account", None, body)
}

/// What was typed stays, but for the password.
fn page(wish: &Wish, problem: Option<&str>) -> Markup {
    frame(html! {
        p.muted { "An admin looks at what you say and decides. Log in with the name and password that you choose here to see how it stands." }
        @if let Some(problem) = problem {
            p.notice.refused role="alert" { (sentence(problem)) }
        }
        form method="post" action="/register" {
            label for="name" { "User name" }
            input #name name="name" value=(wish.name) autocomplete="username" maxlength="40" pattern="[a-z]([a-z0-9\\-]*[a-z0-9])?" title="a to z, 0 to 9 and -, beginning with a letter" required autofocus;
            label for="password" { "Password" }
            input #password name="password" type="password" autocomplete="new-password" minlength="8" required;
            label for="real-name" { "Your name" }
            input #real-name name="real_name" value=(wish.real_name) autocomplete="name" maxlength="200" required;
            label for="mail" { "Mail address" }
            input #mail name="mail" type="email" value=(wish.mail) autocomplete="email" required;
            label for="affiliation" { "Where you belong" }
            input #affiliation name="affiliation" value=(wish.affiliation) autocomplete="organization" maxlength="200";
            label for="reason" { "What you want it for" }
            textarea #reason name="reason" rows="3" maxlength="900" required { (wish.reason) }
            button.button type="submit" { "Ask for an account" }
        }
        p { a.button.secondary href="/login" { "Back to the login" } }
    })
}

pub(crate) async fn submit(
    State(portal): State<Portal>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(wish): Form<Wish>,
) -> Result<Response, Problem> {
    refuse_foreign(&headers)?;
    let asked = register::register(&portal, client.ip(), wish.clone()).await;
    Ok(match asked {
        Ok(()) => {
            let done = frame(html! {
                p.notice.done role="status" { "Your request is noted. An admin decides; log in with the name and password that you chose to see how it stands." }
                p { a.button.secondary href="/login" { "Log in" } }
            });
            (StatusCode::ACCEPTED, done).into_response()
        }
        Err(problem) => (problem.status, page(&wish, Some(&problem.detail))).into_response(),
    })
}
