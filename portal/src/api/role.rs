//! What people may do beyond using their own things.

use axum::Json;
use axum::extract::{Path, State};
use docklet_control::Command;
use docklet_control::model::{Receipt, Role};
use serde::Deserialize;

use super::Body;
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRole {
    role: Role,
}

pub(crate) async fn set(
    State(portal): State<Portal>,
    asker: Asker,
    Path(user): Path<String>,
    Body(body): Body<NewRole>,
) -> Result<Json<Receipt>, Problem> {
    let role = body.role;
    let command = Command::SetRole { user, role };
    Ok(Json(propose(&portal, &asker, command).await?))
}
