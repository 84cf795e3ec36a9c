//! Notices: what one was told, of which one wants mails, and for operators and managers of groups, telling others something.

use axum::extract::{Form, Path, State};
use axum::response::Redirect;
use docklet_control::id::NoticeId;
use docklet_control::model::Group;
use docklet_control::model::kept::KeptKind;
use docklet_control::model::notice::{MailWish, Notice, Severity};
use docklet_control::notice::command::{Audience, NewNotice, NoticeCommand};
use docklet_control::trash::command::Thing;
use docklet_control::view::{InboxView, NoticeView, notice};
use docklet_control::{Command, Refusal, trash};
use maud::{Markup, html};
use serde::Deserialize;

use super::quota::managed;
use super::{Page, by_command, check_csrf, csrf, instant, kept};
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;

const DAY_MS: u64 = 24 * 3_600_000;
/// So many are on the first page.
const NEWEST_MAX: usize = 3;
/// For how many days something can be said here.
const SPANS_DAYS: [u64; 4] = [1, 7, 30, 365];

pub(crate) async fn show(asker: Asker) -> Markup {
    let groups = managed(&asker);
    let announces = asker.user.operates() || !groups.is_empty();
    let inbox = notice::list(&asker.frozen.state, &asker.user);
    let body = html! {
        div.head {
            h1 { "Notices" }
            div.actions {
                a.button.secondary href="/bugs" { "Found something wrong?" }
                @if asker.user.is_admin() { a.button.secondary href="/mail" { "Mail" } }
            }
        }
        (inbox_part(&asker))
        (wish_form(&asker, inbox.wish))
        @if announces {
            (form(&asker, &groups))
            (announced_part(&asker))
            (by_command("docklet notice announce \"Workers restart on Sunday\" --warning --mail"))
        }
        (deleted(&asker))
    };
    Page {
        title: "Notices",
        asker: &asker,
        live: Some("/live/notices".to_owned()),
        script: None,
    }
    .render(body)
}

pub(crate) fn fragments(asker: &Asker) -> Vec<(String, Markup)> {
    let mut parts = vec![("inbox".to_owned(), inbox_part(asker))];
    if asker.user.operates() || !managed(asker).is_empty() {
        parts.push(("announced".to_owned(), announced_part(asker)));
    }
    parts.push(("kept".to_owned(), deleted(asker)));
    parts
}

/// What was removed or taken back, for as long as it can be had back.
fn deleted(asker: &Asker) -> Markup {
    kept::section(asker, &[KeptKind::Notice], None)
}

fn inbox_part(asker: &Asker) -> Markup {
    let InboxView {
        unread, notices, ..
    } = notice::list(&asker.frozen.state, &asker.user);
    html! {
        div #inbox {
            @if let Some(newest) = notices.first() {
                div.head {
                    p.muted { @if unread == 0 { "You have read all of it." } @else { (unread) " unread" } }
                    @if unread > 0 {
                        form method="post" action="/notices/read" {
                            (csrf(asker))
                            input type="hidden" name="upto" value=(newest.id);
                            button.button.secondary.small type="submit" { "Mark all as read" }
                        }
                    }
                }
                @for notice in &notices { (card(asker, notice)) }
            } @else {
                div.empty { p { "Nobody has told you anything yet." } p.muted { "What happens to your account and your vnodes is told here, and what others have to say." } }
            }
        }
    }
}

/// The newest of them, on the first page.
pub(super) fn newest(asker: &Asker) -> Markup {
    let InboxView {
        unread, notices, ..
    } = notice::list(&asker.frozen.state, &asker.user);
    html! {
        section.card aria-labelledby="newest" {
            h2 #newest { "Newest notices" }
            @if notices.is_empty() {
                p.muted { "Nobody has told you anything yet. What happens to your account and your vnodes is told here." }
                p { a href="/notices" { "Say which of it is mailed to you" } }
            } @else {
                ul.plain {
                    @for notice in notices.iter().take(NEWEST_MAX) {
                        li data-newest=(notice.id) {
                            @if notice.severity == Severity::Warning { span.phase.phase-pending { "warning" } " " }
                            @if notice.link.is_empty() { (notice.title) } @else { a href=(notice.link) { (notice.title) } }
                            p.hint { (from(notice)) ", " (instant(notice.since)) @if !notice.read { " · " strong { "new" } } }
                        }
                    }
                }
                p { a href="/notices" { "All notices" } @if unread > 0 { span.muted { ", " (unread) " unread" } } }
            }
        }
    }
}

fn card(asker: &Asker, notice: &NoticeView) -> Markup {
    let path = format!("/notices/{}", notice.id);
    let title = format!("notice-{}", notice.id.to_string().replace('.', "-"));
    let read = if notice.read { "read" } else { "unread" };
    html! {
        article class={"card told " (read)} data-notice=(notice.id) aria-labelledby=(title) {
            h2 id=(title) {
                @if notice.severity == Severity::Warning { span.phase.phase-pending { "warning" } " " }
                @if notice.link.is_empty() { (notice.title) } @else { a href=(notice.link) { (notice.title) } }
            }
            @if !notice.body.is_empty() { p.lines { (notice.body) } }
            p.hint {
                (from(notice)) @if notice.to != "you" { ", to " (notice.to) } ", " (instant(notice.since))
                @if !notice.read { " · " strong { "new" } }
            }
            div.actions {
                @if !notice.read {
                    form method="post" action={(path) "/read"} { (csrf(asker)) button.quiet type="submit" { "Mark as read" } }
                }
                @if notice.to == "you" {
                    form method="post" action={(path) "/withdraw"} { (csrf(asker)) button.quiet type="submit" { "Remove" } }
                }
            }
        }
    }
}

fn from(notice: &NoticeView) -> String {
    match notice.by.as_str() {
        "" => "From the cluster".to_owned(),
        by => format!("From {by}"),
    }
}

fn wish_form(asker: &Asker, wish: MailWish) -> Markup {
    let word = |wish| match wish {
        MailWish::All => "of all",
        MailWish::Important => "of important ones",
        MailWish::None => "of none",
    };
    html! {
        form.fields method="post" action="/notices/wish" {
            (csrf(asker))
            div.field.long {
                label for="wish" { "Mail me, too" }
                select #wish name="wish" aria-describedby="wish-hint" {
                    @for one in MailWish::ALL { option value=(one.word()) selected[one == wish] { (word(one)) } }
                }
            }
            button.button.secondary type="submit" { "Set" }
            p.hint #wish-hint { "To the address of " a href="/account" { "your account" } "." }
        }
    }
}

fn form(asker: &Asker, groups: &[&Group]) -> Markup {
    html! {
        details.card {
            summary { "Tell others something" }
            form.grid method="post" action="/notices" {
                (csrf(asker))
                div.field {
                    label for="title" { "Title" }
                    input #title name="title" required maxlength=(Notice::TITLE_LEN_MAX) autocomplete="off";
                }
                div.field {
                    label for="group" { "For" }
                    select #group name="group" {
                        @if asker.user.operates() { option value="" { "everybody" } }
                        @for group in groups { option value=(group.name) { "group " (group.name) } }
                    }
                }
                @if asker.user.operates() {
                    div.field {
                        label for="user" { "Or for one person" }
                        input #user name="user" maxlength="40" autocomplete="off";
                    }
                }
                div.field {
                    label for="body" { "Text" }
                    textarea #body name="body" rows="4" maxlength=(Notice::BODY_LEN_MAX) {}
                }
                div.field {
                    label for="link" { "Link" }
                    input #link name="link" maxlength=(Notice::LINK_LEN_MAX) autocomplete="off" aria-describedby="link-hint";
                    p.hint #link-hint { "A path of this site, as /templates." }
                }
                div.field {
                    label for="days" { "There for" }
                    select #days name="days" {
                        @for days in SPANS_DAYS { option value=(days) selected[days == 30] { (days) @if days == 1 { " day" } @else { " days" } } }
                    }
                }
                div.field {
                    label.labelled { input type="checkbox" name="warning" value="yes"; "It is a warning" }
                    label.labelled { input type="checkbox" name="mail" value="yes"; "By mail, too" }
                }
                div.actions { button.button type="submit" { "Tell" } }
            }
        }
    }
}

fn announced_part(asker: &Asker) -> Markup {
    let announced = notice::announced(&asker.frozen.state, &asker.user);
    html! {
        div #announced {
            @if !announced.is_empty() {
                h2 { "What you may take back" }
                table {
                    thead { tr { th { "What" } th { "For" } th { "By" } th { "Until" } th { span.unseen { "Action" } } } }
                    tbody {
                        @for notice in &announced {
                            tr data-announced=(notice.id) {
                                td.main data-label="What" { (notice.title) }
                                td data-label="For" { (notice.to) }
                                td data-label="By" { (notice.by) }
                                td data-label="Until" { (instant(notice.until)) }
                                td.act data-label="Action" {
                                    form method="post" action={"/notices/" (notice.id) "/withdraw"} {
                                        (csrf(asker))
                                        button.button.secondary.small type="submit" aria-label={"Withdraw " (notice.title)} { "Withdraw" }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

async fn ask(portal: &Portal, asker: &Asker, command: NoticeCommand) -> Result<Redirect, Problem> {
    let receipt = propose(portal, asker, Command::Notice(command)).await?;
    Ok(Redirect::to(&format!("/notices?after={}", receipt.index)))
}

#[derive(Deserialize)]
pub(crate) struct Announced {
    csrf: String,
    title: String,
    #[serde(default)]
    group: String,
    #[serde(default)]
    user: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    link: String,
    days: u64,
    #[serde(default)]
    warning: Option<String>,
    #[serde(default)]
    mail: Option<String>,
}

pub(crate) async fn announce(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<Announced>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let to = match (form.user.trim(), form.group.as_str()) {
        ("", "") => Audience::All,
        ("", group) => Audience::Group(group.to_owned()),
        (user, _) => Audience::User(user.to_owned()),
    };
    let severity = match form.warning {
        Some(_) => Severity::Warning,
        None => Severity::Info,
    };
    let new = NewNotice {
        to,
        severity,
        title: form.title,
        // Browsers end lines in the way of mails.
        body: form.body.replace('\r', ""),
        link: form.link.trim().to_owned(),
        ttl_ms: Some(form.days.saturating_mul(DAY_MS)),
        mail: form.mail.is_some(),
    };
    ask(&portal, &asker, NoticeCommand::Announce(new)).await
}

#[derive(Deserialize)]
pub(crate) struct ReadAll {
    csrf: String,
    upto: NoticeId,
}

pub(crate) async fn read_all(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<ReadAll>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let upto = form.upto;
    ask(&portal, &asker, NoticeCommand::ReadAll { upto }).await
}

#[derive(Deserialize)]
pub(crate) struct Wished {
    csrf: String,
    wish: MailWish,
}

pub(crate) async fn set_wish(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<Wished>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let wish = form.wish;
    ask(&portal, &asker, NoticeCommand::SetWish { wish }).await
}

#[derive(Deserialize)]
pub(crate) struct Confirmed {
    csrf: String,
}

pub(crate) async fn change(
    State(portal): State<Portal>,
    asker: Asker,
    Path((notice, action)): Path<(NoticeId, String)>,
    Form(form): Form<Confirmed>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let command = match action.as_str() {
        "read" => Command::Notice(NoticeCommand::Read {
            notices: vec![notice],
        }),
        "withdraw" => trash::deleting(&asker.frozen.state, Thing::Notice { notice }, false),
        other => return Err(Refusal::not_found("action", other.escape_debug()).into()),
    };
    let receipt = propose(&portal, &asker, command).await?;
    Ok(Redirect::to(&format!("/notices?after={}", receipt.index)))
}
