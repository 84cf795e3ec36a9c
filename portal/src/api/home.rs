//! What people's homes may hold.

use axum::Json;
use axum::extract::{Path, Query, State};
use docklet_control::amount::DiskMib;
use docklet_control::limit::command::LimitCommand;
use docklet_control::model::{HomeUsual, Receipt};
use docklet_control::name::Name;
use docklet_control::view::{HomeView, home};
use docklet_control::{Command, Refusal, permit};
use serde::Deserialize;

use super::Body;
use crate::asker::{Asker, propose};
use crate::part::{self, Asked, Rows};
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn list(asker: Asker, Query(asked): Query<Asked>) -> Rows<HomeView> {
    part::answer(&asked, "/api/v1/homes", |wanted| {
        home::part(&asker.frozen.state, &asker.user, wanted)
    })
}

pub(crate) async fn set_usual(
    State(portal): State<Portal>,
    asker: Asker,
    Body(usual): Body<HomeUsual>,
) -> Result<Json<Receipt>, Problem> {
    let command = Command::Limit(LimitCommand::SetUsualHome { usual });
    Ok(Json(propose(&portal, &asker, command).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Home {
    disk_mib: DiskMib,
}

pub(crate) async fn set(
    State(portal): State<Portal>,
    asker: Asker,
    Path(user): Path<String>,
    Body(Home { disk_mib }): Body<Home>,
) -> Result<Json<Receipt>, Problem> {
    change(&portal, &asker, &user, Some(disk_mib)).await
}

/// Back to the usual.
pub(crate) async fn forget(
    State(portal): State<Portal>,
    asker: Asker,
    Path(user): Path<String>,
) -> Result<Json<Receipt>, Problem> {
    change(&portal, &asker, &user, None).await
}

async fn change(
    portal: &Portal,
    asker: &Asker,
    user: &str,
    disk_mib: Option<DiskMib>,
) -> Result<Json<Receipt>, Problem> {
    let state = &asker.frozen.state;
    permit::admin(state, asker.actor(), "change what a home holds")?;
    let missing = || Refusal::not_found("user", user.escape_debug());
    let name = Name::parse("user", user).map_err(|_| missing())?;
    let user = state.user_named(&name).ok_or_else(missing)?.id;
    let command = Command::Limit(LimitCommand::SetHome { user, disk_mib });
    Ok(Json(propose(portal, asker, command).await?))
}
