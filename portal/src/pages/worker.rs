//! Workers, for admins.

use axum::extract::{Form, Path, State};
use axum::response::Redirect;
use docklet_control::model::WorkerStatus;
use docklet_control::schedule::command::ScheduleCommand;
use docklet_control::view::{WorkerView, worker};
use docklet_control::{Command, Refusal, permit};
use maud::{Markup, html};
use serde::Deserialize;

use super::amount::{cores, mib};
use super::{Page, check_csrf, csrf, instant};
use crate::api::schedule::find_worker;
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn list(asker: Asker) -> Result<Markup, Problem> {
    permit::admin(&asker.frozen.state, asker.actor(), "list workers")?;
    let body = html! {
        h1 { "Workers" }
        (table(&asker))
        p.hint { "A worker is added with " code { "docklet token create --role agent" } " here and " code { "docklet agent join TOKEN" } " there." }
    };
    let live = Some("/live/workers".to_owned());
    Ok(Page {
        title: "Workers",
        asker: &asker,
        live,
        script: None,
    }
    .render(body))
}

pub(crate) fn fragments(asker: &Asker) -> Vec<(String, Markup)> {
    match permit::admin(&asker.frozen.state, asker.actor(), "list workers") {
        Ok(_) => vec![("workers".to_owned(), table(asker))],
        Err(_) => Vec::new(),
    }
}

fn table(asker: &Asker) -> Markup {
    let views = worker::list(&asker.frozen.state);
    html! {
        div #workers {
            @if views.is_empty() {
                div.empty {
                    h2 { "No workers yet" }
                    p { "Vnodes run on workers. Make a token here, and join with it there:" }
                    p { code { "docklet token create --role agent" } }
                    p { code { "docklet agent join TOKEN" } }
                }
            } @else {
                table {
                    thead { tr { th { "Worker" } th { "State" } th { "Vnodes" } th { "Memory promised" } th { "CPU promised" } th { "Disk promised" } th { "GPUs" } th { span.unseen { "Actions" } } } }
                    tbody { @for view in &views { (row(asker, view)) } }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Change {
    csrf: String,
    #[serde(default)]
    reason: String,
}

pub(crate) async fn change(
    State(portal): State<Portal>,
    asker: Asker,
    Path((name, action)): Path<(String, String)>,
    Form(form): Form<Change>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let worker = find_worker(&asker, "cordon workers", &name)?;
    let reason = form.reason;
    let command = match action.as_str() {
        "cordon" => ScheduleCommand::Cordon { worker, reason },
        "uncordon" => ScheduleCommand::Uncordon { worker },
        other => return Err(Refusal::not_found("action", other.escape_debug()).into()),
    };
    propose(&portal, &asker, Command::Schedule(command)).await?;
    Ok(Redirect::to("/workers"))
}

/// Lets a worker take nothing new, or vnodes again.
fn cordon(asker: &Asker, view: &WorkerView) -> Markup {
    let name = &view.name;
    let (action, label) = match view.cordon {
        Some(_) => ("uncordon", "Uncordon"),
        None => ("cordon", "Cordon"),
    };
    html! {
        form method="post" action={"/workers/" (name) "/" (action)} {
            (csrf(asker))
            button.button.secondary.small type="submit" aria-label={(label) " " (name)} { (label) }
        }
    }
}

fn row(asker: &Asker, view: &WorkerView) -> Markup {
    html! {
        tr data-worker=(view.name) {
            td.main data-label="Worker" {
                (view.name) p.hint { code { (view.data_addr) } }
                p.hint { (view.facts.kernel) br; "liblxc " (view.facts.liblxc) ", agent " (view.facts.agent) }
                @if !view.labels.is_empty() {
                    p.hint { @for (key, value) in &view.labels { span.chip { (key) "=" (value) } " " } }
                }
            }
            td data-label="State" {
                (status(view.status)) p.hint { "since " (instant(view.status_since)) }
                @if let Some(reason) = &view.cordon {
                    span.phase.phase-pending data-cordon { "takes nothing new" }
                    @if !reason.is_empty() { p.hint { (reason) } }
                }
            }
            td data-label="Vnodes" { (view.vnodes) }
            td data-label="Memory promised" { (meter(view.memory_mib_promised, view.memory_mib_max, mib)) }
            td data-label="CPU promised" { (meter(view.cpu_milli_promised, view.cpu_milli_max, cores)) }
            td data-label="Disk promised" { (meter(view.disk_mib_promised, view.disk_mib_max, mib)) }
            td data-label="GPUs" {
                (view.facts.capacity.gpus.len())
                @if view.gpus_given > 0 { p.hint { (view.gpus_given) " given away" } }
            }
            td.act data-label="" { (cordon(asker, view)) }
        }
    }
}

fn status(status: WorkerStatus) -> Markup {
    let (class, word) = match status {
        WorkerStatus::Up => ("running", "up"),
        WorkerStatus::Joined => ("pending", "joined"),
        WorkerStatus::Down => ("failed", "down"),
        WorkerStatus::Unadmitted => ("failed", "must join again"),
    };
    html! { span class={"phase phase-" (class)} { (word) } }
}

fn meter(used: u64, of: u64, words: fn(u64) -> String) -> Markup {
    html! {
        meter min="0" max=(of.max(1)) value=(used) aria-label={ (words(used)) " of " (words(of)) } {}
        p.hint { (words(used)) " of " (words(of)) }
    }
}
