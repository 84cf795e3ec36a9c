//! Groups of people: those that one is in; all of them, made and changed, by admins.

use axum::Json;
use axum::extract::{Path, Query, State};
use docklet_control::group::command::GroupCommand;
use docklet_control::model::Receipt;
use docklet_control::trash::command::Thing;
use docklet_control::view::{PeopleView, group};
use docklet_control::{Command, Refusal, trash};
use serde::Deserialize;

use super::Body;
use super::vcluster::Deleted;
use crate::asker::{Asker, propose};
use crate::openapi::Created;
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

#[derive(Deserialize, schemars::JsonSchema)]
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
) -> Result<Created<Receipt>, Problem> {
    let NewGroup { name, description } = body;
    let command = Command::Group(GroupCommand::Create { name, description });
    let receipt = propose(&portal, &asker, command).await?;
    Ok(Created(receipt))
}

/// Names of people who shall be in it, or shall not; who shall manage it, or not any more.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
#[schemars(rename = "GroupChange")]
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
    Query(query): Query<Deleted>,
) -> Result<Json<Receipt>, Problem> {
    let thing = Thing::Group { group };
    let command = trash::deleting(&asker.frozen.state, thing, query.now);
    Ok(Json(propose(&portal, &asker, command).await?))
}
