//! Pages, one file for each noun. Forms and links work without JavaScript; what changes is pushed by [`crate::live`].

pub(crate) mod account;
pub(crate) mod amount;
pub(crate) mod audit;
pub(crate) mod bean;
pub(crate) mod bell;
pub(crate) mod berth;
pub(crate) mod bug;
pub(crate) mod drill;
pub(crate) mod drill_chart;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod files;
pub(crate) mod group;
pub(crate) mod health;
pub(crate) mod home;
pub(crate) mod image;
pub(crate) mod invite;
pub(crate) mod kept;
pub(crate) mod login;
pub(crate) mod machine;
pub(crate) mod mail;
pub(crate) mod master;
pub(crate) mod moves;
mod multipart;
pub(crate) mod notice;
pub(crate) mod notices;
pub(crate) mod oidc;
pub(crate) mod people;
pub(crate) mod port;
pub(crate) mod quota;
pub(crate) mod rebalance;
pub(crate) mod receipt;
pub(crate) mod register;
pub(crate) mod service;
pub(crate) mod setting;
pub(crate) mod share;
pub(crate) mod snapshot;
pub(crate) mod state;
pub(crate) mod template;
pub(crate) mod terminal;
pub(crate) mod tls;
pub(crate) mod trash;
pub(crate) mod usage;
pub(crate) mod used;
pub(crate) mod vcluster;
pub(crate) mod worker;
pub(crate) mod workspace;

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use docklet_control::Refusal;
use docklet_control::id::UnixMs;
use docklet_control::view::Phase;
use maud::{DOCTYPE, Markup, html};

use crate::asker::Asker;
use crate::assets;
use crate::next;
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
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    a.brand href="/" { (mark()) "Docklet" }
                    nav aria-label="Main" {
                        (self.link("/vclusters", "Vclusters"))
                        (self.link("/workspace", "Workspace"))
                        (self.link("/images", "Images"))
                        (self.link("/templates", "Templates"))
                        (self.link("/events", "Events"))
                        (self.link("/past", "Past"))
                        (self.link("/audit", "Audit"))
                    }
                    p #pulse .pulse title="What this page knows of the log, and who leads the masters" {
                        span #leader {} "entry " span #entry { (asker.frozen.index) }
                    }
                    div.who {
                        (bell::bell(asker))
                        (bean::head(asker))
                        a.name href="/account" { (asker.user.name) }
                        form method="post" action="/logout" {
                            (csrf(asker))
                            button.quiet type="submit" { "Log out" }
                        }
                    }
                    @if asker.user.operates() || quota::looks_after_others(asker) { (self.for_keepers()) }
                }
                (notice::banner(asker))
                div #connection .banner role="status" aria-live="polite" hidden {}
                main #main data-live=(self.stream()) {
                    @if let Some(receipt) = &asker.receipt { (receipt::receipt(receipt)) }
                    (body)
                }
            },
        )
    }
}

impl Page<'_> {
    /// The second row of the navigation, for who looks after machines or others.
    fn for_keepers(&self) -> Markup {
        let user = &self.asker.user;
        html! {
            nav.keepers aria-label="Cluster" {
                @if user.operates() {
                    (self.link("/workers", "Workers"))
                    (self.link("/masters", "Masters"))
                    (self.link("/drills", "Drills"))
                    (self.link("/health", "Health"))
                }
                @if user.is_admin() { (self.link("/people", "People")) }
                @if quota::looks_after_others(self.asker) {
                    (self.link("/groups", "Groups"))
                    (self.link("/quotas", "Quotas"))
                }
                @if user.is_admin() { (self.link("/settings", "Settings")) }
            }
        }
    }

    /// The path of the stream of what changes on it: also of what comes of what was asked for.
    fn stream(&self) -> String {
        let stream = self.live.as_deref().unwrap_or(notice::LIVE);
        let receipt = self.asker.receipt.as_ref();
        match receipt.and_then(|receipt| receipt.index()) {
            Some(index) => {
                let joint = if stream.contains('?') { '&' } else { '?' };
                format!("{stream}{joint}receipt={index}")
            }
            None => stream.to_owned(),
        }
    }

    /// A link of the navigation; the section that this page is in is marked.
    fn link(&self, path: &str, label: &str) -> Markup {
        let stream = self.live.as_deref().unwrap_or_default();
        let own = stream
            .strip_prefix("/live")
            .and_then(|rest| rest.strip_prefix(path));
        let inside = own.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
        // A terminal is a part of its vcluster, and has no live stream.
        let terminal = path == "/vclusters"
            && stream.is_empty()
            && self.title != "Usage"
            && self.script.is_some();
        let current = (inside || terminal || self.title == label).then_some("page");
        html! { a href=(path) aria-current=[current] { (label) } }
    }
}

/// The mark beside the name: vessels at a dock.
fn mark() -> Markup {
    html! { img.mark src=(assets::at("icon.svg")) alt="" width="24" height="24"; }
}

/// The content of a page of which all may come to look different, and what of it is pushed then: all of it. What somebody has
/// begun to fill in stays.
pub(crate) fn whole(body: &Markup) -> Markup {
    html! { div #(WHOLE) { (body) } }
}

/// The same as it is pushed.
pub(crate) fn whole_anew(body: &Markup) -> Vec<(String, Markup)> {
    vec![(WHOLE.to_owned(), whole(body))]
}

const WHOLE: &str = "page";

/// What an open page turns into when what it shows goes.
pub(crate) fn gone(what: &str, (path, label): (&str, &str)) -> Vec<(String, Markup)> {
    whole_anew(&html! {
        p.notice role="status" { "This " (what) " is gone." }
        p { a href=(path) { (label) } }
    })
}

/// A document without the frame.
pub(crate) fn document(title: &str, script: Option<&str>, body: Markup) -> Markup {
    leading(title, script, None, body)
}

/// One that goes on to an address by itself. A form cannot: where forms may lead to is this site's own.
pub(crate) fn leading(title: &str, script: Option<&str>, on: Option<&str>, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(on) = on { meta http-equiv="refresh" content={"0;url=" (on)}; }
                title { (title) " · Docklet" }
                link rel="stylesheet" href=(assets::at("style.css"));
                link rel="icon" href=(assets::at("icon.svg")) type="image/svg+xml";
                script src=(assets::at("live.js")) defer {}
                @if let Some(script) = script {
                    script src=(assets::at(script)) defer {}
                }
            }
            body { (body) }
        }
    }
}

/// The hidden field that proves that a form is this site's own.
pub(crate) fn csrf(asker: &Asker) -> Markup {
    html! { input type="hidden" name="csrf" value=(asker.csrf.text()); }
}

/// Refuses a form that does not carry the asker's token.
pub(crate) fn check_csrf(asker: &Asker, given: &str) -> Result<(), Problem> {
    if asker.csrf.accepts(given) {
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

/// What does the same by command: for scripts, and for people who would rather type.
pub(crate) fn by_command(line: &str) -> Markup {
    html! { p.by-command { span { "By command" } code { (line) } } }
}

/// An instant, for people and for machines; the page's script shows it in the reader's own time.
pub(crate) fn instant(at: UnixMs) -> Markup {
    let ms = i64::try_from(at.0).unwrap_or(i64::MAX);
    let stamp = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    let text = stamp.strftime("%Y-%m-%d %H:%M UTC").to_string();
    html! { time datetime=(stamp) { (text) } }
}

/// Renders a problem that a page's handler ended with: as a page, or as the way to the login, and back from there.
pub(crate) async fn show_problem(request: Request, rest: Next) -> Response {
    let here = request.uri().path_and_query();
    let here = here.filter(|_| request.method() == Method::GET);
    let here = here.map_or_else(|| "/".to_owned(), ToString::to_string);
    let response = rest.run(request).await;
    let Some(problem) = response.extensions().get::<Problem>() else {
        return response;
    };
    if problem.code == Refusal::NotLoggedIn.code() {
        return Redirect::to(&next::login_for(&here)).into_response();
    }
    let body = html! {
        main.alone {
            p.brand { (mark()) "Docklet" }
            h1 { (problem.status.canonical_reason().unwrap_or("Problem")) }
            p.notice.refused role="alert" { (sentence(&problem.detail)) }
            p { a.button href="/" { "Home" } }
        }
    };
    let mut page = (problem.status, document("Problem", None, body)).into_response();
    // Who looks at answers sees on a page, too, why it was refused.
    page.extensions_mut().insert(problem.clone());
    page
}

/// A refusal as a sentence on a page: programs and logs like it without capital and full stop.
pub(crate) fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().map(|first| first.to_uppercase().to_string());
    let mut sentence = first.unwrap_or_default() + rest.as_str();
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

/// What stands between backticks is a command.
pub(crate) fn with_code(text: &str) -> Markup {
    let parts = text.split('`').enumerate();
    html! {
        @for (number, part) in parts {
            @if number % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

pub(crate) async fn not_found() -> Problem {
    Problem {
        status: StatusCode::NOT_FOUND,
        code: "not_found",
        detail: "There is no such page: check the address, or start at home.".to_owned(),
    }
}
