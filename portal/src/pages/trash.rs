//! What was deleted and can be had back: a part of the page of vclusters.

use axum::extract::{Form, Path, State};
use axum::response::Response;
use docklet_control::Command;
use docklet_control::id::VclusterId;
use docklet_control::trash::command::TrashCommand;
use docklet_control::view::trash::{self, TrashView};
use maud::{Markup, html};
use serde::Deserialize;

use super::vcluster::see;
use super::{check_csrf, csrf, instant};
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;

/// Nothing at all while nothing was deleted.
pub(super) fn section(asker: &Asker) -> Markup {
    let views = trash::list(&asker.frozen.state, &asker.user);
    html! {
        div #trash {
            @if !views.is_empty() {
                h2 { "Deleted" }
                p.hint { "With all files, until their time is over. They take nothing of your quota." }
                table {
                    thead { tr { th { "Name" } th { "Vnodes" } th { "Owner" } th { "Deleted" } th { "Gone for good" } th { span.unseen { "Actions" } } } }
                    tbody { @for view in &views { (row(asker, view)) } }
                }
            }
        }
    }
}

fn row(asker: &Asker, view: &TrashView) -> Markup {
    html! {
        tr data-trashed=(view.id) {
            td.main data-label="Name" { (view.name) }
            td data-label="Vnodes" { (view.vnodes) }
            td data-label="Owner" { (view.owner) }
            td data-label="Deleted" {
                span {
                    (instant(view.at))
                    @match &view.by {
                        Some(by) if *by != view.owner => { " by " (by) },
                        Some(_) => {},
                        None => { ", because nobody started it" },
                    }
                }
            }
            td data-label="Gone for good" { (instant(view.until)) }
            td.act data-label="" {
                div.buttons {
                    form method="post" action={"/trash/" (view.id) "/restore"} {
                        (csrf(asker))
                        button.button.secondary.small type="submit" aria-label={"Undo deleting " (view.name)} { "Undo" }
                    }
                    form method="post" action={"/trash/" (view.id) "/purge"} data-confirm={"Delete " (view.name) " for good, with all files? This cannot be undone."} {
                        (csrf(asker))
                        button.button.danger.small type="submit" aria-label={"Delete " (view.name) " for good"} { "Delete for good" }
                    }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    csrf: String,
}

pub(crate) async fn restore(
    State(portal): State<Portal>,
    asker: Asker,
    Path(vcluster): Path<VclusterId>,
    Form(form): Form<Asked>,
) -> Result<Response, Problem> {
    let name = None;
    let command = TrashCommand::Undelete { vcluster, name };
    change(&portal, &asker, &form, command).await
}

pub(crate) async fn purge(
    State(portal): State<Portal>,
    asker: Asker,
    Path(vcluster): Path<VclusterId>,
    Form(form): Form<Asked>,
) -> Result<Response, Problem> {
    change(&portal, &asker, &form, TrashCommand::Purge { vcluster }).await
}

async fn change(
    portal: &Portal,
    asker: &Asker,
    form: &Asked,
    command: TrashCommand,
) -> Result<Response, Problem> {
    check_csrf(asker, &form.csrf)?;
    let receipt = propose(portal, asker, Command::Trash(command)).await?;
    Ok(see("/vclusters", receipt.index))
}
