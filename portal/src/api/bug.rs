//! What people found wrong.

use axum::Json;
use axum::extract::{Path, State};
use docklet_control::id::BugId;
use docklet_control::model::Receipt;
use docklet_control::notice::bug::BugCommand;
use docklet_control::notice::command::NoticeCommand;
use docklet_control::view::{BugView, notice};
use docklet_control::{Command, Refusal};
use serde::Deserialize;

use super::Body;
use crate::asker::{Asker, propose};
use crate::openapi::Created;
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn list(asker: Asker) -> Json<Vec<BugView>> {
    Json(notice::bugs(&asker.frozen.state, &asker.user))
}

pub(crate) async fn show(asker: Asker, Path(id): Path<BugId>) -> Result<Json<BugView>, Problem> {
    let found = notice::bug(&asker.frozen.state, &asker.user, id);
    Ok(Json(
        found.ok_or_else(|| Refusal::not_found("bug report", id))?,
    ))
}

async fn ask(portal: &Portal, asker: &Asker, command: BugCommand) -> Result<Receipt, Problem> {
    let command = Command::Notice(NoticeCommand::Bug(command));
    propose(portal, asker, command).await
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reported {
    text: String,
}

pub(crate) async fn report(
    State(portal): State<Portal>,
    asker: Asker,
    Body(Reported { text }): Body<Reported>,
) -> Result<Created<Receipt>, Problem> {
    let receipt = ask(&portal, &asker, BugCommand::Report { text }).await?;
    Ok(Created(receipt))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answered {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    close: bool,
}

pub(crate) async fn answer(
    State(portal): State<Portal>,
    asker: Asker,
    Path(bug): Path<BugId>,
    Body(Answered { text, close }): Body<Answered>,
) -> Result<Json<Receipt>, Problem> {
    let command = BugCommand::Answer { bug, text, close };
    Ok(Json(ask(&portal, &asker, command).await?))
}

pub(crate) async fn forget(
    State(portal): State<Portal>,
    asker: Asker,
    Path(bug): Path<BugId>,
) -> Result<Json<Receipt>, Problem> {
    Ok(Json(
        ask(&portal, &asker, BugCommand::Forget { bug }).await?,
    ))
}
