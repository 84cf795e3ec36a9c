//! One's own account: who one is, the password, where one is logged in, tokens of programs, and the second factor.

mod factor;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use docklet_control::Command;
use docklet_control::account::command::AccountCommand;
use docklet_control::id::LogIndex;
use docklet_control::model::SessionKind;
use docklet_control::model::account::{LoginWay, Profile, Scope};
use docklet_control::view::account::{self, LoginView, UserView};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Page, by_command, check_csrf, csrf, instant, sentence, whole, whole_anew};
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::receipt::with_write;
use crate::serve::Portal;
use crate::{accounts, login};

pub(crate) use factor::{begin_factor, confirm_factor, remove_factor};

const DAY_MS: u64 = 24 * 3_600_000;
/// For how many days a token can be made here.
const SPANS_DAYS: [u64; 4] = [7, 30, 90, 365];

pub(crate) async fn show(asker: Asker) -> Markup {
    page(&asker, None)
}

/// `told` is shown this once.
fn page(asker: &Asker, told: Option<Markup>) -> Markup {
    Page {
        title: "Account",
        asker,
        live: Some("/live/account".to_owned()),
        script: None,
    }
    .render(html! {
        h1 { "Your account" }
        @if let Some(told) = told { (told) }
        (whole(&parts(asker)))
    })
}

pub(crate) fn fragments(asker: &Asker) -> Vec<(String, Markup)> {
    whole_anew(&parts(asker))
}

fn parts(asker: &Asker) -> Markup {
    let state = &asker.frozen.state;
    let view = account::show(state, &asker.user);
    let logins = account::logins(state, asker.user.id, asker.session);
    let (tokens, sessions): (Vec<_>, Vec<_>) = logins
        .into_iter()
        .partition(|view| view.kind == SessionKind::Api);
    html! {
        (profile(asker, &view))
        (super::oidc::section(asker, &view))
        (factor::section(asker, &view))
        (sessions_section(asker, &sessions))
        (tokens_section(asker, &tokens))
        (password_form(asker, &view))
    }
}

fn profile(asker: &Asker, view: &UserView) -> Markup {
    html! {
        section aria-labelledby="profile-title" {
            h2 #profile-title { "You" }
            form.fields method="post" action="/account/profile" {
                (csrf(asker))
                div.field.long {
                    label for="real-name" { "Name" }
                    input #real-name name="real_name" value=(view.profile.real_name) autocomplete="name" maxlength="200";
                }
                div.field.long {
                    label for="mail" { "Mail address" }
                    input #mail name="mail" type="email" value=(view.profile.mail) autocomplete="email";
                }
                div.field.long {
                    label for="affiliation" { "Where you belong" }
                    input #affiliation name="affiliation" value=(view.profile.affiliation) autocomplete="organization" maxlength="200";
                }
                button.button.secondary type="submit" { "Set" }
            }
        }
    }
}

fn sessions_section(asker: &Asker, sessions: &[LoginView]) -> Markup {
    html! {
        section aria-labelledby="logins-title" {
            h2 #logins-title { "Where you are logged in" }
            table {
                thead { tr { th { "Login" } th { "From" } th { "Since" } th { "Until" } th { span.unseen { "Actions" } } } }
                tbody { @for view in sessions { (session_row(asker, view)) } }
            }
            form method="post" action="/account/logins/end-others" {
                (csrf(asker))
                button.button.danger.small type="submit" { "End all others, and all tokens" }
            }
            (by_command("docklet session list"))
        }
    }
}

fn session_row(asker: &Asker, view: &LoginView) -> Markup {
    let kind = match view.kind {
        SessionKind::Browser => "Browser",
        SessionKind::Token => "Command line",
        SessionKind::Api => "Token",
        SessionKind::Unproven => "Waits for a code",
    };
    html! {
        tr {
            td.main data-label="Login" { (kind) (way(view.way)) @if view.this { " " span.muted { "(this one)" } } }
            td data-label="From" { @if view.from.is_empty() { "–" } @else { (view.from) } }
            td data-label="Since" { (instant(view.opened_at)) }
            td data-label="Until" { (instant(view.expires_at)) }
            td.act {
                @if let Some(number) = view.number.filter(|_| !view.this) { (end_form(asker, number, "End")) }
            }
        }
    }
}

/// By whose word, where it is not a password of this cluster.
fn way(way: LoginWay) -> &'static str {
    match way {
        LoginWay::Local => "",
        LoginWay::Pam => ", by PAM",
        LoginWay::Oidc => ", by OpenID",
    }
}

fn end_form(asker: &Asker, number: LogIndex, word: &str) -> Markup {
    html! {
        div.buttons {
            form method="post" action={"/account/logins/" (number) "/end"} {
                (csrf(asker))
                button.button.danger.small type="submit" { (word) }
            }
        }
    }
}

fn tokens_section(asker: &Asker, tokens: &[LoginView]) -> Markup {
    html! {
        section aria-labelledby="tokens-title" {
            h2 #tokens-title { "Tokens of programs" }
            @if tokens.is_empty() {
                p.hint { "A program that works for you gets a token of its own, that may do no more than it needs and ends by itself." }
            } @else {
                table {
                    thead { tr { th { "Token" } th { "May" } th { "Last used" } th { "Until" } th { span.unseen { "Actions" } } } }
                    tbody { @for view in tokens { (token_row(asker, view)) } }
                }
            }
            (token_form(asker))
            (by_command("docklet access-token create ci --scope read --scope vclusters --days 30"))
        }
    }
}

fn token_row(asker: &Asker, view: &LoginView) -> Markup {
    let scopes: Vec<&str> = view.scopes.iter().map(|scope| scope.word()).collect();
    html! {
        tr {
            td.main data-label="Token" { (view.name.as_deref().unwrap_or_default()) }
            td data-label="May" { (scopes.join(", ")) }
            td data-label="Last used" {
                @match view.used_day { Some(day) => (day_of(day)), None => "never" }
            }
            td data-label="Until" { (instant(view.expires_at)) }
            td.act { @if let Some(number) = view.number { (end_form(asker, number, "Revoke")) } }
        }
    }
}

fn day_of(day: u64) -> String {
    let ms = i64::try_from(day * DAY_MS).unwrap_or(i64::MAX);
    let stamp = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    stamp.strftime("%Y-%m-%d").to_string()
}

fn token_form(asker: &Asker) -> Markup {
    let offered = Scope::ALL
        .iter()
        .filter(|scope| asker.user.is_admin() || !matches!(scope, Scope::Metrics | Scope::Admin));
    html! {
        details.card {
            summary { "Make a token" }
            form.fields method="post" action="/account/tokens" {
                (csrf(asker))
                div.field {
                    label for="token-name" { "Name" }
                    input #token-name name="name" maxlength="40" required;
                }
                div.field {
                    label for="token-days" { "For" }
                    select #token-days name="days" {
                        @for days in SPANS_DAYS { option value=(days) selected[days == 30] { (days) " days" } }
                    }
                }
                fieldset.field.long {
                    legend { "It may" }
                    @for scope in offered {
                        label { input type="checkbox" name=(scope.word()) value="yes" checked[*scope == Scope::Read]; " " (meaning(*scope)) }
                    }
                }
                button.button.secondary type="submit" { "Make" }
            }
        }
    }
}

fn meaning(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "look at what you see",
        Scope::Vclusters => "make, change and delete vclusters",
        Scope::Terminals => "run programs in vnodes",
        Scope::Images => "add, change and delete images",
        Scope::Metrics => "read metrics",
        Scope::Admin => "act as an admin",
        Scope::ReadFiles => "fetch files of vnodes",
        Scope::WriteFiles => "bring, move and delete files of vnodes",
    }
}

fn password_form(asker: &Asker, view: &UserView) -> Markup {
    let elsewhere = match view.way {
        LoginWay::Local if view.password => None,
        LoginWay::Local => Some("This account has no password. An admin gives it one."),
        LoginWay::Pam => {
            Some("The masters' machines keep the password of this account: change it there.")
        }
        LoginWay::Oidc => Some(
            "This account has no password: you sign in by the provider to which it is connected. An admin can give it one.",
        ),
    };
    if let Some(hint) = elsewhere {
        return html! {
            section aria-labelledby="password-title" {
                h2 #password-title { "Password" }
                p.hint { (hint) }
            }
        };
    }
    html! {
        section aria-labelledby="password-title" {
            h2 #password-title { "Password" }
            p.hint { "A new one ends all your logins and tokens, this login included." }
            form.fields method="post" action="/account/password" {
                (csrf(asker))
                div.field.long {
                    label for="current" { "Current" }
                    input #current name="current" type="password" autocomplete="current-password" required;
                }
                div.field.long {
                    label for="new" { "New" }
                    input #new name="password" type="password" autocomplete="new-password" minlength="8" required;
                }
                @if view.second_factor {
                    div.field {
                        label for="password-code" { "Code" }
                        input #password-code name="code" autocomplete="one-time-code" required;
                    }
                }
                button.button.secondary type="submit" { "Change it" }
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct ProfileForm {
    csrf: String,
    real_name: String,
    mail: String,
    affiliation: String,
}

pub(crate) async fn set_profile(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<ProfileForm>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let user = asker.user.id;
    let profile = Profile {
        real_name: form.real_name.trim().to_owned(),
        mail: form.mail.trim().to_owned(),
        affiliation: form.affiliation.trim().to_owned(),
    };
    ask(
        &portal,
        &asker,
        AccountCommand::SetProfile { user, profile },
    )
    .await
}

#[derive(Deserialize)]
pub(crate) struct Confirmed {
    csrf: String,
}

pub(crate) async fn end_login(
    State(portal): State<Portal>,
    asker: Asker,
    Path(number): Path<LogIndex>,
    Form(form): Form<Confirmed>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let user = asker.user.id;
    ask(&portal, &asker, AccountCommand::EndLogin { user, number }).await
}

pub(crate) async fn end_others(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<Confirmed>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let (user, keep) = (asker.user.id, asker.session);
    ask(
        &portal,
        &asker,
        AccountCommand::EndOtherLogins { user, keep },
    )
    .await
}

#[derive(Deserialize)]
pub(crate) struct PasswordForm {
    csrf: String,
    current: String,
    password: String,
    code: Option<String>,
}

/// All logins end by it: on to a new one.
pub(crate) async fn change_password(
    State(portal): State<Portal>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    asker: Asker,
    Form(form): Form<PasswordForm>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let code = form.code.as_deref();
    let confirmed = login::confirm(&portal, client.ip(), &asker.user, form.current, code).await;
    if let Err(problem) = confirmed {
        return Ok(refused(&asker, &problem));
    }
    let command = accounts::new_password(&asker, asker.user.id, form.password).await;
    let command = match command {
        Ok(command) => command,
        Err(problem) => return Ok(refused(&asker, &problem)),
    };
    propose(&portal, &asker, command).await?;
    Ok(Redirect::to("/login").into_response())
}

fn refused(asker: &Asker, problem: &Problem) -> Response {
    let told = html! { p.notice.refused role="alert" { (sentence(&problem.detail)) } };
    (problem.status, page(asker, Some(told))).into_response()
}

/// A box that is not ticked is not sent.
#[derive(Deserialize)]
pub(crate) struct TokenForm {
    csrf: String,
    name: String,
    days: u64,
    read: Option<String>,
    vclusters: Option<String>,
    terminals: Option<String>,
    images: Option<String>,
    metrics: Option<String>,
    admin: Option<String>,
    #[serde(rename = "read-files")]
    read_files: Option<String>,
    #[serde(rename = "write-files")]
    write_files: Option<String>,
}

pub(crate) async fn create_token(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<TokenForm>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let ticked = [
        (Scope::Read, form.read),
        (Scope::Vclusters, form.vclusters),
        (Scope::Terminals, form.terminals),
        (Scope::Images, form.images),
        (Scope::Metrics, form.metrics),
        (Scope::Admin, form.admin),
        (Scope::ReadFiles, form.read_files),
        (Scope::WriteFiles, form.write_files),
    ];
    let ticked = ticked.into_iter().filter(|(_, box_of)| box_of.is_some());
    let scopes: BTreeSet<Scope> = ticked.map(|(scope, _)| scope).collect();
    let ttl_ms = form.days.saturating_mul(DAY_MS);
    let (secret, command) = accounts::new_token(form.name, scopes, ttl_ms);
    let receipt = match propose(&portal, &asker, command).await {
        Ok(receipt) => receipt,
        Err(problem) => return Ok(refused(&asker, &problem)),
    };
    let asker = with_write(&portal, asker, receipt.index).await?;
    let told = html! {
        div.notice.done role="status" {
            p { "This is the token. It is shown this once and stored nowhere: copy it now." }
            p { code #token { (secret) } }
        }
    };
    Ok(page(&asker, Some(told)).into_response())
}

/// Back to the page, which knows the write.
async fn ask(portal: &Portal, asker: &Asker, command: AccountCommand) -> Result<Redirect, Problem> {
    let receipt = propose(portal, asker, Command::Account(command)).await?;
    Ok(Redirect::to(&format!("/account?after={}", receipt.index)))
}
