//! Pages, one file for each noun. Forms and links work without JavaScript; what changes is pushed by [`crate::live`].

pub(crate) mod drill;
pub(crate) mod drill_chart;
pub(crate) mod home;
pub(crate) mod image;
pub(crate) mod login;
pub(crate) mod master;
pub(crate) mod notice;
pub(crate) mod terminal;
pub(crate) mod vcluster;
pub(crate) mod worker;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use docklet_control::Refusal;
use docklet_control::id::UnixMs;
use docklet_control::model::Role;
use docklet_control::view::Phase;
use maud::{DOCTYPE, Markup, html};

use crate::asker::Asker;
use crate::problem::Problem;

/// A page for somebody who is logged in.
pub(crate) struct Page<'p> {
    pub(crate) title: &'p str,
    pub(crate) asker: &'p Asker,
    /// Path of the live stream; none for a page on which nothing changes but the notice.
    pub(crate) live: Option<String>,
    /// Scripts beside the live one.
    pub(crate) script: Option<&'static str>,
}

impl Page<'_> {
    /// The whole document.
    pub(crate) fn render(&self, body: Markup) -> Markup {
        let asker = self.asker;
        document(
            self.title,
            self.script,
            html! {
                header.top {
                    a.brand href="/" { "Docklet" }
                    nav aria-label="Main" {
                        a href="/vclusters" { "Vclusters" }
                        a href="/images" { "Images" }
                        @if asker.user.role == Role::Admin {
                            a href="/workers" { "Workers" }
                            a href="/masters" { "Masters" }
                            a href="/drills" { "Drills" }
                        }
                    }
                    div.who {
                        span { (asker.user.name) }
                        form method="post" action="/logout" {
                            (csrf(asker))
                            button.quiet type="submit" { "Log out" }
                        }
                    }
                }
                (notice::banner(asker))
                div #connection .banner role="status" aria-live="polite" hidden {}
                main data-live=(self.live.as_deref().unwrap_or(notice::LIVE)) {
                    @if let Some(index) = asker.after {
                        p.notice.done role="status" {
                            "Done: entry " (index) " of the log, on a majority of the masters."
                        }
                    }
                    (body)
                }
            },
        )
    }
}

/// A document without the frame.
pub(crate) fn document(title: &str, script: Option<&str>, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Docklet" }
                link rel="stylesheet" href="/assets/style.css";
                link rel="icon" href="data:,";
                script src="/assets/live.js" defer {}
                @if let Some(script) = script {
                    script src=(script) defer {}
                }
            }
            body { (body) }
        }
    }
}

/// The hidden field that proves that a form is this site's own.
pub(crate) fn csrf(asker: &Asker) -> Markup {
    html! { input type="hidden" name="csrf" value=(asker.csrf); }
}

/// Refuses a form that does not carry the asker's token.
pub(crate) fn check_csrf(asker: &Asker, given: &str) -> Result<(), Problem> {
    if given == asker.csrf {
        return Ok(());
    }
    Err(Refusal::NotPermitted {
        action: "send this form".to_owned(),
        needed: "the page to be loaded anew".to_owned(),
    }
    .into())
}

/// A phase as a word with a mark, never by colour alone.
pub(crate) fn phase(phase: Phase) -> Markup {
    let word = phase.word();
    html! { span class={"phase phase-" (word)} { (word) } }
}

/// An instant, for people and for machines.
pub(crate) fn instant(at: UnixMs) -> Markup {
    let ms = i64::try_from(at.0).unwrap_or(i64::MAX);
    let stamp = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    let text = stamp.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    html! { time datetime=(stamp) { (text) } }
}

/// Renders a problem that a page's handler ended with: as a page, or as the way to the login.
pub(crate) async fn show_problem(response: Response) -> Response {
    let Some(problem) = response.extensions().get::<Problem>() else {
        return response;
    };
    if problem.code == Refusal::NotLoggedIn.code() {
        return Redirect::to("/login").into_response();
    }
    let body = html! {
        main.narrow {
            h1 { (problem.status.canonical_reason().unwrap_or("Problem")) }
            p.notice.refused role="alert" { (problem.detail) }
            p { a.button href="/" { "Home" } }
        }
    };
    (problem.status, document("Problem", None, body)).into_response()
}

pub(crate) async fn not_found() -> Problem {
    Problem {
        status: StatusCode::NOT_FOUND,
        code: "not_found",
        detail: "There is no such page: check the address, or start at home.".to_owned(),
    }
}
