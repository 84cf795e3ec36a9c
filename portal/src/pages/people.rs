//! People, for admins: requests for accounts, and accounts. Links in mails lead to the form of one request; looking at it
//! changes nothing.

use axum::extract::{Form, Path, Query, State};
use axum::response::Redirect;
use docklet_control::account::command::{AccountCommand, Proof};
use docklet_control::id::LogIndex;
use docklet_control::model::Role;
use docklet_control::model::account::{LoginWay, Standing};
use docklet_control::model::kept::KeptKind;
use docklet_control::trash::command::Thing;
use docklet_control::view::account::{self, ApplicationView, UserView};
use docklet_control::{Command, Refusal, permit, trash};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Page, by_command, check_csrf, csrf, instant, kept};
use crate::accounts;
use crate::asker::{Asker, propose};
use crate::part::{self, Asked};
use crate::problem::Problem;
use crate::register;
use crate::serve::Portal;

pub(crate) async fn list(
    State(portal): State<Portal>,
    asker: Asker,
    Query(asked): Query<Asked>,
) -> Result<Markup, Problem> {
    permit::admin(&asker.frozen.state, asker.actor(), "list people")?;
    let body = html! {
        h1 { "People" }
        (requests(&asker))
        (registration(&asker, register::policy(&portal).registration))
        (users(&asker, &asked))
        (kept::section(&asker, &[KeptKind::Account], None))
        (by_command("docklet user list"))
    };
    let live = Some("/live/people".to_owned());
    Ok(framed(&asker, "People", live, body))
}

fn framed(asker: &Asker, title: &str, live: Option<String>, body: Markup) -> Markup {
    Page {
        title,
        asker,
        live,
        script: None,
    }
    .render(body)
}

pub(crate) fn fragments(asker: &Asker) -> Vec<(String, Markup)> {
    match permit::admin(&asker.frozen.state, asker.actor(), "list people") {
        Ok(_) => vec![("requests".to_owned(), requests(asker))],
        Err(_) => Vec::new(),
    }
}

fn requests(asker: &Asker) -> Markup {
    let views = account::applications(&asker.frozen.state);
    let open = views.iter().filter(|view| view.declined.is_none());
    let declined = views.iter().filter(|view| view.declined.is_some());
    html! {
        div #requests {
            h2 { "Requests" }
            @if open.clone().next().is_none() {
                p.hint { "Nobody waits for an account." }
            } @else {
                table {
                    thead { tr { th { "Name" } th { "Who" } th { "What for" } th { "Since" } } }
                    tbody { @for view in open { (request_row(view)) } }
                }
            }
            @if declined.clone().next().is_some() {
                details.card {
                    summary { "Declined within the last 30 days" }
                    ul.plain { @for view in declined { li { (view.name) ", " (view.profile.mail) ": " (view.declined.as_deref().unwrap_or_default()) } } }
                }
            }
        }
    }
}

fn request_row(view: &ApplicationView) -> Markup {
    html! {
        tr {
            td.main data-label="Name" { a href={"/requests/" (view.id)} { (view.name) } }
            td data-label="Who" { (view.profile.real_name) p.hint { (view.profile.mail) } }
            td data-label="What for" { (view.reason) }
            td data-label="Since" { (instant(view.asked_at)) }
        }
    }
}

fn registration(asker: &Asker, open: bool) -> Markup {
    let (state, verb, next) = if open {
        (
            "Anybody may ask for an account.",
            "Close registration",
            "no",
        )
    } else {
        (
            "Nobody may ask for an account: admins make them.",
            "Open registration",
            "yes",
        )
    };
    html! {
        form method="post" action="/registration" {
            (csrf(asker))
            input type="hidden" name="open" value=(next);
            p { (state) " " button.button.secondary.small type="submit" { (verb) } }
        }
    }
}

fn users(asker: &Asker, asked: &Asked) -> Markup {
    const PATH: &str = "/people";
    let part = account::part(&asker.frozen.state, &asker.user, &asked.for_page());
    html! {
        h2 { "Accounts" }
        (part::finder(asked, &part, PATH, "people"))
        table #accounts {
            thead { tr { th { "Name" } th { "State" } th { "Mail" } th { "Vclusters" } th { "Images" } th { "Since" } } }
            tbody {
                @for view in &part.rows {
                    tr data-user=(view.name) {
                        td.main data-label="Name" { a href={"/people/" (view.name)} { (view.name) } @if view.role != Role::User { " " span.chip { (view.role.word()) } } }
                        td data-label="State" { (view.standing.word()) @if view.second_factor { ", second factor" } }
                        td data-label="Mail" { (or_dash(&view.profile.mail)) }
                        td data-label="Vclusters" { (view.vclusters) }
                        td data-label="Images" { (view.images) }
                        td data-label="Since" { (instant(view.created_at)) }
                    }
                }
            }
        }
        (part::pager(asked, &part, PATH))
    }
}

/// The form of one request: where the link of a mail leads.
pub(crate) async fn request(asker: Asker, Path(id): Path<LogIndex>) -> Result<Markup, Problem> {
    let view = accounts::application(&asker, id)?;
    let body = html! {
        h1 { "Request of " (view.name) }
        dl.facts {
            div { dt { "Name" } dd { (view.profile.real_name) } }
            div { dt { "Mail" } dd { (view.profile.mail) } }
            div { dt { "Belongs to" } dd { (view.profile.affiliation) } }
            div { dt { "Since" } dd { (instant(view.asked_at)) } }
            div { dt { "Would log in by" } dd { (view.way.word()) } }
        }
        p { (view.reason) }
        @if !view.same_mail.is_empty() {
            p.notice { "The same mail address: " (view.same_mail.join(", ")) "." }
        }
        @match &view.declined {
            Some(reason) => { p.notice.refused { "Declined: " (reason) } }
            None => { (decide_forms(&asker, &view)) }
        }
        p { a href="/people" { "All people" } }
    };
    Ok(framed(&asker, "Request", None, body))
}

fn decide_forms(asker: &Asker, view: &ApplicationView) -> Markup {
    let path = format!("/requests/{}", view.id);
    html! {
        form.fields method="post" action={(path) "/approve"} aria-label="Approve" {
            (csrf(asker))
            div.field.long {
                label for="name" { "User name" }
                input #name name="name" value=(view.name) maxlength="40" required;
            }
            button.button type="submit" { "Approve" }
        }
        form.fields method="post" action={(path) "/decline"} aria-label="Decline" {
            (csrf(asker))
            div.field.long {
                label for="reason" { "Why not; it is told to them" }
                input #reason name="reason" maxlength="900" required;
            }
            button.button.danger type="submit" { "Decline" }
        }
        (by_command(&format!("docklet user approve {}", view.id)))
    }
}

#[derive(Deserialize)]
pub(crate) struct Verdict {
    csrf: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    reason: String,
}

pub(crate) async fn decide(
    State(portal): State<Portal>,
    asker: Asker,
    Path((application, action)): Path<(LogIndex, String)>,
    Form(form): Form<Verdict>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let command = match action.as_str() {
        "approve" => AccountCommand::Approve {
            application,
            name: Some(form.name).filter(|name| !name.is_empty()),
        },
        "decline" => AccountCommand::Decline {
            application,
            reason: form.reason,
        },
        other => return Err(Refusal::not_found("action", other.escape_debug()).into()),
    };
    ask(&portal, &asker, command).await
}

#[derive(Deserialize)]
pub(crate) struct Registration {
    csrf: String,
    open: String,
}

pub(crate) async fn set_registration(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<Registration>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let open = form.open == "yes";
    ask(&portal, &asker, AccountCommand::SetRegistration { open }).await
}

/// One account, with what an admin can do about it.
pub(crate) async fn show(asker: Asker, Path(name): Path<String>) -> Result<Markup, Problem> {
    let state = &asker.frozen.state;
    permit::admin(state, asker.actor(), "look at accounts")?;
    let user = accounts::find(&asker, &name)?;
    let view = account::show(state, user);
    let own = user.id == asker.user.id;
    let body = html! {
        p.crumbs { a href="/people" { "People" } " / " (view.name) }
        h1 { (view.name) }
        p { (state_of(&view)) }
        dl.facts {
            div { dt { "Name" } dd { (or_dash(&view.profile.real_name)) } }
            div { dt { "Mail" } dd { (or_dash(&view.profile.mail)) } }
            div { dt { "Belongs to" } dd { (or_dash(&view.profile.affiliation)) } }
            div { dt { "Vclusters" } dd { (view.vclusters) } }
            div { dt { "Images" } dd { (view.images) } }
            div { dt { "Logins" } dd { (view.logins) } }
            div { dt { "Logs in by" } dd { (logs_in_by(&view)) } }
        }
        p { a href={"/people/" (view.name) "/usage"} { "What they use" } }
        @if own {
            p.hint { "This is you: " a href="/account" { "your account" } "." }
        } @else {
            @match view.standing {
                Standing::Active | Standing::Locked => { (actions(&asker, &view)) }
                Standing::Leaving => {}
                Standing::Deleted => { p { a href="/people#kept" { "Undo it, or delete it for good" } } }
            }
        }
    };
    Ok(framed(&asker, "Person", None, body))
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "–" } else { text }
}

/// In the order in which people think of it.
fn logs_in_by(view: &UserView) -> String {
    let name = match view.way {
        LoginWay::Local => view.password.then_some("password"),
        LoginWay::Pam => Some("PAM"),
        LoginWay::Oidc => None,
    };
    let providers = view.identities.iter().map(|row| row.provider.as_str());
    let ways: Vec<&str> = name.into_iter().chain(providers).collect();
    if ways.is_empty() {
        return "nothing".to_owned();
    }
    ways.join(", ")
}

fn state_of(view: &UserView) -> String {
    match view.standing {
        Standing::Active => "Active.".to_owned(),
        Standing::Locked => format!("Locked: {}", view.reason),
        Standing::Leaving => {
            "Is being deleted: it is gone when no worker has anything of it any more.".to_owned()
        }
        Standing::Deleted => "Was deleted, and can be had back for a while.".to_owned(),
    }
}

fn actions(asker: &Asker, view: &UserView) -> Markup {
    let path = format!("/people/{}", view.name);
    html! {
        @if view.standing == Standing::Locked {
            form method="post" action={(path) "/unlock"} { (csrf(asker)) button.button type="submit" { "Unlock" } }
        } @else {
            form.fields method="post" action={(path) "/lock"} aria-label="Lock" {
                (csrf(asker))
                div.field.long {
                    label for="reason" { "Why; it is told to them" }
                    input #reason name="reason" maxlength="900" required;
                }
                button.button.danger type="submit" { "Lock" }
            }
            p.hint { "Logins and tokens end at once. What runs goes on." }
        }
        @if view.second_factor {
            form method="post" action={(path) "/reset-factor"} { (csrf(asker)) button.button.danger.small type="submit" { "Reset the second factor" } }
        }
        details.card {
            summary { "Delete the account" }
            p { "Logins and tokens end at once. With its data, its vclusters go with their disks and snapshots, and its images; of images that others' vnodes are made of, the bytes stay as long as those. The home stays on the disks. The name is free when it is gone for good. " (kept::way_back(asker)) }
            form.fields method="post" action={(path) "/delete"} aria-label="Delete" {
                (csrf(asker))
                label { input type="checkbox" name="with_data" value="yes"; " with " (view.vclusters) " vclusters and " (view.images) " images" }
                button.button.danger type="submit" { "Delete " (view.name) }
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Change {
    csrf: String,
    #[serde(default)]
    reason: String,
    with_data: Option<String>,
}

pub(crate) async fn change(
    State(portal): State<Portal>,
    asker: Asker,
    Path((name, action)): Path<(String, String)>,
    Form(form): Form<Change>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let user = accounts::find(&asker, &name)?.id;
    let command = match action.as_str() {
        "lock" => AccountCommand::Lock {
            user,
            reason: form.reason,
        },
        "unlock" => AccountCommand::Unlock { user },
        "delete" => {
            let with_data = form.with_data.is_some();
            let thing = Thing::Account { user, with_data };
            let command = trash::deleting(&asker.frozen.state, thing, false);
            return back(&portal, &asker, command).await;
        }
        "reset-factor" => AccountCommand::RemoveFactor {
            user,
            proof: Proof::Nothing,
        },
        other => return Err(Refusal::not_found("action", other.escape_debug()).into()),
    };
    ask(&portal, &asker, command).await
}

/// Back to the people, with the write known.
async fn ask(portal: &Portal, asker: &Asker, command: AccountCommand) -> Result<Redirect, Problem> {
    back(portal, asker, Command::Account(command)).await
}

async fn back(portal: &Portal, asker: &Asker, command: Command) -> Result<Redirect, Problem> {
    let receipt = propose(portal, asker, command).await?;
    Ok(Redirect::to(&format!("/people?after={}", receipt.index)))
}
