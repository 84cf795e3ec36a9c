//! What people found wrong: a box for everybody, and for admins what there is and how it is answered.

use axum::extract::{Form, Path, State};
use axum::response::Redirect;
use docklet_control::Command;
use docklet_control::id::BugId;
use docklet_control::model::Bug;
use docklet_control::notice::bug::BugCommand;
use docklet_control::notice::command::NoticeCommand;
use docklet_control::view::{BugView, notice};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Page, by_command, check_csrf, csrf, instant};
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn show(asker: Asker) -> Markup {
    let body = html! {
        h1 { "Found something wrong?" }
        form.stack method="post" action="/bugs" {
            (csrf(&asker))
            label for="text" { "What did you do, what did you expect, and what happened?" }
            textarea #text name="text" rows="5" required maxlength=(Bug::TEXT_LEN_MAX) {}
            p.hint { "It goes to the admins of this cluster, with your name. The answer is a notice to you." }
            div.actions { button.button type="submit" { "Tell the admins" } }
        }
        (list_part(&asker))
        (by_command("docklet bug report \"The terminal forgets its colours\""))
    };
    Page {
        title: "Bug reports",
        asker: &asker,
        live: Some("/live/bugs".to_owned()),
        script: None,
    }
    .render(body)
}

pub(crate) fn fragments(asker: &Asker) -> Vec<(String, Markup)> {
    // Who is about to answer keeps what they typed.
    if asker.user.is_admin() {
        return Vec::new();
    }
    vec![("bugs".to_owned(), list_part(asker))]
}

fn list_part(asker: &Asker) -> Markup {
    let bugs = notice::bugs(&asker.frozen.state, &asker.user);
    let title = if asker.user.is_admin() {
        "What people told"
    } else {
        "What you told"
    };
    html! {
        div #bugs {
            h2 { (title) }
            @if bugs.is_empty() { div.empty {
                @if asker.user.is_admin() { p { "Nobody has told anything yet." } p.muted { "People tell you here what is wrong, and what you answer is a notice to them." } }
                @else { p { "You have told nothing yet." } p.muted { "Say above what you did, what you expected and what happened instead; the answer comes here." } }
            } }
            @for bug in &bugs { (card(asker, bug)) }
        }
    }
}

fn card(asker: &Asker, bug: &BugView) -> Markup {
    let by = match bug.by.as_str() {
        "" => "somebody who is gone",
        by => by,
    };
    html! {
        section.card.told id={"bug-" (bug.id)} aria-labelledby={"bug-title-" (bug.id)} {
            h3 id={"bug-title-" (bug.id)} {
                "Number " (bug.id) " "
                @if bug.closed { span.phase.phase-stopped { "closed" } } @else { span.phase.phase-pending { "open" } }
            }
            p.lines { (bug.text) }
            p.hint { "From " (by) ", " (instant(bug.at)) }
            @if !bug.answer.is_empty() {
                p.lines { strong { (bug.answered_by) ": " } (bug.answer) }
            }
            @if asker.user.is_admin() { (answer_form(asker, bug)) }
        }
    }
}

fn answer_form(asker: &Asker, bug: &BugView) -> Markup {
    html! {
        form.fields method="post" action={"/bugs/" (bug.id) "/answer"} {
            (csrf(asker))
            div.field.long {
                label for={"answer-" (bug.id)} { "Answer" }
                input id={"answer-" (bug.id)} name="text" maxlength=(Bug::TEXT_LEN_MAX) autocomplete="off";
            }
            @if !bug.closed {
                button.button.secondary type="submit" name="close" value="no" { "Answer" }
                button.button.secondary type="submit" name="close" value="yes" { "Answer and close" }
            } @else { button.button.secondary type="submit" name="close" value="no" { "Answer" } }
        }
    }
}

async fn ask(portal: &Portal, asker: &Asker, command: BugCommand) -> Result<Redirect, Problem> {
    let command = Command::Notice(NoticeCommand::Bug(command));
    let receipt = propose(portal, asker, command).await?;
    Ok(Redirect::to(&format!("/bugs?after={}", receipt.index)))
}

#[derive(Deserialize)]
pub(crate) struct Reported {
    csrf: String,
    text: String,
}

pub(crate) async fn report(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<Reported>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let text = form.text.replace('\r', "");
    ask(&portal, &asker, BugCommand::Report { text }).await
}

#[derive(Deserialize)]
pub(crate) struct Answered {
    csrf: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    close: String,
}

pub(crate) async fn answer(
    State(portal): State<Portal>,
    asker: Asker,
    Path(bug): Path<BugId>,
    Form(form): Form<Answered>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let close = form.close == "yes";
    let text = Some(form.text).filter(|text| !close || !text.trim().is_empty());
    let command = BugCommand::Answer { bug, text, close };
    ask(&portal, &asker, command).await
}
