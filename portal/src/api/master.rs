//! Masters, for admins.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use docklet_control::id::{MasterId, UnixMs};
use docklet_control::model::{Autopilot, JoinRole, Master, Receipt};
use docklet_control::view::{GroupView, master};
use docklet_control::{Command, permit};
use docklet_raft::RaftStatus;
use serde::{Deserialize, Serialize};

use super::Body;
use crate::asker::{Asker, propose};
use crate::masters::{self, invitation};
use crate::problem::Problem;
use crate::serve::Portal;

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Masters {
    masters: Vec<Master>,
    raft: RaftStatus,
    group: GroupView,
}

pub(crate) async fn list(
    State(portal): State<Portal>,
    asker: Asker,
) -> Result<Json<Masters>, Problem> {
    let state = &asker.frozen.state;
    permit::operator(state, asker.actor(), "list masters")?;
    Ok(Json(Masters {
        masters: state.masters.values().cloned().collect(),
        raft: portal.master.status(),
        group: master::group(state, &portal.master.observe().await),
    }))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Removal {
    #[serde(default)]
    force: bool,
}

pub(crate) async fn remove(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    removal: Result<Query<Removal>, QueryRejection>,
) -> Result<Json<Receipt>, Problem> {
    let unread = |rejection: QueryRejection| Problem::malformed("query", rejection.body_text());
    let Query(Removal { force }) = removal.map_err(unread)?;
    Ok(Json(masters::remove(&portal, &asker, &name, force).await?))
}

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Led {
    /// Name of whoever leads now.
    leader: Option<String>,
}

pub(crate) async fn transfer(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
) -> Result<Json<Led>, Problem> {
    masters::transfer(&portal, &asker, &name).await?;
    Ok(led(&portal))
}

pub(crate) async fn drain(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
) -> Result<Json<Led>, Problem> {
    masters::drain(&portal, &asker, &name).await?;
    Ok(led(&portal))
}

fn led(portal: &Portal) -> Json<Led> {
    let leader: Option<MasterId> = portal.master.brief_status().leader;
    let state = portal.master.local().state;
    let leader = leader.and_then(|id| state.masters.get(&id));
    Json(Led {
        leader: leader.map(|master| master.name.to_string()),
    })
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WantedReplacement")]
pub(crate) struct Wanted {
    ttl_s: u64,
}

/// The secret leaves in this answer and is stored nowhere.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Invitation {
    token: String,
    expires_at: UnixMs,
    receipt: Receipt,
}

pub(crate) async fn replace(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Body(Wanted { ttl_s }): Body<Wanted>,
) -> Result<Json<Invitation>, Problem> {
    permit::admin(&asker.frozen.state, asker.actor(), "replace masters")?;
    let (token, secret_hash) = invitation(&portal, &asker, JoinRole::Master);
    let ttl_ms = ttl_s.saturating_mul(1_000);
    let command = Command::ReplaceMaster {
        master: masters::meant(&asker.frozen.state, &name)?,
        secret_hash,
        ttl_ms,
    };
    let receipt = propose(&portal, &asker, command).await?;
    Ok(Json(Invitation {
        token: token.to_string(),
        expires_at: receipt.at.plus_ms(ttl_ms),
        receipt,
    }))
}

pub(crate) async fn set_autopilot(
    State(portal): State<Portal>,
    asker: Asker,
    Body(autopilot): Body<Autopilot>,
) -> Result<Json<Receipt>, Problem> {
    let command = Command::SetAutopilot { autopilot };
    Ok(Json(propose(&portal, &asker, command).await?))
}
