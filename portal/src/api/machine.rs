//! Masters, workers and the tokens by which they join; for admins.

use axum::Json;
use axum::extract::State;
use docklet_control::id::SecretHash;
use docklet_control::model::{JoinRole, Master};
use docklet_control::view::WorkerView;
use docklet_control::{Command, permit, view};
use docklet_link::identity::PeerRole;
use docklet_link::{JoinSecret, authority};
use docklet_raft::RaftStatus;
use serde::{Deserialize, Serialize};

use super::Body;
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;

#[derive(Serialize)]
pub(crate) struct Masters {
    masters: Vec<Master>,
    raft: RaftStatus,
}

pub(crate) async fn masters(
    State(portal): State<Portal>,
    asker: Asker,
) -> Result<Json<Masters>, Problem> {
    let state = &asker.frozen.state;
    permit::admin(state, asker.actor(), "list masters")?;
    Ok(Json(Masters {
        masters: state.masters.values().cloned().collect(),
        raft: portal.master.status(),
    }))
}

pub(crate) async fn workers(asker: Asker) -> Result<Json<Vec<WorkerView>>, Problem> {
    let state = &asker.frozen.state;
    permit::admin(state, asker.actor(), "list workers")?;
    Ok(Json(view::worker::list(state)))
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
    let masters = asker.frozen.state.masters.values();
    let addrs = masters.map(|master| master.cluster_addr.clone()).collect();
    let role = match body.role {
        JoinRole::Master => PeerRole::Master,
        JoinRole::Agent => PeerRole::Agent,
    };
    let fingerprint = authority::fingerprint(&portal.credentials.ca);
    let token = JoinSecret::generate(role, addrs, fingerprint);
    let command = Command::CreateJoinToken {
        secret_hash: SecretHash(token.secret_hash()),
        role: body.role,
        ttl_ms: body.ttl_s.saturating_mul(1_000),
        uses: body.uses,
    };
    propose(&portal, &asker, command).await?;
    Ok(Json(Token {
        token: token.to_string(),
    }))
}
