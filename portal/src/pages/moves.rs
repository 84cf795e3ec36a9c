//! Moving a vnode, on the page that says where it could be.

use axum::extract::{Form, Path, State};
use axum::response::Redirect;
use docklet_control::Command;
use docklet_control::model::{MoveWay, Vnode, VnodeWanted};
use docklet_control::moves::command::MoveCommand;
use docklet_control::refusal::Refusal;
use docklet_control::view::Explanation;
use docklet_control::view::moves::{self, MoveView};
use maud::{Markup, html};
use serde::Deserialize;

use super::{by_command, check_csrf, csrf, instant};
use crate::asker::{Asker, propose};
use crate::meters::worker_named;
use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker::find_watched_vnode;

/// What is asked of a move.
#[derive(Deserialize)]
pub(crate) struct Asked {
    csrf: String,
    /// Name of a worker; the one that suits it best if empty.
    #[serde(default)]
    to: String,
    /// The best way if empty.
    #[serde(default)]
    way: String,
}

pub(crate) async fn change(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, hostname, action)): Path<(String, String, String)>,
    Form(form): Form<Asked>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let state = &asker.frozen.state;
    let vnode = find_watched_vnode(state, &asker.user, &vcluster, &hostname)?.id;
    let command = match action.as_str() {
        "move" => {
            let to = Some(form.to.as_str()).filter(|to| !to.is_empty());
            let to = to.map(|name| worker_named(state, name)).transpose()?;
            MoveCommand::Begin {
                vnode,
                to: to.map(|worker| worker.id),
                way: way(&form.way)?,
            }
        }
        "cancel-move" => MoveCommand::Cancel { vnode },
        other => return Err(Refusal::not_found("action", other.escape_debug()).into()),
    };
    let receipt = propose(&portal, &asker, Command::Move(command)).await?;
    let index = receipt.index;
    let page = format!("/vclusters/{vcluster}/vnodes/{hostname}/explain?after={index}");
    Ok(Redirect::to(&page))
}

fn way(text: &str) -> Result<Option<MoveWay>, Problem> {
    let ways = [MoveWay::Live, MoveWay::Refresh, MoveWay::Cold];
    let found = ways.into_iter().find(|way| way.word() == text);
    match found {
        None if !text.is_empty() => Err(Refusal::not_found("way", text.escape_debug()).into()),
        found => Ok(found),
    }
}

/// Its last move, and a form for the next.
pub(super) fn section(asker: &Asker, vnode: &Vnode, name: &str, places: &Explanation) -> Markup {
    let state = &asker.frozen.state;
    let last = state.moves.get(&vnode.id);
    let last = last.map(|moving| moves::show(state, moving));
    let hostname = vnode.hostname();
    let open = last.as_ref().is_some_and(|last| last.is_open);
    let movable = vnode.placement.is_some() && vnode.wanted != VnodeWanted::Removed;
    html! {
        section #move {
            h2 { "Move" }
            @if let Some(last) = &last { (told(last)) }
            @if open {
                form method="post" action={"/vclusters/" (name) "/vnodes/" (hostname) "/cancel-move"} {
                    (csrf(asker))
                    button.button.secondary type="submit" { "Keep it where it is" }
                }
            } @else if movable {
                (form(asker, name, &hostname, places))
            } @else {
                p.hint { "It has no worker yet, so there is nothing to move." }
            }
            (by_command(&format!("docklet vc move {name}/{hostname} --wait")))
        }
    }
}

fn told(last: &MoveView) -> Markup {
    let copying = last.is_open && last.stage == "copying";
    html! {
        p #last-move data-stage=(last.stage) { "It " (last.sentence()) "." }
        @if copying {
            progress max="1000" value=(last.done_permille()) aria-label="Copied of this round" {}
        }
        @if let Some(ahead) = last.ahead() {
            p.hint { (ahead) "." }
        }
        @if let Some(cause) = &last.not_live {
            p.hint { "Not while it ran: " (cause) "." }
        }
        p.hint { "Asked for by " (last.why) ", " (instant(last.times.asked_at)) }
    }
}

fn form(asker: &Asker, name: &str, hostname: &str, places: &Explanation) -> Markup {
    let others = || places.workers.iter().filter(|worker| !worker.here);
    let possible = others().filter(|worker| worker.lacks.is_empty());
    html! {
        form.fields method="post" action={"/vclusters/" (name) "/vnodes/" (hostname) "/move"} {
            (csrf(asker))
            div.field.long {
                label for="move-to" { "To" }
                select #move-to name="to" {
                    option value="" { "the worker that suits it best" }
                    @for worker in possible { option value=(worker.worker) { (worker.worker) } }
                }
            }
            div.field.long {
                label for="move-way" { "How" }
                select #move-way name="way" {
                    option value="" { "the best that is possible" }
                    option value="live" { "live: processes and connections go on" }
                    option value="refresh" { "refresh: copied while it runs, then a short stop" }
                    option value="cold" { "cold: stopped, copied, started" }
                }
            }
            button.button type="submit" { "Move" }
        }
    }
}
