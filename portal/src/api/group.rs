//! Groups of people: those that one is in; all of them, made and changed, by admins.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use docklet_control::group::command::GroupCommand;
use docklet_control::model::Receipt;
use docklet_control::view::{PeopleView, group};
use docklet_control::{Command, Refusal};
use serde::Deserialize;

use super::Body;
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn list(asker: Asker) -> Json<Vec<PeopleView>> {
    Json(group::list(&asker.frozen.state, &asker.user))
}

pub(crate) async fn show(
    asker: Asker,
    Path(name): Path<String>,
) -> Result<Json<PeopleView>, Problem> {
    let found = group::named(&asker.frozen.state, &asker.user, &name);
    Ok(Json(found.ok_or_else(|| {
        Refusal::not_found("group", name.escape_debug())
    })?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewGroup {
    name: String,
    #[serde(default)]
    description: String,
}

pub(crate) async fn create(
    State(portal): State<Portal>,
    asker: Asker,
    Body(body): Body<NewGroup>,
) -> Result<(StatusCode, Json<Receipt>), Problem> {
    let NewGroup { name, description } = body;
    let command = Command::Group(GroupCommand::Create { name, description });
    let receipt = propose(&portal, &asker, command).await?;
    Ok((StatusCode::CREATED, Json(receipt)))
}

/// Names of people who shall be in it, or shall not; who shall manage it, or not any more.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Change {
    Add(Vec<String>),
    Remove(Vec<String>),
    Manage(Vec<String>),
    Unmanage(Vec<String>),
}

pub(crate) async fn change(
    State(portal): State<Portal>,
    asker: Asker,
    Path(group): Path<String>,
    Body(change): Body<Change>,
) -> Result<Json<Receipt>, Problem> {
    let command = Command::Group(match change {
        Change::Add(users) => GroupCommand::Add { group, users },
        Change::Remove(users) => GroupCommand::Remove { group, users },
        Change::Manage(users) => GroupCommand::AddManagers { group, users },
        Change::Unmanage(users) => GroupCommand::RemoveManagers { group, users },
    });
    Ok(Json(propose(&portal, &asker, command).await?))
}

pub(crate) async fn delete(
    State(portal): State<Portal>,
    asker: Asker,
    Path(group): Path<String>,
) -> Result<Json<Receipt>, Problem> {
    let command = Command::Group(GroupCommand::Delete { group });
    Ok(Json(propose(&portal, &asker, command).await?))
}
