//! What else than vclusters was deleted and can be had back: a part of the pages of images, groups, templates, people and of
//! each vcluster, whose snapshots they are.

use axum::extract::{Form, Path, State};
use axum::response::Response;
use docklet_control::id::{LogIndex, VclusterId};
use docklet_control::model::kept::KeptKind;
use docklet_control::trash::command::{Thing, TrashCommand};
use docklet_control::view::kept::{self, KeptView};
use docklet_control::{Command, Refusal, trash};
use maud::{Markup, html};
use serde::Deserialize;

use super::vcluster::see;
use super::{check_csrf, csrf, instant};
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;

/// Nothing at all while nothing of these kinds was deleted.
pub(super) fn section(asker: &Asker, kinds: &[KeptKind], of: Option<VclusterId>) -> Markup {
    let mut views = kept::list(&asker.frozen.state, &asker.user);
    views.retain(|view| kinds.contains(&view.kind) && (of.is_none() || view.vcluster == of));
    html! {
        div #kept {
            @if !views.is_empty() {
                h2 { "Deleted" }
                p.hint { "As they were, until their time is over. They take nothing of your quota." }
                table {
                    thead { tr { th { "Name" } th { "What" } th { "Deleted" } th { "Gone for good" } th { span.unseen { "Actions" } } } }
                    tbody { @for view in &views { (row(asker, view)) } }
                }
            }
        }
    }
}

fn row(asker: &Asker, view: &KeptView) -> Markup {
    let path = format!("/deleted/{}", view.number);
    // People know a notice by what it says.
    let (name, what) = match view.kind {
        KeptKind::Notice => (&view.about, &view.name),
        KeptKind::Image
        | KeptKind::ImageVersion
        | KeptKind::Snapshot
        | KeptKind::Group
        | KeptKind::Template
        | KeptKind::Account => (&view.name, &view.about),
    };
    html! {
        tr data-kept=(view.number) data-kind=(view.kind.word()) {
            td.main data-label="Name" { (name) }
            td data-label="What" {
                span {
                    @if view.kind == KeptKind::ImageVersion { "Version " }
                    (what)
                    @if view.owner != asker.user.name.as_str() { ", of " (view.owner) }
                }
            }
            td data-label="Deleted" {
                span {
                    (instant(view.at))
                    @if view.by != asker.user.name.as_str() { " by " (view.by) }
                }
            }
            td data-label="Gone for good" { (instant(view.until)) }
            td.act data-label="" {
                div.buttons {
                    form method="post" action={(path) "/restore"} {
                        (csrf(asker))
                        button.button.secondary.small type="submit" aria-label={"Undo deleting " (name)} { "Undo" }
                    }
                    form method="post" action={(path) "/purge"} data-confirm={"Delete " (name) " for good? This cannot be undone."} {
                        (csrf(asker))
                        button.button.danger.small type="submit" aria-label={"Delete " (name) " for good"} { "Delete for good" }
                    }
                }
            }
        }
    }
}

/// What a form says of whether deleting can be undone.
pub(super) fn way_back(asker: &Asker) -> String {
    let state = &asker.frozen.state;
    if !trash::is_used(state) {
        return "This cannot be undone.".to_owned();
    }
    let minutes = state.trash_policy().undo_minutes;
    format!("You can undo it for {minutes} minutes.")
}

/// Deletes it, so that it can be had back if there is a time for that.
pub(super) async fn delete(
    portal: &Portal,
    asker: &Asker,
    thing: Thing,
    page: &str,
) -> Result<Response, Problem> {
    let command = trash::deleting(&asker.frozen.state, thing, false);
    let receipt = propose(portal, asker, command).await?;
    Ok(see(page, receipt.index))
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    csrf: String,
}

pub(crate) async fn restore(
    State(portal): State<Portal>,
    asker: Asker,
    Path(number): Path<LogIndex>,
    Form(form): Form<Asked>,
) -> Result<Response, Problem> {
    change(&portal, &asker, &form, number, |kind| {
        let name = None;
        TrashCommand::Recover { kind, number, name }
    })
    .await
}

pub(crate) async fn purge(
    State(portal): State<Portal>,
    asker: Asker,
    Path(number): Path<LogIndex>,
    Form(form): Form<Asked>,
) -> Result<Response, Problem> {
    change(&portal, &asker, &form, number, |kind| TrashCommand::Drop {
        kind,
        number,
    })
    .await
}

async fn change(
    portal: &Portal,
    asker: &Asker,
    form: &Asked,
    number: LogIndex,
    command: impl FnOnce(KeptKind) -> TrashCommand,
) -> Result<Response, Problem> {
    check_csrf(asker, &form.csrf)?;
    let views = kept::list(&asker.frozen.state, &asker.user);
    let view = views.into_iter().find(|view| view.number == number);
    let view = view.ok_or_else(|| Refusal::not_found("deleted thing", number))?;
    let receipt = propose(portal, asker, Command::Trash(command(view.kind))).await?;
    let page = match (view.kind, view.vcluster) {
        (KeptKind::Image | KeptKind::ImageVersion, _) => "/images".to_owned(),
        (KeptKind::Group, _) => "/groups".to_owned(),
        (KeptKind::Template, _) => "/templates".to_owned(),
        (KeptKind::Account, _) => "/people".to_owned(),
        (KeptKind::Notice, _) => "/notices".to_owned(),
        (KeptKind::Snapshot, Some(vcluster)) => format!("/vclusters/{vcluster}"),
        (KeptKind::Snapshot, None) => "/vclusters".to_owned(),
    };
    Ok(see(&page, receipt.index))
}
