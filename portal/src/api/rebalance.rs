//! Evening out how workers are loaded, for admins.

use axum::Json;
use axum::extract::{Query, State};
use docklet_control::model::{RebalancePolicy, Receipt};
use docklet_control::rebalance::command::{Extent, RebalanceCommand};
use docklet_control::view::rebalance::{self, PlanView, PolicyView};
use docklet_control::{Command, permit};

use super::Body;
use crate::asker::{Asker, now, propose};
use crate::past::aside;
use crate::problem::Problem;
use crate::serve::Portal;

/// What would be moved, of the state that this master has. Changes nothing.
pub(crate) async fn plan(
    asker: Asker,
    Query(extent): Query<Extent>,
) -> Result<Json<PlanView>, Problem> {
    let action = "look at how workers would be evened out";
    permit::operator(&asker.frozen.state, asker.actor(), action)?;
    let plan = move || rebalance::plan(&asker.frozen.state, &asker.user, now(), &extent);
    Ok(Json(aside(plan).await??))
}

pub(crate) async fn apply(
    State(portal): State<Portal>,
    asker: Asker,
    Body(extent): Body<Extent>,
) -> Result<Json<Receipt>, Problem> {
    let command = Command::Rebalance(RebalanceCommand::Apply { extent });
    Ok(Json(propose(&portal, &asker, command).await?))
}

pub(crate) async fn policy(asker: Asker) -> Result<Json<PolicyView>, Problem> {
    let action = "look at how workers are evened out";
    permit::operator(&asker.frozen.state, asker.actor(), action)?;
    let policy = move || rebalance::policy(&asker.frozen.state, &asker.user, now());
    Ok(Json(aside(policy).await?))
}

pub(crate) async fn set_policy(
    State(portal): State<Portal>,
    asker: Asker,
    Body(policy): Body<RebalancePolicy>,
) -> Result<Json<Receipt>, Problem> {
    let command = Command::Rebalance(RebalanceCommand::SetPolicy { policy });
    Ok(Json(propose(&portal, &asker, command).await?))
}
