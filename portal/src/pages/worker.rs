//! Workers, for admins.

use axum::extract::{Form, Path, Query, State};
use axum::response::Redirect;
use docklet_control::drain::command::DrainCommand;
use docklet_control::model::{DrainStage, JoinRole, WorkerStatus};
use docklet_control::schedule::command::ScheduleCommand;
use docklet_control::view::certificate::Left;
use docklet_control::view::drain::{self, DrainView};
use docklet_control::view::{WorkerView, worker};
use docklet_control::{Command, Refusal, permit};
use maud::{Markup, html};
use serde::Deserialize;

use super::amount::{cores, mib};
use super::{Page, by_command, check_csrf, csrf, instant, invite, rebalance};
use crate::api::schedule::find_worker;
use crate::asker::{Asker, now, propose};
use crate::part::{self, Asked};
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn list(asker: Asker, Query(asked): Query<Asked>) -> Result<Markup, Problem> {
    permit::operator(&asker.frozen.state, asker.actor(), "list workers")?;
    let body = html! {
        h1 { "Workers" }
        (table(&asker, &asked))
        (rebalance::section(&asker).await?)
        (invite::form(&asker, JoinRole::Agent))
        (by_command("docklet token create --role agent"))
    };
    let live = Some(asked.at("/live/workers"));
    Ok(Page {
        title: "Workers",
        asker: &asker,
        live,
        script: None,
    }
    .render(body))
}

pub(crate) fn fragments(asker: &Asker, asked: &Asked) -> Vec<(String, Markup)> {
    match permit::operator(&asker.frozen.state, asker.actor(), "list workers") {
        Ok(_) => vec![
            ("workers".to_owned(), table(asker, asked)),
            ("balance".to_owned(), rebalance::balance(asker)),
        ],
        Err(_) => Vec::new(),
    }
}

fn table(asker: &Asker, asked: &Asked) -> Markup {
    const PATH: &str = "/workers";
    let wanted = asked.for_page();
    let part = worker::part(&asker.frozen.state, &wanted);
    html! {
        div #workers {
            (part::finder(asked, &part, PATH, "workers"))
            @if part.total == 0 && wanted.find.is_empty() {
                div.empty {
                    h2 { "No workers yet" }
                    p { "Vnodes run on workers. Invite the first machine: you get the command that it runs." }
                }
            } @else if !part.rows.is_empty() {
                table {
                    thead { tr { th { "Worker" } th { "State" } th { "Vnodes" } th { "Memory promised" } th { "CPU promised" } th { "Disk promised" } th { "GPUs" } th { span.unseen { "Actions" } } } }
                    tbody { @for view in &part.rows { (row(asker, view)) } }
                }
            }
            (part::pager(asked, &part, PATH))
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
        "cordon" => Command::Schedule(ScheduleCommand::Cordon { worker, reason }),
        "uncordon" => Command::Schedule(ScheduleCommand::Uncordon { worker }),
        "drain" => Command::Drain(DrainCommand::Begin {
            worker,
            at_once: 2,
            deadline_ms: None,
        }),
        "abort-drain" => Command::Drain(DrainCommand::Abort { worker }),
        "restore" => Command::Drain(DrainCommand::Restore { worker }),
        other => return Err(Refusal::not_found("action", other.escape_debug()).into()),
    };
    let receipt = propose(&portal, &asker, command).await?;
    Ok(Redirect::to(&format!("/workers?after={}", receipt.index)))
}

/// Lets a worker take nothing new, or vnodes again.
fn cordon(asker: &Asker, view: &WorkerView) -> Markup {
    let name = &view.name;
    let (action, label) = match view.cordon {
        Some(_) => ("uncordon", "Uncordon"),
        None => ("cordon", "Cordon"),
    };
    post(asker, name, action, label)
}

fn post(asker: &Asker, name: &str, action: &str, label: &str) -> Markup {
    html! {
        form method="post" action={"/workers/" (name) "/" (action)} {
            (csrf(asker))
            button.button.secondary.small type="submit" aria-label={(label) " " (name)} { (label) }
        }
    }
}

/// Empties a worker, ends that, or brings back what was moved away.
fn draining(asker: &Asker, view: &WorkerView, drain: Option<&DrainView>) -> Markup {
    let name = &view.name;
    let open = drain.is_some_and(|drain| drain.is_open);
    let away = drain.is_some_and(|drain| drain.moved > 0 && drain.stage != DrainStage::Restoring);
    html! {
        @if open { (post(asker, name, "abort-drain", "Stop draining")) }
        @if away { (post(asker, name, "restore", "Restore")) }
        @if !open && view.vnodes > 0 { (post(asker, name, "drain", "Drain")) }
    }
}

/// How far the emptying of a worker is, with what stays and why.
fn drained(drain: &DrainView) -> Markup {
    html! {
        p.hint data-drain=(drain.stage.word()) { (drain.sentence()) }
        @if !drain.stuck.is_empty() {
            ul.plain { @for stuck in &drain.stuck { li { (stuck.vnode) " stays: " (stuck.why) } } }
        }
    }
}

fn row(asker: &Asker, view: &WorkerView) -> Markup {
    let state = &asker.frozen.state;
    let last = state.drains.get(&view.id);
    let last = last.map(|last| drain::show(state, &asker.user, last));
    html! {
        tr data-worker=(view.name) {
            td.main data-label="Worker" {
                a href={"/workers/" (view.name)} { (view.name) } p.hint { code { (view.data_addr) } }
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
                @if let Some(last) = &last { (drained(last)) }
                (certificate(view))
            }
            td data-label="Vnodes" { (view.vnodes) }
            td data-label="Memory promised" { (meter(view.memory_mib_promised, view.memory_mib_max, mib)) }
            td data-label="CPU promised" { (meter(view.cpu_milli_promised, view.cpu_milli_max, cores)) }
            td data-label="Disk promised" { (meter(view.disk_mib_promised, view.disk_mib_max, mib)) }
            td data-label="GPUs" {
                (view.facts.capacity.gpus.len())
                @if view.gpus_given > 0 { p.hint { (view.gpus_given) " given away" } }
            }
            td.act data-label="" { div.buttons { (cordon(asker, view)) (draining(asker, view, last.as_ref())) } }
        }
    }
}

/// Until when it can prove who it is, and what is to be done about that.
fn certificate(view: &WorkerView) -> Markup {
    let Some(held) = &view.certificate else {
        return html! {};
    };
    let left = held.left(now());
    let warning = match left {
        _ if view.awaited => Some(("pending", "may join again")),
        Left::Enough => None,
        Left::Little => Some(("pending", "certificate not renewed")),
        Left::Nothing => Some(("failed", "certificate has ended")),
    };
    let ended = left == Left::Nothing;
    html! {
        @if let Some((class, word)) = warning {
            span class={"phase phase-" (class)} data-certificate { (word) }
        }
        p.hint { "certificate " (if ended { "ended " } else { "ends " }) (instant(held.ends_at)) }
        @if ended && !view.awaited {
            p.hint { "To let it in again: " code { "docklet worker readmit " (view.name) } }
        }
    }
}

pub(super) fn status(status: WorkerStatus) -> Markup {
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
