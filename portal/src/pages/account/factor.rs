//! The second factor of one's own account: set up with a picture, confirmed by a code, taken away with password and code.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Form, State};
use axum::response::{IntoResponse, Response};
use docklet_control::account::command::AccountCommand;
use docklet_control::view::account::UserView;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::{Page, check_csrf, csrf, sentence};
use super::{Confirmed, ask, page, refused};
use crate::asker::Asker;
use crate::problem::Problem;
use crate::receipt::with_write;
use crate::serve::Portal;
use crate::{accounts, login, qr, totp};

pub(super) fn section(asker: &Asker, view: &UserView) -> Markup {
    html! {
        section aria-labelledby="factor-title" {
            h2 #factor-title { "Second factor" }
            @if let Some(left) = view.recovery_codes_left {
                p { "A login needs a code that your device shows. " (left) " recovery codes are left." }
                form.fields method="post" action="/account/factor/remove" {
                    (csrf(asker))
                    @if view.password {
                        div.field.long {
                            label for="factor-password" { "Password" }
                            input #factor-password name="password" type="password" autocomplete="current-password" required;
                        }
                    }
                    div.field {
                        label for="factor-code" { "Code" }
                        input #factor-code name="code" autocomplete="one-time-code" required;
                    }
                    button.button.danger type="submit" { "Remove it" }
                }
            } @else {
                p { "With a second factor, whoever learns your password still cannot log in: a device of yours shows a code for each login." }
                form method="post" action="/account/factor/begin" {
                    (csrf(asker))
                    button.button.secondary type="submit" { "Set one up" }
                }
            }
        }
    }
}

pub(crate) async fn begin_factor(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<Confirmed>,
) -> Result<Markup, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let (secret, uri) = accounts::begin_factor(&portal, &asker).await?;
    Ok(setup(&asker, &totp::base32(&secret.0), &uri, None))
}

fn setup(asker: &Asker, secret: &str, uri: &str, problem: Option<&str>) -> Markup {
    let body = html! {
        h1 { "Set up a second factor" }
        @if let Some(problem) = problem {
            p.notice.refused role="alert" { (sentence(problem)) }
        }
        ol.steps {
            li {
                "Let an authenticator app on your telephone read this, or type the secret there."
                @if let Some(picture) = qr::picture(uri, "The secret, for a telephone to read") { (picture) }
                p { code { (secret) } }
            }
            li {
                "Type the code that it shows:"
                form.fields method="post" action="/account/factor/confirm" {
                    (csrf(asker))
                    div.field {
                        label for="code" { "Code" }
                        input #code name="code" autocomplete="one-time-code" inputmode="numeric" required autofocus;
                    }
                    button.button type="submit" { "Confirm" }
                }
            }
        }
    };
    Page {
        title: "Second factor",
        asker,
        live: None,
        script: None,
    }
    .render(body)
}

#[derive(Deserialize)]
pub(crate) struct CodeForm {
    csrf: String,
    code: String,
}

pub(crate) async fn confirm_factor(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<CodeForm>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let (recovery, receipt) = match accounts::confirm_factor(&portal, &asker, &form.code).await {
        Ok(confirmed) => confirmed,
        Err(problem) => return Ok(again(&portal, &asker, &problem)),
    };
    let asker = with_write(&portal, asker, receipt.index).await?;
    let told = html! {
        div.notice.done role="status" {
            p { "From now on a login needs a code. If the device is lost, each of these is good for one login: keep them where the device is not. They are shown this once." }
            ul.plain #recovery { @for code in &recovery { li { code { (code) } } } }
        }
    };
    Ok(page(&asker, Some(told)).into_response())
}

/// The same secret again: the device has it.
fn again(portal: &Portal, asker: &Asker, problem: &Problem) -> Response {
    let account = portal.master.local().state.account_of(asker.user.id);
    let begun = account.factor.filter(|factor| !factor.confirmed);
    match begun {
        Some(factor) => {
            let (secret, uri) = (&factor.secret, accounts::uri(asker, &factor.secret));
            let page = setup(asker, &totp::base32(&secret.0), &uri, Some(&problem.detail));
            (problem.status, page).into_response()
        }
        None => refused(asker, problem),
    }
}

#[derive(Deserialize)]
pub(crate) struct RemoveForm {
    csrf: String,
    /// None of an account that has none.
    #[serde(default)]
    password: String,
    code: String,
}

pub(crate) async fn remove_factor(
    State(portal): State<Portal>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    asker: Asker,
    Form(form): Form<RemoveForm>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let code = Some(form.code.as_str());
    let proof = login::confirm(&portal, client.ip(), &asker.user, form.password, code).await;
    let proof = match proof {
        Ok(proof) => proof,
        Err(problem) => return Ok(refused(&asker, &problem)),
    };
    let user = asker.user.id;
    let gone = ask(
        &portal,
        &asker,
        AccountCommand::RemoveFactor { user, proof },
    )
    .await?;
    Ok(gone.into_response())
}
