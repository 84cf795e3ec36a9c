//! Masters, for admins: how they are, and what can be done with one.

use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use docklet_control::model::JoinRole;
use docklet_control::view::{GroupView, MasterRole, MasterView, master};
use docklet_control::{Command, permit};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Page, by_command, check_csrf, csrf, instant, invite};
use crate::asker::{Asker, propose};
use crate::masters::{self, invitation};
use crate::problem::Problem;
use crate::receipt::{self, Told};
use crate::serve::Portal;

pub(crate) async fn list(State(portal): State<Portal>, asker: Asker) -> Result<Markup, Problem> {
    permit::operator(&asker.frozen.state, asker.actor(), "list masters")?;
    let group = master::group(&asker.frozen.state, &portal.master.observe().await);
    let body = html! {
        h1 { "Masters" }
        (table(&portal, &asker, &group))
        p.hint { "Writes need a majority of the voters: three masters go on without one of them." }
        @if asker.user.is_admin() { (invite::form(&asker, JoinRole::Master)) }
        (by_command("docklet token create --role master"))
    };
    let live = Some("/live/masters".to_owned());
    Ok(page(&asker, "Masters", live, body))
}

fn page(asker: &Asker, title: &str, live: Option<String>, body: Markup) -> Markup {
    Page {
        title,
        asker,
        live,
        script: None,
    }
    .render(body)
}

pub(crate) fn fragments(portal: &Portal, asker: &Asker) -> Vec<(String, Markup)> {
    match permit::operator(&asker.frozen.state, asker.actor(), "list masters") {
        Ok(_) => {
            let group = master::group(&asker.frozen.state, &portal.master.observed_last());
            vec![("masters".to_owned(), table(portal, asker, &group))]
        }
        Err(_) => Vec::new(),
    }
}

fn table(portal: &Portal, asker: &Asker, group: &GroupView) -> Markup {
    let leader = group.masters.iter().find(|m| Some(m.id) == group.leader);
    let dead_after = group.autopilot.dead_after_ms.map(|ms| ms / 1_000);
    let frozen = &asker.frozen;
    let hash = frozen.hash().to_string();
    let short = hash.get(..12).unwrap_or(&hash);
    html! {
        div #masters {
            @for warning in &group.warnings { p.notice.refused role="status" { (warning) } }
            dl.facts {
                div { dt { "Leader" } dd { (leader.map_or("election under way", |m| m.name.as_str())) } }
                div { dt { "Term" } dd { (group.term) } }
                div { dt { "Cluster version" } dd { (group.cluster_version) } }
                div { dt { "Served by" } dd { (portal.name) } }
                div { dt { "Its state's hash" } dd title=(hash) { code { (short) } " at entry " (frozen.index) } }
                div { dt { "A silent voter gives way after" } dd {
                    @match dead_after { Some(seconds) => { (seconds) " s, if a learner waits" } None => "never" }
                } }
            }
            table {
                thead { tr { th { "Master" } th { "Role" } th { "Entry" } th { "Lag" } th { "Last contact" } th { "State" } th { "Version" } th { "Certificate" } th { "Addresses" } th { span.unseen { "Actions" } } } }
                tbody { @for master in &group.masters { (row(asker, master)) } }
            }
        }
    }
}

fn row(asker: &Asker, master: &MasterView) -> Markup {
    let state = master
        .state_agrees
        .map(|agrees| if agrees { "agrees" } else { "differs" });
    html! {
        tr data-master=(master.name) data-id=(master.id) {
            td.main data-label="Master" { (master.name) p.hint { "id " (master.id) } }
            td data-label="Role" {
                (master.role.word())
                @match master.replaced_by {
                    Some(new) => p.hint { "master " (new) " takes its place" },
                    None if master.to_be_replaced => p.hint { "to be replaced" },
                    None => {}
                }
            }
            td data-label="Entry" { (master.applied.map_or("—".to_owned(), |at| at.to_string())) }
            td data-label="Lag" { (lag(master)) }
            td data-label="Last contact" { (contact(master)) }
            td data-label="State" { (state.unwrap_or("—")) }
            td data-label="Version" {
                (master.version.as_deref().unwrap_or("—"))
                p.hint { "knows version " (master.knows) }
            }
            td data-label="Certificate" {
                @match master.certificate_expires_at { Some(at) => { "until " (instant(at)) } None => "—" }
            }
            td data-label="Addresses" { code { (master.cluster_addr) } p.hint { code { (master.public_addr) } } }
            td.act data-label="" {
                div.buttons {
                    @if master.role == MasterRole::Voter {
                        form method="post" action={"/masters/" (master.id) "/transfer"} {
                            (csrf(asker))
                            button.button.secondary.small type="submit" { "Let it lead" }
                        }
                    }
                    a.button.danger.small href={"/masters/" (master.id) "/remove"} { "Remove or replace" }
                }
            }
        }
    }
}

fn contact(master: &MasterView) -> String {
    // Which milliseconds exactly matters to nobody, and would make every look a new fragment.
    match master.silent_ms.map(|ms| ms / 1_000) {
        _ if master.role == MasterRole::Leader => "leads".to_owned(),
        Some(0) => "now".to_owned(),
        Some(seconds) => format!("silent for {seconds} s"),
        None => "—".to_owned(),
    }
}

fn lag(master: &MasterView) -> String {
    match master.lag {
        _ if master.role == MasterRole::Leader => "—".to_owned(),
        Some(0..=5) => "none".to_owned(),
        Some(lag) => format!("{lag} entries"),
        None => "—".to_owned(),
    }
}

/// Asks once more before a master goes.
pub(crate) async fn confirm(
    State(portal): State<Portal>,
    asker: Asker,
    Path((id, action)): Path<(String, String)>,
) -> Result<Markup, Problem> {
    permit::operator(&asker.frozen.state, asker.actor(), "remove masters")?;
    if action != "remove" {
        return Err(super::not_found().await);
    }
    let group = master::group(&asker.frozen.state, &portal.master.observe().await);
    let id = masters::meant(&asker.frozen.state, &id)?;
    let found = group.masters.iter().find(|master| master.id == id);
    let master = found.ok_or_else(|| docklet_control::Refusal::not_found("master", id))?;
    Ok(page(
        &asker,
        "Remove a master",
        None,
        leaving(&asker, master, None),
    ))
}

/// The two ways in which a master goes, after what was refused if anything was.
fn leaving(asker: &Asker, master: &MasterView, refused: Option<&str>) -> Markup {
    html! {
        p.crumbs { a href="/masters" { "Masters" } " / " (master.name) }
        h1 { "Remove or replace " (master.name) "?" }
        @if let Some(refused) = refused { p.notice.refused role="alert" { (refused) } }
        p { "Master " (master.name) " has id " (master.id) ", listens on " code { (master.cluster_addr) } " and is now: " (master.role.word()) "." }
        h2 { "Replace" }
        p { "Another machine, or this one with an empty directory, joins in its place. The old one goes in the same step in which the new one comes to vote." }
        form method="post" action={"/masters/" (master.id) "/replace"} {
            (csrf(asker))
            button.button type="submit" { "Make an invitation" }
        }
        h2 { "Remove" }
        p { "Its id and certificate are refused for ever, at every door. If it leads, another takes over first." }
        form method="post" action={"/masters/" (master.id) "/remove"} {
            (csrf(asker))
            p { label { input type="checkbox" name="force" value="yes"; " Also if not one more may fail then" } }
            button.button.danger type="submit" { "Remove " (master.name) }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Change {
    csrf: String,
    /// There if the box is checked.
    force: Option<String>,
}

pub(crate) async fn change(
    State(portal): State<Portal>,
    asker: Asker,
    Path((id, action)): Path<(String, String)>,
    Form(form): Form<Change>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    match action.as_str() {
        "transfer" => {
            let told = lead(&portal, &asker, &id).await?;
            let to = receipt::address(&portal, &asker, "/masters", (None, &told));
            Ok(Redirect::to(&to).into_response())
        }
        "remove" => remove(&portal, &asker, &id, form.force.is_some()).await,
        "replace" => invite(&portal, asker, &id).await,
        other => Err(Problem {
            status: StatusCode::NOT_FOUND,
            code: "not_found",
            detail: format!("A master cannot be asked to {}.", other.escape_debug()),
        }),
    }
}

/// Lets a master lead. Who leads is no entry of the log: what came of it is told as it was seen here.
async fn lead(portal: &Portal, asker: &Asker, id: &str) -> Result<Vec<Told>, Problem> {
    let state = &asker.frozen.state;
    let called = |id| {
        let master = state.masters.get(&id);
        master.map_or_else(|| id.to_string(), |master| master.name.to_string())
    };
    let wanted = masters::meant(state, id)?;
    let before = portal.master.brief_status().leader.map(called);
    let asked = match before.filter(|before| *before != called(wanted)) {
        Some(before) => format!("{before} was asked to let {} lead.", called(wanted)),
        None => format!("{} was asked to lead.", called(wanted)),
    };
    let asked = Told::now(asked);
    masters::transfer(portal, asker, id).await?;
    let leads = Told::now(format!("{} leads.", called(wanted)));
    Ok(vec![asked, leads])
}

/// What is refused is said where it was asked.
async fn remove(
    portal: &Portal,
    asker: &Asker,
    id: &str,
    force: bool,
) -> Result<Response, Problem> {
    let problem = match masters::remove(portal, asker, id, force).await {
        Ok(receipt) => {
            let to = format!("/masters?after={}", receipt.index);
            return Ok(Redirect::to(&to).into_response());
        }
        Err(problem) if problem.status == StatusCode::CONFLICT => problem,
        Err(problem) => return Err(problem),
    };
    let group = master::group(&asker.frozen.state, &portal.master.observe().await);
    let meant = masters::meant(&asker.frozen.state, id)?;
    let Some(master) = group.masters.iter().find(|master| master.id == meant) else {
        return Err(problem);
    };
    let body = leaving(asker, master, Some(&problem.detail));
    let shown = page(asker, "Remove a master", None, body);
    Ok((problem.status, shown).into_response())
}

/// The secret leaves with this page and is stored nowhere.
async fn invite(portal: &Portal, asker: Asker, id: &str) -> Result<Response, Problem> {
    permit::admin(&asker.frozen.state, asker.actor(), "replace masters")?;
    let (token, secret_hash) = invitation(portal, &asker, JoinRole::Master);
    let command = Command::ReplaceMaster {
        master: masters::meant(&asker.frozen.state, id)?,
        secret_hash,
        ttl_ms: invite::TTL_MS,
    };
    let receipt = propose(portal, &asker, command).await?;
    let until = receipt.at.plus_ms(invite::TTL_MS);
    let asker = receipt::with_write(portal, asker, receipt.index).await?;
    Ok(invite::shown(&asker, JoinRole::Master, &token, until).into_response())
}
