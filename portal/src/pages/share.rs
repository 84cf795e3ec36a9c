//! Sharing a terminal by a link, and the page to which such a link leads.

use std::collections::HashMap;

use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use docklet_control::Command;
use docklet_control::id::{LogIndex, TerminalSession, VnodeId};
use docklet_control::terminal::command::TerminalCommand;
use docklet_control::view::ShareView;
use docklet_control::view::terminal as views;
use maud::{Markup, html};
use serde::Deserialize;

use super::terminal::{CONTENT_SECURITY_POLICY, Desk};
use super::{Page, by_command, check_csrf, csrf, document, instant, mark, sentence};
use crate::asker::{Asker, OWN_WRITE_DEADLINE, now, propose};
use crate::login;
use crate::next;
use crate::problem::Problem;
use crate::serve::Portal;
use crate::shared::{self, Found};
use crate::worker::find_vnode;

/// For how long one can share from the page.
const TIMES: [(u32, &str); 5] = [
    (15, "15 minutes"),
    (60, "an hour"),
    (8 * 60, "8 hours"),
    (24 * 60, "a day"),
    (7 * 24 * 60, "a week"),
];

/// The vnode of a page, and the terminal that is to be shared, if one was said.
struct Place<'a> {
    vcluster: &'a str,
    vnode: &'a str,
    id: VnodeId,
    session: Option<TerminalSession>,
}

impl<'a> Place<'a> {
    fn find(
        asker: &Asker,
        (vcluster, vnode): (&'a str, &'a str),
        session: &str,
    ) -> Result<Self, Problem> {
        let row = find_vnode(&asker.frozen.state, &asker.user, vcluster, vnode)?;
        let session = match session {
            "" => None,
            text => Some(parse_session(text)?),
        };
        Ok(Self {
            vcluster,
            vnode,
            id: row.id,
            session,
        })
    }

    fn path(&self) -> String {
        format!("/terminal/{}/{}/share", self.vcluster, self.vnode)
    }

    fn session(&self) -> String {
        self.session
            .map(|session| session.to_string())
            .unwrap_or_default()
    }
}

/// The name of a terminal, as browsers and programs make it.
pub(crate) fn parse_session(text: &str) -> Result<TerminalSession, Problem> {
    let session = text.parse();
    session.map_err(|error| Problem::malformed("session", error))
}

pub(crate) async fn show(
    asker: Asker,
    Path((vcluster, vnode)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Markup, Problem> {
    let session = query.get("session").map(String::as_str).unwrap_or_default();
    let place = Place::find(&asker, (&vcluster, &vnode), session)?;
    Ok(page(&asker, &place, None))
}

/// The page, with what came of a form.
fn page(asker: &Asker, place: &Place<'_>, told: Option<Markup>) -> Markup {
    let Place {
        vcluster, vnode, ..
    } = place;
    let live = format!("/live/terminal/{vcluster}/{vnode}/share");
    let body = html! {
        p.crumbs {
            a href="/vclusters" { "Vclusters" } " / " a href={"/vclusters/" (vcluster)} { (vcluster) } " / "
            a href={"/terminal/" (vcluster) "/" (vnode)} { (vnode) } " / share"
        }
        h1 { "Share a terminal on " (vnode) }
        @if let Some(told) = told { (told) }
        @match place.session {
            Some(_) => (form(asker, place)),
            None => p.muted { "To share one, choose Share above it. Here is what of this vnode is shared already." },
        }
        (shared(asker, place))
        (by_command("docklet share list"))
    };
    let page = Page {
        title: &format!("Share {vnode} of {vcluster}"),
        asker,
        live: Some(live),
        script: None,
    };
    page.render(body)
}

pub(crate) fn fragments(asker: &Asker, vcluster: &str, vnode: &str) -> Vec<(String, Markup)> {
    // The rows are of the vnode, whichever terminal the page is about.
    let place = Place::find(asker, (vcluster, vnode), "");
    let part = place.map(|place| ("shared".to_owned(), shared(asker, &place)));
    part.into_iter().collect()
}

fn shared(asker: &Asker, place: &Place<'_>) -> Markup {
    let shares = views::of_vnode(&asker.frozen.state, place.id, now());
    html! {
        section #shared {
            h2 { "Shared now" }
            @if shares.is_empty() { p.muted { "Nothing of this vnode is shared." } } @else { (table(asker, place, &shares)) }
        }
    }
}

fn form(asker: &Asker, place: &Place<'_>) -> Markup {
    html! {
        p { "Whoever is logged in here and has the link comes to this one terminal, and to nothing else of yours. They also see what it printed before." }
        form.fields method="post" action=(place.path()) {
            (csrf(asker))
            input type="hidden" name="session" value=(place.session());
            div.field.long {
                label for="may" { "They may" }
                select #may name="may" aria-describedby="may-hint" {
                    option value="watch" selected { "only look on" }
                    option value="type" { "look on and type" }
                }
            }
            div.field.long {
                label for="minutes" { "For" }
                select #minutes name="minutes" {
                    @for (minutes, words) in TIMES { option value=(minutes) selected[minutes == 60] { (words) } }
                }
            }
            button.button type="submit" { "Make a link" }
        }
        p.hint #may-hint { "Who types does so as you: whatever you can do in this vnode, they can, and what they begin there goes on when the link is over." }
    }
}

fn table(asker: &Asker, place: &Place<'_>, shares: &[ShareView]) -> Markup {
    html! {
        table {
            thead { tr { th { "Guests" } th { "Made" } th { "Ends" } th { "Came by it" } th { span.unseen { "Actions" } } } }
            tbody {
                @for share in shares {
                    tr data-share=(share.id) {
                        td.main data-label="Guests" { (may(share.types)) }
                        td data-label="Made" { span { "by " (share.by) ", " (instant(share.made_at)) } }
                        td data-label="Ends" { (instant(share.until)) }
                        td data-label="Came by it" {
                            @if share.guests.is_empty() { span.muted { "nobody yet" } } @else { (share.guests.join(", ")) }
                        }
                        td.act data-label="" {
                            form method="post" action={(place.path()) "/" (share.id)} {
                                (csrf(asker))
                                input type="hidden" name="session" value=(place.session());
                                button.quiet type="submit" aria-label={"Revoke link " (share.id)} { "Revoke" }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn may(types: bool) -> &'static str {
    if types { "may type" } else { "may look on" }
}

#[derive(Deserialize)]
pub(crate) struct Wanted {
    csrf: String,
    session: String,
    may: May,
    minutes: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum May {
    Watch,
    Type,
}

/// The answer shows the link, this once.
pub(crate) async fn share(
    State(portal): State<Portal>,
    mut asker: Asker,
    headers: HeaderMap,
    Path((vcluster, vnode)): Path<(String, String)>,
    Form(form): Form<Wanted>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let place = Place::find(&asker, (&vcluster, &vnode), &form.session)?;
    let secret = shared::new_secret();
    let command = TerminalCommand::Share {
        vnode: place.id,
        session: parse_session(&form.session)?,
        secret: login::hash_of(&secret),
        types: matches!(form.may, May::Type),
        minutes: form.minutes,
    };
    let receipt = match propose(&portal, &asker, Command::Terminal(command)).await {
        Ok(receipt) => receipt,
        Err(problem) => {
            let told = html! { p.notice.refused role="alert" { (sentence(&problem.detail)) } };
            return Ok((problem.status, page(&asker, &place, Some(told))).into_response());
        }
    };
    let applied = portal
        .master
        .wait_applied(receipt.index, OWN_WRITE_DEADLINE);
    asker.frozen = applied.await?;
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let link = match host {
        Some(host) => format!("https://{host}{}", shared::path(&secret)),
        None => shared::path(&secret),
    };
    let told = html! {
        div.notice.done role="status" {
            p { "This is the link. It is shown this once and stored nowhere: copy it now." }
            p { code #link { (link) } }
            p { button.button.secondary.small type="button" data-copy="link" hidden { "Copy" } }
        }
    };
    Ok(page(&asker, &place, Some(told)).into_response())
}

#[derive(Deserialize)]
pub(crate) struct Revoked {
    csrf: String,
    #[serde(default)]
    session: String,
}

pub(crate) async fn revoke(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode, share)): Path<(String, String, LogIndex)>,
    Form(form): Form<Revoked>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let place = Place::find(&asker, (&vcluster, &vnode), &form.session)?;
    let command = Command::Terminal(TerminalCommand::Unshare { share });
    let index = propose(&portal, &asker, command).await?.index;
    let (path, session) = (place.path(), place.session());
    Ok(Redirect::to(&format!(
        "{path}?session={session}&after={index}"
    )))
}

/// The terminal to which a link leads.
pub(crate) async fn visit(
    State(portal): State<Portal>,
    asker: Option<Asker>,
    Path(secret): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let Some(asker) = asker else {
        return Ok(log_in_first(&secret, query.contains_key("again")));
    };
    let Found {
        share,
        vnode,
        vcluster,
        owner,
    } = shared::find(&portal, &asker, &secret).await?;
    let host = vnode.hostname();
    let desk = Desk {
        vcluster: &vcluster,
        vnode: &host,
        vnodes: &host,
        shared: Some((&secret, !share.types)),
    };
    let body = html! {
        h1.unseen { "Terminal on " (host) " of " (vcluster) ", which " (owner) " owns" }
        p.crumbs {
            (owner) " / " (vcluster) " / " (host) " · "
            @if share.types { "you may type, as " (owner) " could" } @else { "you only look on" }
            "; it ends " (instant(share.until))
        }
        (desk.markup())
        noscript { p.notice { "A terminal needs JavaScript." } }
    };
    let title = format!("{host} of {vcluster}");
    let page = Page {
        title: &title,
        asker: &asker,
        live: None,
        script: Some("terminal.js"),
    };
    let policy = [(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY)];
    Ok((policy, page.render(body)).into_response())
}

/// A browser that comes from elsewhere shows no login at first, though it may have one: it asks once again from here.
fn log_in_first(secret: &str, again: bool) -> Response {
    let here = shared::path(secret);
    if again {
        return Redirect::to(&next::login_for(&here)).into_response();
    }
    let on = format!("{here}?again=1");
    let body = html! {
        main.alone {
            p.brand { (mark()) "Docklet" }
            h1 { "A shared terminal" }
            p { a.button href=(on) { "Go on" } }
        }
    };
    let refresh = [(header::REFRESH, format!("0; url={on}"))];
    (refresh, document("A shared terminal", None, body)).into_response()
}
