//! Vclusters: list, form, detail, and what can be done to one.

pub(crate) mod form;
mod resize;

use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use docklet_control::id::LogIndex;
use docklet_control::model::{GpuWish, VclusterWanted};
use docklet_control::trash;
use docklet_control::trash::command::TrashCommand;
use docklet_control::view::{Phase, VclusterView, VnodeView, vcluster};
use docklet_control::{Command, Refusal, permit};
use maud::{Markup, html};
use serde::Deserialize;

use super::amount::{cores, count, mib};
use super::berth::berths;
use super::{
    Page, by_command, check_csrf, csrf, events, instant, phase, port, service, snapshot, usage,
};
use crate::asker::{Asker, propose};
use crate::part::{self, Asked};
use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker::{find_vcluster, find_watched};

pub(crate) async fn list(asker: Asker, Query(asked): Query<Asked>) -> Markup {
    let body = html! {
        div.head {
            h1 { "Vclusters" }
            a.button href="/new/vcluster" { "Create a vcluster" }
        }
        (list_table(&asker, &asked))
        (super::trash::section(&asker))
    };
    let live = Some(asked.at("/live/vclusters"));
    Page {
        title: "Vclusters",
        asker: &asker,
        live,
        script: None,
    }
    .render(body)
}

pub(crate) fn list_fragments(asker: &Asker, asked: &Asked) -> Vec<(String, Markup)> {
    vec![
        ("vclusters".to_owned(), list_table(asker, asked)),
        ("trash".to_owned(), super::trash::section(asker)),
    ]
}

fn list_table(asker: &Asker, asked: &Asked) -> Markup {
    const PATH: &str = "/vclusters";
    let wanted = asked.for_page();
    let part = vcluster::part(&asker.frozen.state, &asker.user, &wanted);
    html! {
        div #vclusters {
            (part::finder(asked, &part, PATH, "vclusters"))
            @if part.total == 0 && wanted.find.is_empty() {
                div.empty {
                    (dock())
                    h2 { "No vclusters yet" }
                    p { "A vcluster is a private group of Linux hosts that see each other by name. The first takes a second or two." }
                    p { a.button href="/new/vcluster" { "Create the first" } }
                    (by_command("docklet vc create lab --vnodes 2 --wait"))
                }
            } @else if !part.rows.is_empty() {
                table {
                    thead { tr { th { "Name" } th { "State" } th { "Vnodes" } th { "Image" } th { "Owner" } th { "Created" } } }
                    tbody {
                        @for view in &part.rows {
                            tr {
                                td.main data-label="Name" { a href={"/vclusters/" (link(asker, view))} { (view.name) } }
                                td data-label="State" { (phase(view.phase)) }
                                td data-label="Vnodes" { (berths(view)) span.muted { " " (view.running) " of " (live_count(view)) } }
                                td data-label="Image" { (view.image) }
                                td data-label="Owner" { (view.owner) }
                                td data-label="Created" { (instant(view.created_at)) }
                            }
                        }
                    }
                }
            }
            (part::pager(asked, &part, PATH))
        }
    }
}

/// A dock without vessels.
fn dock() -> Markup {
    html! { div.dock aria-hidden="true" { i {} i {} i {} i {} i {} } }
}

/// Own vclusters by name; others' by number, as names are each owner's own.
fn link(asker: &Asker, view: &VclusterView) -> String {
    if view.owner == asker.user.name.as_str() {
        view.name.clone()
    } else {
        view.id.to_string()
    }
}

/// To a page that knows the write.
pub(super) fn see(path: &str, index: LogIndex) -> Response {
    Redirect::to(&format!("{path}?after={index}")).into_response()
}

pub(crate) async fn show(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let state = &asker.frozen.state;
    let found = find_watched(state, &asker.user, &name);
    let Ok(found) = found else {
        // After its own deletion the list is what the person wants to see.
        return match asker.after {
            Some(index) => Ok(see("/vclusters", index)),
            None => Err(Refusal::not_found("vcluster", name.escape_debug()).into()),
        };
    };
    let view = vcluster::show(state, found);
    let body = if permit::owns(&asker.user, found.owner) {
        let happened = events::of_vcluster(&portal, &asker, (&view.owner, &view.name)).await?;
        detail(&portal, &asker, (&view, &asked), (&name, &happened))
    } else {
        from_outside((&view, &asked), &name)
    };
    let body = html! {
        p.crumbs { a href="/vclusters" { "Vclusters" } " / " (view.name) }
        (body)
    };
    let live = asked.at(&format!("/live/vclusters/{name}"));
    let joint = if live.contains('?') { '&' } else { '?' };
    let live = Some(format!("{live}{joint}after={}", asker.frozen.index));
    let page = Page {
        title: &view.name,
        asker: &asker,
        live,
        script: Some("chart.js"),
    };
    Ok(page.render(body).into_response())
}

pub(crate) fn show_fragments(
    portal: &Portal,
    asker: &Asker,
    name: &str,
    asked: &Asked,
) -> Vec<(String, Markup)> {
    let state = &asker.frozen.state;
    let Ok(found) = find_watched(state, &asker.user, name) else {
        return gone();
    };
    let view = vcluster::show(state, found);
    if !permit::owns(&asker.user, found.owner) {
        return vec![
            ("summary".to_owned(), summary(&view)),
            ("facts".to_owned(), facts(&view)),
            ("vnodes".to_owned(), vnodes(&view, asked, name, false)),
        ];
    }
    let snapshots = snapshot::fragments(asker, &view, name);
    let parts = [
        ("summary".to_owned(), summary(&view)),
        ("power".to_owned(), power(asker, &view, name)),
        ("facts".to_owned(), facts(&view)),
        ("limits".to_owned(), resize::section(asker, &view, name)),
        ("vnodes".to_owned(), vnodes(&view, asked, name, true)),
        (
            "services".to_owned(),
            service::table(portal, asker, &view, name),
        ),
        ("ports".to_owned(), port::table(asker, &view, name)),
    ];
    parts.into_iter().chain(snapshots).collect()
}

/// What an open page turns into when its vcluster goes. The style sheet hides what can no longer be done.
fn gone() -> Vec<(String, Markup)> {
    let notice = html! {
        div #facts { p.notice role="status" { "This vcluster is gone." } p { a href="/vclusters" { "All vclusters" } } }
    };
    let parts = [
        ("power".to_owned(), html! { div #power .gone {} }),
        ("facts".to_owned(), notice),
        ("limits".to_owned(), html! { div #limits {} }),
        ("vnodes".to_owned(), html! { div #vnodes {} }),
        ("services".to_owned(), html! { div #services {} }),
        ("ports".to_owned(), html! { div #ports {} }),
        ("usage".to_owned(), html! { section #usage {} }),
    ];
    parts.into_iter().chain(snapshot::gone()).collect()
}

fn detail(
    portal: &Portal,
    asker: &Asker,
    (view, asked): (&VclusterView, &Asked),
    (name, happened): (&str, &Markup),
) -> Markup {
    html! {
        div.head {
            (summary(view))
            div.actions {
                (power(asker, view, name))
                (scale_form(asker, view, name))
            }
        }
        (facts(view))
        (resize::section(asker, view, name))
        (vnodes(view, asked, name, true))
        (service::section(portal, asker, view, name))
        (port::section(asker, view, name))
        (snapshot::section(asker, view, name))
        (usage::section(view, name))
        (happened)
        section.foot {
            (by_command(&format!("docklet vc show {name}")))
            (delete_form(asker, view, name))
        }
    }
}

/// A form of one button.
fn act(asker: &Asker, name: &str, action: &str, label: &str) -> Markup {
    html! {
        form method="post" action={"/vclusters/" (name) "/" (action)} {
            (csrf(asker))
            button.button.secondary type="submit" { (label) }
        }
    }
}

fn delete_form(asker: &Asker, view: &VclusterView, name: &str) -> Markup {
    let state = &asker.frozen.state;
    let kept = trash::is_used(state) && !state.has_gpus(view.id);
    let back = if kept {
        let minutes = state.trash_policy().undo_minutes;
        format!("You can undo it for {minutes} minutes.")
    } else {
        "This cannot be undone.".to_owned()
    };
    let whose = match live_count(view) {
        1 => "its vnode".to_owned(),
        count => format!("its {count} vnodes"),
    };
    let sure = format!("Delete {} with all files of {whose}? {back}", view.name);
    html! {
        form method="post" action={"/vclusters/" (name) "/delete"} data-confirm=(sure) {
            (csrf(asker))
            button.button.danger type="submit" { "Delete" }
        }
    }
}

fn live_count(view: &VclusterView) -> usize {
    view.vnodes
        .iter()
        .filter(|vnode| vnode.phase != Phase::Removing)
        .count()
}

fn summary(view: &VclusterView) -> Markup {
    html! { h1 #summary { (view.name) " " (phase(view.phase)) } }
}

/// Starts or stops, whichever is not wanted already.
fn power(asker: &Asker, view: &VclusterView, name: &str) -> Markup {
    html! {
        div #power {
            @match view.wanted {
                VclusterWanted::Running => (act(asker, name, "stop", "Stop")),
                VclusterWanted::Stopped => (act(asker, name, "start", "Start")),
                VclusterWanted::Deleted => {}
            }
        }
    }
}

fn facts(view: &VclusterView) -> Markup {
    let size = view.size;
    html! {
        dl #facts .facts {
            div { dt { "Running" } dd { (berths(view)) " " (view.running) " of " (live_count(view)) } }
            div { dt { "Image" } dd { (view.image) } }
            div { dt { "Each vnode" } dd {
                (cores(size.cpu_milli.0.into())) ", " (mib(size.memory_mib.0.into())) ", "
                (count(size.pids_max.into())) " processes, " (mib(view.wishes.disk_mib.0)) " of disk" (gpus(&view.wishes.gpus)) ", " (resize::bandwidth(view))
            } }
            div { dt { "Owner" } dd { (view.owner) } }
            div { dt { "Created" } dd { (instant(view.created_at)) ", entry " (view.created_index) } }
        }
    }
}

/// After what else each vnode has.
fn gpus(wish: &GpuWish) -> String {
    let number = match wish.count {
        0 => return String::new(),
        1 => ", 1 GPU".to_owned(),
        many => format!(", {many} GPUs"),
    };
    match &wish.model {
        Some(model) => format!("{number} ({model})"),
        None => number,
    }
}

fn scale_form(asker: &Asker, view: &VclusterView, name: &str) -> Markup {
    html! {
        form.inline method="post" action={"/vclusters/" (name) "/scale"} {
            (csrf(asker))
            label for="scale" { "Vnodes" }
            input #scale name="vnodes" type="number" min="1" max="1000" value=(live_count(view)) required;
            button.button.secondary type="submit" { "Scale" }
        }
    }
}

/// For whoever looks after the machines: where it is, and nothing by which it could be changed or entered.
fn from_outside((view, asked): (&VclusterView, &Asked), name: &str) -> Markup {
    html! {
        div.head { (summary(view)) }
        (facts(view))
        (vnodes(view, asked, name, false))
        p.hint { "It is " (view.owner) "'s. You see where its vnodes are, and can have them moved." }
        section.foot { (by_command(&format!("docklet vc show {name}"))) }
    }
}

fn vnodes(view: &VclusterView, asked: &Asked, name: &str, enters: bool) -> Markup {
    let part = view.part_of_vnodes(&asked.for_page());
    let path = format!("/vclusters/{name}");
    html! {
        div #vnodes {
            (part::finder(asked, &part, &path, "vnodes"))
            table {
                thead { tr { th { "Vnode" } th { "State" } th { "Worker" } th { "Address" } th { "In use" } th { span.unseen { "Actions" } } } }
                tbody { @for vnode in &part.rows { (vnode_row(vnode, name, enters)) } }
            }
            (part::pager(asked, &part, &path))
        }
    }
}

fn vnode_row(vnode: &VnodeView, vcluster: &str, enters: bool) -> Markup {
    html! {
        tr id={"vnode-" (vnode.id)} data-vnode=(vnode.name) data-phase=(vnode.phase.word()) {
            td.main data-label="Vnode" {
                (vnode.name)
                @for gpu in &vnode.gpus { p.hint { (gpu.model.as_ref().unwrap_or(&gpu.uuid)) } }
            }
            td data-label="State" {
                (phase(vnode.phase))
                @if !vnode.reason.is_empty() { p.hint { (vnode.reason) } }
                @if let Some(anew) = &vnode.began_anew { p.hint { (anew) } }
                @if vnode.phase != Phase::Removing {
                    p.hint { a href={"/vclusters/" (vcluster) "/vnodes/" (vnode.name) "/explain"} aria-label={"Why " (vnode.name) " is " (vnode.phase.word())} { "Why?" } }
                }
            }
            td data-label="Worker" data-worker=(vnode.worker.as_deref().unwrap_or("")) { (vnode.worker.as_deref().unwrap_or("—")) }
            td data-label="Address" { code { (vnode.address) } }
            td data-label="In use" { (usage::now_of(vnode.id)) }
            td.act data-label="" {
                @if enters && matches!(vnode.phase, Phase::Running | Phase::Unknown) {
                    a.button.secondary.small href={"/terminal/" (vcluster) "/" (vnode.name)} aria-label={"Terminal on " (vnode.name)} { "Terminal" }
                    " "
                    a.button.secondary.small href={"/vclusters/" (vcluster) "/vnodes/" (vnode.name) "/files"} aria-label={"Files of " (vnode.name)} { "Files" }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Change {
    csrf: String,
    vnodes: Option<String>,
    #[serde(flatten)]
    size: resize::Fields,
}

pub(crate) async fn change(
    State(portal): State<Portal>,
    asker: Asker,
    Path((name, action)): Path<(String, String)>,
    Form(form): Form<Change>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let vcluster = find_vcluster(&asker.frozen.state, &asker.user, &name)?.id;
    let command = match action.as_str() {
        "start" => Command::StartVcluster { vcluster },
        "stop" => Command::StopVcluster { vcluster },
        "delete" if trash::is_used(&asker.frozen.state) => {
            Command::Trash(TrashCommand::Discard { vcluster })
        }
        "delete" => Command::DeleteVcluster { vcluster },
        "scale" => {
            let vnodes = form.vnodes.unwrap_or_default();
            let vnodes = vnodes.trim().parse();
            let vnodes = vnodes.map_err(|error| Problem::malformed("number of vnodes", error))?;
            Command::ScaleVcluster { vcluster, vnodes }
        }
        "resize" => form.size.command(vcluster)?,
        other => {
            return Err(Problem {
                status: StatusCode::NOT_FOUND,
                code: "not_found",
                detail: format!("A vcluster cannot be asked to {}.", other.escape_debug()),
            });
        }
    };
    let receipt = propose(&portal, &asker, command).await?;
    Ok(see(&format!("/vclusters/{name}"), receipt.index))
}
