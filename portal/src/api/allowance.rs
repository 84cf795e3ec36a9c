//! How much people have and may have: of oneself, of whom one looks after, of groups, of everybody.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use docklet_control::Command;
use docklet_control::model::{Bound, QuotaChange, QuotaItem, Receipt};
use docklet_control::quota::command::QuotaCommand;
use docklet_control::view::{AllowanceView, GroupAllowanceView, allowance};

use super::Body;
use crate::asker::{Asker, propose};
use crate::part::{self, Asked, Rows};
use crate::past::aside;
use crate::problem::Problem;
use crate::serve::Portal;

/// Everybody whom the asker looks after, themselves included.
pub(crate) async fn list(
    asker: Asker,
    Query(asked): Query<Asked>,
) -> Result<Rows<AllowanceView>, Problem> {
    aside(move || {
        part::answer(&asked, "/api/v1/quotas", |wanted| {
            allowance::part(&asker.frozen.state, &asker.user, wanted)
        })
    })
    .await
}

pub(crate) async fn usual(asker: Asker) -> Json<BTreeMap<QuotaItem, Bound>> {
    Json(allowance::usual(&asker.frozen.state))
}

pub(crate) async fn of_user(
    asker: Asker,
    Path(user): Path<String>,
) -> Result<Json<AllowanceView>, Problem> {
    let shown = allowance::named(&asker.frozen.state, &asker.user, &user);
    Ok(Json(shown?))
}

pub(crate) async fn of_group(
    asker: Asker,
    Path(group): Path<String>,
) -> Result<Json<GroupAllowanceView>, Problem> {
    let shown = allowance::of_group(&asker.frozen.state, &asker.user, &group);
    Ok(Json(shown?))
}

pub(crate) async fn set_usual(
    State(portal): State<Portal>,
    asker: Asker,
    Body(change): Body<QuotaChange>,
) -> Result<Json<Receipt>, Problem> {
    set(&portal, &asker, QuotaCommand::SetUsual { change }).await
}

pub(crate) async fn set_of_user(
    State(portal): State<Portal>,
    asker: Asker,
    Path(user): Path<String>,
    Body(change): Body<QuotaChange>,
) -> Result<Json<Receipt>, Problem> {
    set(&portal, &asker, QuotaCommand::SetOfUser { user, change }).await
}

pub(crate) async fn set_of_group(
    State(portal): State<Portal>,
    asker: Asker,
    Path(group): Path<String>,
    Body(change): Body<QuotaChange>,
) -> Result<Json<Receipt>, Problem> {
    set(&portal, &asker, QuotaCommand::SetOfGroup { group, change }).await
}

pub(crate) async fn set_share(
    State(portal): State<Portal>,
    asker: Asker,
    Path((group, user)): Path<(String, String)>,
    Body(change): Body<QuotaChange>,
) -> Result<Json<Receipt>, Problem> {
    let command = QuotaCommand::SetShare {
        group,
        user,
        change,
    };
    set(&portal, &asker, command).await
}

async fn set(
    portal: &Portal,
    asker: &Asker,
    command: QuotaCommand,
) -> Result<Json<Receipt>, Problem> {
    let proposed = propose(portal, asker, Command::Quota(command));
    Ok(Json(proposed.await?))
}
