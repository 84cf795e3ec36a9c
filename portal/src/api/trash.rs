//! What was deleted and can be had back.

use axum::Json;
use axum::extract::{Path, State};
use docklet_control::id::VclusterId;
use docklet_control::model::Receipt;
use docklet_control::trash::command::TrashCommand;
use docklet_control::view::trash::{self, TrashView};
use docklet_control::{Command, Refusal};
use serde::Deserialize;

use super::Body;
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn list(asker: Asker) -> Json<Vec<TrashView>> {
    Json(trash::list(&asker.frozen.state, &asker.user))
}

/// What is meant: by number, or by name, the one of that name that was deleted last.
///
/// # Errors
/// There is none for the asker.
pub(crate) fn find(asker: &Asker, text: &str) -> Result<VclusterId, Refusal> {
    let views = trash::list(&asker.frozen.state, &asker.user);
    let own = |view: &&TrashView| view.owner == asker.user.name.as_str() && view.name == text;
    let number = text.parse().ok();
    let by_number = views.iter().find(|view| Some(view.id) == number);
    let found = by_number.or_else(|| views.iter().find(own));
    let found = found.map(|view| view.id);
    found.ok_or_else(|| Refusal::not_found("deleted vcluster", text.escape_debug()))
}

#[derive(Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Restored {
    /// Another name than it had.
    pub(super) name: Option<String>,
}

pub(crate) async fn restore(
    State(portal): State<Portal>,
    asker: Asker,
    Path(text): Path<String>,
    Body(body): Body<Restored>,
) -> Result<Json<Receipt>, Problem> {
    let (vcluster, name) = (find(&asker, &text)?, body.name);
    let command = Command::Trash(TrashCommand::Undelete { vcluster, name });
    Ok(Json(propose(&portal, &asker, command).await?))
}

pub(crate) async fn purge(
    State(portal): State<Portal>,
    asker: Asker,
    Path(text): Path<String>,
) -> Result<Json<Receipt>, Problem> {
    let vcluster = find(&asker, &text)?;
    let command = Command::Trash(TrashCommand::Purge { vcluster });
    Ok(Json(propose(&portal, &asker, command).await?))
}
