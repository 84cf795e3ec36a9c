//! Workers, and the tokens by which machines join; for admins.

use axum::Json;
use axum::extract::State;
use docklet_control::model::{DiskOvercommit, JoinRole, Receipt};
use docklet_control::view::WorkerView;
use docklet_control::{Command, permit, view};
use serde::{Deserialize, Serialize};

use super::Body;
use crate::asker::{Asker, propose};
use crate::masters::invitation;
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn workers(asker: Asker) -> Result<Json<Vec<WorkerView>>, Problem> {
    let state = &asker.frozen.state;
    permit::operator(state, asker.actor(), "list workers")?;
    Ok(Json(view::worker::list(state)))
}

pub(crate) async fn disk_overcommit(asker: Asker) -> Result<Json<DiskOvercommit>, Problem> {
    let state = &asker.frozen.state;
    permit::operator(state, asker.actor(), "see how much disk is promised")?;
    Ok(Json(state.overcommit_of_disks()))
}

pub(crate) async fn set_disk_overcommit(
    State(portal): State<Portal>,
    asker: Asker,
    Body(overcommit): Body<DiskOvercommit>,
) -> Result<Json<Receipt>, Problem> {
    let command = Command::SetDiskOvercommit { overcommit };
    Ok(Json(propose(&portal, &asker, command).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    role: JoinRole,
    #[serde(default = "one_hour")]
    ttl_s: u64,
    #[serde(default = "once")]
    uses: u32,
}

fn one_hour() -> u64 {
    3_600
}

fn once() -> u32 {
    1
}

#[derive(Serialize)]
pub(crate) struct Token {
    token: String,
}

/// The secret leaves in this answer and is stored nowhere.
pub(crate) async fn create_token(
    State(portal): State<Portal>,
    asker: Asker,
    Body(body): Body<NewToken>,
) -> Result<Json<Token>, Problem> {
    let (token, secret_hash) = invitation(&portal, &asker, body.role);
    let command = Command::CreateJoinToken {
        secret_hash,
        role: body.role,
        ttl_ms: body.ttl_s.saturating_mul(1_000),
        uses: body.uses,
    };
    propose(&portal, &asker, command).await?;
    Ok(Json(Token {
        token: token.to_string(),
    }))
}
