//! One worker, for operators: what it is, what it uses, whose vnodes use it, and what emptying it would come to.

use axum::extract::{Path, Query, State};
use docklet_control::meter::{Measure, Subject, Usage};
use docklet_control::model::{Vnode, Worker};
use docklet_control::view::vcluster::show_vnode;
use docklet_control::view::worker;
use docklet_control::what_if::{self, Outlook, Supposed};
use docklet_control::{State as Cluster, meter, permit};
use maud::{Markup, html};

use super::amount::{bytes, cores, mib};
use super::usage::{self, COLUMNS, Chart, Shown, chart, known, whole};
use super::{Page, by_command, csrf, instant, phase};
use crate::api::schedule::find_worker;
use crate::asker::Asker;
use crate::meters::{self, worker_named};
use crate::past::aside;
use crate::problem::Problem;
use crate::serve::Portal;

/// Vnodes that are listed, those first that use most.
const VNODES_MAX: usize = 100;

pub(crate) async fn show(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
) -> Result<Markup, Problem> {
    let worker = found(&asker, &name)?;
    let live = meters::now(&portal, worker).await.ok();
    let body = html! {
        p.crumbs { a href="/workers" { "Workers" } " / " (worker.name) }
        div.head {
            h1 { (worker.name) }
            div.actions { a.button.secondary href={"/workers/" (worker.name) "/what-if"} { "What if it is drained?" } }
        }
        (facts(&asker.frozen.state, worker))
        (chart(&Chart {
            history: &format!("/api/v1/workers/{}/history", worker.name),
            each: None,
            of: Vec::new(),
            has_gpus: !worker.facts.capacity.gpus.is_empty(),
            table: &format!("/workers/{}/usage", worker.name),
        }))
        (vnodes(&asker, worker, live.as_deref()))
        (by_command("docklet worker list"))
    };
    Ok(Page {
        title: "Worker",
        asker: &asker,
        live: Some(format!("/live/workers/{}", worker.name)),
        script: Some("chart.js"),
    }
    .render(body))
}

/// The worker that is meant, for whoever may look at workers.
fn found<'a>(asker: &'a Asker, name: &str) -> Result<&'a Worker, Problem> {
    let state = &asker.frozen.state;
    permit::operator(state, asker.actor(), "look at workers")?;
    Ok(worker_named(state, name)?)
}

/// What it is, drawn anew when that changes.
pub(crate) fn fragments(asker: &Asker, name: &str) -> Vec<(String, Markup)> {
    let shown = found(asker, name).ok();
    let parts = shown.map(|worker| {
        let id = "worker-facts".to_owned();
        vec![(id, facts(&asker.frozen.state, worker))]
    });
    parts.unwrap_or_default()
}

fn facts(state: &Cluster, worker: &Worker) -> Markup {
    let view = worker::one(state, worker);
    html! {
        div #worker-facts {
            dl.facts {
                div { dt { "State" } dd { (super::worker::status(view.status)) " since " (instant(view.status_since)) } }
                @if let Some(reason) = &view.cordon {
                    div { dt { "Takes nothing new" } dd { @if reason.is_empty() { "an admin said so" } @else { (reason) } } }
                }
                div { dt { "CPU promised" } dd { (cores(view.cpu_milli_promised)) " of " (cores(view.cpu_milli_max)) } }
                div { dt { "Memory promised" } dd { (mib(view.memory_mib_promised)) " of " (mib(view.memory_mib_max)) } }
                div { dt { "Disk promised" } dd { (mib(view.disk_mib_promised)) " of " (mib(view.disk_mib_max)) } }
                @if !view.facts.capacity.gpus.is_empty() {
                    div { dt { "GPUs given" } dd { (view.gpus_given) " of " (view.facts.capacity.gpus.len()) } }
                }
                div { dt { "Agent" } dd { (view.facts.agent) } }
                div { dt { "Linux" } dd { (view.facts.kernel) } }
                div { dt { "liblxc" } dd { (view.facts.liblxc) } }
                div { dt { "Data port" } dd { code { (view.data_addr) } } }
                @if !view.labels.is_empty() {
                    div { dt { "Labels" } dd { @for (key, value) in &view.labels { span.chip { (key) "=" (value) } " " } } }
                }
            }
        }
    }
}

fn vnodes(asker: &Asker, worker: &Worker, live: Option<&meter::Live>) -> Markup {
    let state = &asker.frozen.state;
    let usage = |vnode: &Vnode| -> Option<Usage> {
        let mut told = live?.vnodes.iter();
        told.find(|(id, _)| *id == vnode.id)
            .map(|(_, usage)| *usage)
    };
    let shown = state.vnodes_on(worker.id);
    let shown = shown.filter(|vnode| permit::watches(&asker.user, vnode.owner));
    let mut shown: Vec<(&Vnode, Option<Usage>)> = shown.map(|one| (one, usage(one))).collect();
    let cpu = |usage: &Option<Usage>| {
        let used = usage.and_then(|usage| usage.values.get(Measure::CpuMilli));
        used.map(|milli| whole(f64::from(milli)))
    };
    shown.sort_by_key(|(vnode, usage)| (std::cmp::Reverse(cpu(usage)), vnode.id));
    html! {
        section aria-labelledby="worker-vnodes" {
            h2 #worker-vnodes { "Vnodes" }
            @if shown.is_empty() { p.muted { "None is here." } } @else {
                table {
                    thead { tr { th { "Vnode" } th { "State" } th { "CPU" } th { "Memory" } th { "Disk" } th { "Now" } } }
                    tbody { @for (vnode, usage) in shown.iter().take(VNODES_MAX) { (row(state, vnode, usage.as_ref())) } }
                }
                @if shown.len() > VNODES_MAX { p.muted { (shown.len() - VNODES_MAX) " more, which use less." } }
            }
        }
    }
}

fn row(state: &Cluster, vnode: &Vnode, usage: Option<&Usage>) -> Markup {
    let owner = state.users.get(&vnode.owner).map(|user| user.name.as_str());
    let vcluster = state
        .vclusters
        .get(&vnode.vcluster)
        .map(|it| it.name.as_str());
    let used = |measure: Measure, words: &dyn Fn(f64) -> String| {
        usage.map_or_else(
            || "—".to_owned(),
            |usage| known(&usage.values, measure, words),
        )
    };
    html! {
        tr {
            td.main data-label="Vnode" {
                a href={"/vclusters/" (vnode.vcluster)} { (owner.unwrap_or("–")) "/" (vcluster.unwrap_or("–")) "/" (vnode.hostname()) }
            }
            td data-label="State" { (phase(show_vnode(state, vnode).phase)) }
            td data-label="CPU" { (used(Measure::CpuMilli, &|milli| cores(whole(milli)))) span.hint { " of " (cores(u64::from(vnode.size.cpu_milli.0))) } }
            td data-label="Memory" { (used(Measure::MemoryBytes, &bytes)) span.hint { " of " (mib(u64::from(vnode.size.memory_mib.0))) } }
            td data-label="Disk" { (used(Measure::DiskBytes, &bytes)) }
            td data-label="Now" { (usage::now_of(vnode.id)) }
        }
    }
}

pub(crate) async fn table(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Query(shown): Query<Shown>,
) -> Result<Markup, Problem> {
    let worker = found(&asker, &name)?;
    let told = meters::history_at(&portal, worker, Subject::Worker, shown.span, &COLUMNS).await;
    let history = match told {
        Ok(series) => meter::History {
            series,
            unanswered: Vec::new(),
        },
        Err(_) => meter::History {
            unanswered: vec![worker.name.to_string()],
            ..meter::History::default()
        },
    };
    let body = html! {
        p.crumbs { a href="/workers" { "Workers" } " / " a href={"/workers/" (worker.name)} { (worker.name) } " / in use" }
        h1 { "In use" }
        form.inline method="get" { (usage::spans(shown.span)) }
        (usage::answered(&history))
    };
    Ok(plain(&asker, "In use", body))
}

fn plain(asker: &Asker, title: &str, body: Markup) -> Markup {
    Page {
        title,
        asker,
        live: None,
        script: None,
    }
    .render(body)
}

/// What emptying it would come to; nothing is changed.
pub(crate) async fn what_if(asker: Asker, Path(name): Path<String>) -> Result<Markup, Problem> {
    let id = find_worker(&asker, "look at drains", &name)?;
    let supposed = Supposed::Drain(id);
    let shown = asker.clone();
    let look = move || what_if::outlook(&shown.frozen.state, &shown.user, &supposed);
    let outlook = aside(look).await??;
    let body = html! {
        p.crumbs { a href="/workers" { "Workers" } " / " a href={"/workers/" (name)} { (name) } " / what if" }
        h1 { "What if " (name) " is drained?" }
        p { "Nothing new would come to it, and what is there would go elsewhere. Nothing was changed by looking." }
        (foreseen(&outlook))
        form.actions method="post" action={"/workers/" (name) "/drain"} {
            (csrf(&asker))
            button.button type="submit" { "Drain " (name) }
            a.button.secondary href={"/workers/" (name)} { "Leave it" }
        }
        (by_command(&format!("docklet what-if drain {name}")))
    };
    Ok(plain(&asker, "What if", body))
}

fn foreseen(outlook: &Outlook) -> Markup {
    let (placed, pending) = (outlook.placed.len(), outlook.pending.len());
    html! {
        @if placed + pending == 0 {
            p.notice { "It holds no vnodes: it would be empty at once." }
        } @else {
            @if pending == 0 { p.notice.done { "All of them would find a worker." } }
            @else { p.notice.refused role="status" { (pending) " of " (placed + pending) " would find no worker, and stay." } }
            table {
                thead { tr { th { "Vnode" } th { "Would go to" } th { "Why not" } } }
                tbody {
                    @for one in &outlook.pending {
                        tr data-pending { td.main data-label="Vnode" { (one.vnode) } td data-label="Would go to" { "stays" } td data-label="Why not" { (one.why) } }
                    }
                    @for one in &outlook.placed {
                        tr { td.main data-label="Vnode" { (one.vnode) } td data-label="Would go to" { (one.to) } td data-label="Why not" { "–" } }
                    }
                }
            }
        }
    }
}
