//! Emptying workers, and filling them again.

use axum::Json;
use axum::extract::{Path, State};
use docklet_control::Command;
use docklet_control::drain::command::DrainCommand;
use docklet_control::model::Receipt;
use docklet_control::refusal::Refusal;
use docklet_control::view::drain::{self, DrainView};
use serde::Deserialize;

use super::Body;
use super::schedule::find_worker;
use crate::asker::{Asker, propose};
use crate::past::aside;
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn show(
    asker: Asker,
    Path(name): Path<String>,
) -> Result<Json<DrainView>, Problem> {
    let worker = find_worker(&asker, "look at drains", &name)?;
    let shown = aside(move || {
        let state = &asker.frozen.state;
        let drain = state.drains.get(&worker)?;
        Some(drain::show(state, &asker.user, drain))
    });
    let shown = shown.await?;
    Ok(Json(
        shown.ok_or_else(|| Refusal::not_found("drain", name))?,
    ))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDrain {
    /// Vnodes on their way at once, at most.
    #[serde(default = "two")]
    at_once: u32,
    #[serde(default)]
    deadline_ms: Option<u64>,
}

fn two() -> u32 {
    2
}

pub(crate) async fn begin(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Body(body): Body<NewDrain>,
) -> Result<Json<Receipt>, Problem> {
    let command = DrainCommand::Begin {
        worker: find_worker(&asker, "drain workers", &name)?,
        at_once: body.at_once,
        deadline_ms: body.deadline_ms,
    };
    Ok(Json(
        propose(&portal, &asker, Command::Drain(command)).await?,
    ))
}

pub(crate) async fn abort(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
) -> Result<Json<Receipt>, Problem> {
    let worker = find_worker(&asker, "drain workers", &name)?;
    let command = Command::Drain(DrainCommand::Abort { worker });
    Ok(Json(propose(&portal, &asker, command).await?))
}

pub(crate) async fn restore(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
) -> Result<Json<Receipt>, Problem> {
    let worker = find_worker(&asker, "restore workers", &name)?;
    let command = Command::Drain(DrainCommand::Restore { worker });
    Ok(Json(propose(&portal, &asker, command).await?))
}
