//! Why a vnode is where it is, or nowhere.

use axum::extract::Path;
use docklet_control::model::Vnode;
use docklet_control::place::Dimension;
use docklet_control::view::{Explanation, Lack, Verdict, explain};
use maud::{Markup, html};

use super::amount::{cores, mib};
use super::{Page, by_command, moves, phase, with_code};
use crate::asker::Asker;
use crate::problem::Problem;
use crate::worker::find_watched_vnode;

pub(crate) async fn show(
    asker: Asker,
    Path((name, hostname)): Path<(String, String)>,
) -> Result<Markup, Problem> {
    let state = &asker.frozen.state;
    let vnode = find_watched_vnode(state, &asker.user, &name, &hostname)?;
    let explanation = explain::vnode(state, &asker.user, vnode);
    let body = html! {
        p.crumbs { a href="/vclusters" { "Vclusters" } " / " a href={"/vclusters/" (name)} { (name) } " / " (hostname) }
        (explained(&asker, vnode, &name, &explanation))
    };
    Ok(Page {
        title: "Why it is there",
        asker: &asker,
        live: Some(format!("/live/vclusters/{name}/vnodes/{hostname}/explain")),
        script: None,
    }
    .render(body))
}

/// Nothing once the vnode is gone.
pub(crate) fn fragments(asker: &Asker, name: &str, hostname: &str) -> Vec<(String, Markup)> {
    let state = &asker.frozen.state;
    let Ok(vnode) = find_watched_vnode(state, &asker.user, name, hostname) else {
        return Vec::new();
    };
    let explanation = explain::vnode(state, &asker.user, vnode);
    vec![(
        "explanation".to_owned(),
        explained(asker, vnode, name, &explanation),
    )]
}

fn explained(asker: &Asker, vnode: &Vnode, name: &str, explanation: &Explanation) -> Markup {
    let hostname = vnode.hostname();
    html! {
        div #explanation {
            h1 { (explanation.vnode) " " (phase(explanation.phase)) }
            p #summary { (explanation.summary) }
            section {
                h2 { "What would help" }
                ul #unblock { @for text in &explanation.unblock { li { (with_code(text)) } } }
            }
            section {
                h2 { "Workers" }
                p.hint { "As if it had to be placed now: the best first, then those that cannot take it, with all that they lack." }
                @if explanation.workers.is_empty() {
                    div.empty { p { "There is no worker yet, so nothing can run." } p { code { "docklet token create --role agent" } " makes the token with which one joins." } }
                } @else {
                    table {
                        thead { tr { th { "Worker" } th { "Verdict" } th { "Zone" } th { "Of this vcluster" } th { "Promised" } } }
                        tbody { @for verdict in &explanation.workers { (row(verdict)) } }
                    }
                }
            }
            (moves::section(asker, vnode, name, explanation))
            section {
                h2 { "Quota" }
                p #quota { (explanation.quota) }
            }
            (by_command(&format!("docklet explain {name}/{hostname}")))
        }
    }
}

fn row(verdict: &Verdict) -> Markup {
    html! {
        tr data-worker=(verdict.worker) data-fits=(verdict.lacks.is_empty()) {
            td.main data-label="Worker" { (verdict.worker) @if verdict.here { p.hint { "it is here" } } }
            td data-label="Verdict" {
                @match verdict.place {
                    Some(1) => "best of those that can take it",
                    Some(place) => { "can take it, number " (place) }
                    None => ul.plain { @for lack in &verdict.lacks { li { (lacking(lack)) } } },
                }
            }
            td data-label="Zone" { (verdict.zone.as_deref().unwrap_or("—")) }
            td data-label="Of this vcluster" { (verdict.siblings) }
            td data-label="Promised" { (verdict.share / 10) " %" }
        }
    }
}

fn lacking(lack: &Lack) -> Markup {
    let amount = |amount: u64| match &lack.dimension {
        Dimension::Cpu { .. } => cores(amount),
        Dimension::Memory { .. } | Dimension::Disk { .. } => mib(amount),
        Dimension::Gpus { .. }
        | Dimension::Status(_)
        | Dimension::Snapshot { .. }
        | Dimension::Cordoned { .. }
        | Dimension::Label { .. }
        | Dimension::PerWorker { .. } => amount.to_string(),
    };
    html! {
        (lack.text)
        @if !lack.holders.is_empty() {
            p.hint {
                "Held by "
                @for (number, holder) in lack.holders.iter().enumerate() {
                    @if number > 0 { ", " }
                    (holder.who) ": " (amount(holder.amount))
                }
            }
        }
    }
}
