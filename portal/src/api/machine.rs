//! Workers, and the tokens by which machines join, for the first time or again; for admins.

use axum::Json;
use axum::extract::{Path, Query, State};
use docklet_control::certificate::command::CertificateCommand;
use docklet_control::model::{DiskOvercommit, JoinRole, Receipt};
use docklet_control::view::WorkerView;
use docklet_control::{Command, permit, view};
use serde::{Deserialize, Serialize};

use super::Body;
use super::schedule::find_worker;
use crate::asker::{Asker, propose};
use crate::masters::invitation;
use crate::part::{self, Asked, Rows};
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn workers(
    asker: Asker,
    Query(asked): Query<Asked>,
) -> Result<Rows<WorkerView>, Problem> {
    let state = &asker.frozen.state;
    permit::operator(state, asker.actor(), "list workers")?;
    Ok(part::answer(&asked, "/api/v1/workers", |wanted| {
        view::worker::part(state, wanted)
    }))
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

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewJoinToken")]
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

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Token {
    token: String,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Readmission {
    #[serde(default = "one_hour")]
    ttl_s: u64,
    #[serde(default)]
    revoke: bool,
}

/// A token by which a worker joins again under its name.
pub(crate) async fn readmit(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Body(body): Body<Readmission>,
) -> Result<Json<Token>, Problem> {
    let worker = find_worker(&asker, "readmit workers", &name)?;
    let (token, secret_hash) = invitation(&portal, &asker, JoinRole::Agent);
    let command = CertificateCommand::Readmit {
        worker,
        secret_hash,
        ttl_ms: body.ttl_s.saturating_mul(1_000),
        revoke: body.revoke,
    };
    propose(&portal, &asker, Command::Certificate(command)).await?;
    Ok(Json(Token {
        token: token.to_string(),
    }))
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
