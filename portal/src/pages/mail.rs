//! Mails, for admins: the server by which they go, and those that were not delivered or not yet.

use axum::extract::{Form, Path, Query, State};
use axum::response::Redirect;
use docklet_control::id::MailId;
use docklet_control::notice::command::NoticeCommand;
use docklet_control::notice::mail::MailCommand;
use docklet_control::view::{MailServerView, MailView, mail};
use docklet_control::{Command, permit};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Page, by_command, check_csrf, csrf, instant};
use crate::asker::{Asker, propose};
use crate::part::{self, Asked};
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn show(asker: Asker, Query(asked): Query<Asked>) -> Result<Markup, Problem> {
    let state = &asker.frozen.state;
    permit::admin(state, asker.actor(), "list mails")?;
    let body = html! {
        h1 { "Mail" }
        (server_part(&asker, mail::server(state).as_ref()))
        (queue_part(&asker, &asked))
        (by_command("docklet mail set --host mail.example.org --user docklet --from docklet@example.org"))
    };
    let page = Page {
        title: "Mail",
        asker: &asker,
        live: Some(asked.at("/live/mail")),
        script: None,
    };
    Ok(page.render(body))
}

pub(crate) fn fragments(asker: &Asker, asked: &Asked) -> Vec<(String, Markup)> {
    match permit::admin(&asker.frozen.state, asker.actor(), "list mails") {
        Ok(_) => vec![("queue".to_owned(), queue_part(asker, asked))],
        Err(_) => Vec::new(),
    }
}

fn server_part(asker: &Asker, server: Option<&MailServerView>) -> Markup {
    html! {
        @if let Some(server) = server {
            dl.facts {
                div { dt { "Server" } dd { (server.host) ", port " (server.port) } }
                div { dt { "TLS" } dd { (server.tls.word()) } }
                div { dt { "Logs in as" } dd { @if server.user.is_empty() { "nobody" } @else { (server.user) } } }
                div { dt { "From" } dd { (server.from) } }
            }
            form.actions method="post" action="/mail/test" {
                (csrf(asker))
                button.button.secondary type="submit" { "Send a test to my address" }
            }
        } @else {
            div.empty { p { "No mail server is set, so nobody gets mails." } p.muted { "The command below sets one; what it is shown is asked for and never shown." } }
        }
    }
}

fn queue_part(asker: &Asker, asked: &Asked) -> Markup {
    const PATH: &str = "/mail";
    let wanted = asked.for_page();
    let part = mail::part(&asker.frozen.state, &wanted);
    html! {
        div #queue {
            h2 { "Not delivered, or not yet" }
            (part::finder(asked, &part, PATH, "mails"))
            @if part.total == 0 && wanted.find.is_empty() {
                p.muted { "Nothing waits." }
            } @else if !part.rows.is_empty() {
                table {
                    thead { tr { th { "To" } th { "What" } th { "State" } th { "Tries" } th { "Since" } th { "Why" } th { span.unseen { "Action" } } } }
                    tbody { @for mail in &part.rows { (row(asker, mail)) } }
                }
                p.hint { "One that is unsure may have been delivered: its server was given all of it, and nobody heard whether it took it. It is sent again only if you say so." }
            }
            (part::pager(asked, &part, PATH))
        }
    }
}

fn row(asker: &Asker, mail: &MailView) -> Markup {
    let ended = matches!(mail.stage.as_str(), "unsure" | "given up");
    html! {
        tr data-mail=(mail.id) {
            td.main data-label="To" { (mail.address) }
            td data-label="What" { (mail.subject) }
            td data-label="State" { (mail.stage) @if let Some(at) = mail.next_at { p.hint { "next try " (instant(at)) } } }
            td data-label="Tries" { (mail.tries) }
            td data-label="Since" { (instant(mail.made_at)) }
            td data-label="Why" { (mail.cause) }
            td data-label=[ended.then_some("Action")] {
                @if ended {
                    form method="post" action={"/mail/" (mail.id) "/resend"} {
                        (csrf(asker))
                        button.quiet type="submit" aria-label={"Send again to " (mail.address)} { "Send again" }
                    }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Confirmed {
    csrf: String,
}

async fn ask(portal: &Portal, asker: &Asker, command: MailCommand) -> Result<Redirect, Problem> {
    let command = Command::Notice(NoticeCommand::Mail(command));
    let receipt = propose(portal, asker, command).await?;
    Ok(Redirect::to(&format!("/mail?after={}", receipt.index)))
}

pub(crate) async fn test(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<Confirmed>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    ask(&portal, &asker, MailCommand::Test).await
}

pub(crate) async fn resend(
    State(portal): State<Portal>,
    asker: Asker,
    Path(mail): Path<MailId>,
    Form(form): Form<Confirmed>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    ask(&portal, &asker, MailCommand::Resend { mail }).await
}
