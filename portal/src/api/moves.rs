//! Moves of vnodes between workers.

use axum::Json;
use axum::extract::{Path, State};
use docklet_control::Command;
use docklet_control::model::{MoveWay, Receipt};
use docklet_control::moves::command::MoveCommand;
use docklet_control::refusal::Refusal;
use docklet_control::view::moves::{self, MoveOf, MoveView};
use serde::Deserialize;

use super::Body;
use crate::asker::{Asker, propose};
use crate::meters::worker_named;
use crate::openapi::Accepted;
use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker::find_watched_vnode;

/// The last move of each vnode that had one, those under way first.
pub(crate) async fn list(asker: Asker) -> Json<Vec<MoveOf>> {
    Json(moves::list(&asker.frozen.state, &asker.user))
}

pub(crate) async fn show(
    asker: Asker,
    Path((vcluster, hostname)): Path<(String, String)>,
) -> Result<Json<MoveView>, Problem> {
    let state = &asker.frozen.state;
    let vnode = find_watched_vnode(state, &asker.user, &vcluster, &hostname)?;
    let moving = state.moves.get(&vnode.id);
    let moving = moving.ok_or_else(|| Refusal::not_found("move", hostname.escape_debug()))?;
    Ok(Json(moves::show(state, moving)))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMove {
    /// Name of a worker; the one that suits the vnode best if absent.
    #[serde(default)]
    to: Option<String>,
    /// The best that is possible if absent.
    #[serde(default)]
    way: Option<MoveWay>,
}

pub(crate) async fn begin(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, hostname)): Path<(String, String)>,
    Body(body): Body<NewMove>,
) -> Result<Accepted<Receipt>, Problem> {
    let state = &asker.frozen.state;
    let vnode = find_watched_vnode(state, &asker.user, &vcluster, &hostname)?.id;
    let to = match &body.to {
        Some(name) => Some(worker_named(state, name)?.id),
        None => None,
    };
    let way = body.way;
    let command = Command::Move(MoveCommand::Begin { vnode, to, way });
    let receipt = propose(&portal, &asker, command).await?;
    Ok(Accepted(receipt))
}

pub(crate) async fn cancel(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, hostname)): Path<(String, String)>,
) -> Result<Json<Receipt>, Problem> {
    let state = &asker.frozen.state;
    let vnode = find_watched_vnode(state, &asker.user, &vcluster, &hostname)?.id;
    let command = Command::Move(MoveCommand::Cancel { vnode });
    Ok(Json(propose(&portal, &asker, command).await?))
}
