//! Logging in and out; accounts.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use docklet_control::Command;
use docklet_control::id::LogIndex;
use docklet_control::model::{Receipt, Role, SessionKind};
use serde::{Deserialize, Serialize};

use super::Body;
use crate::asker::{self, Asker, propose};
use crate::password;
use crate::problem::Problem;
use crate::serve::Portal;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogIn {
    user: String,
    password: String,
}

#[derive(Serialize)]
pub(crate) struct LoggedIn {
    token: String,
    index: LogIndex,
    expires_in_s: u64,
}

pub(crate) async fn log_in(
    State(portal): State<Portal>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    Body(body): Body<LogIn>,
) -> Result<Json<LoggedIn>, Problem> {
    let (client, kind) = (client.ip(), SessionKind::Token);
    let opened = asker::log_in(&portal, client, &body.user, body.password, kind).await?;
    Ok(Json(LoggedIn {
        token: opened.secret,
        index: opened.index,
        expires_in_s: opened.ttl.as_secs(),
    }))
}

pub(crate) async fn log_out(
    State(portal): State<Portal>,
    asker: Asker,
) -> Result<Json<Receipt>, Problem> {
    let command = Command::CloseSession { id: asker.session };
    Ok(Json(propose(&portal, &asker, command).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    name: String,
    password: String,
    role: Role,
}

pub(crate) async fn create_user(
    State(portal): State<Portal>,
    asker: Asker,
    Body(body): Body<NewUser>,
) -> Result<Json<Receipt>, Problem> {
    let hash = tokio::task::spawn_blocking(move || password::hash(&body.password)).await;
    let password_hash = hash.map_err(|error| Problem::malformed("password", error))??;
    let command = Command::CreateUser {
        name: body.name,
        role: body.role,
        password_hash,
    };
    Ok(Json(propose(&portal, &asker, command).await?))
}
