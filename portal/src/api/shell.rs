//! Shells of a person that go on in a vnode, whether anybody looks at them or not. Their worker knows them.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio_tungstenite::tungstenite::Message;

use crate::asker::Asker;
use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker;

/// What a vnode is refused with that does not run.
const ASLEEP: &str = "vnode_not_running";
/// A worker that has not told them by then is not waited for.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// One shell.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Shell {
    /// By which it is opened again: 32 hexadecimal digits.
    session: String,
    /// How long ago it began.
    age_ms: u64,
    /// For how long nobody has looked; none while somebody does.
    alone_ms: Option<u64>,
}

/// What a worker says.
#[derive(Deserialize)]
struct Told {
    terminals: Vec<Shell>,
}

/// The one that was left last comes first; those that somebody looks at come last.
pub(crate) async fn list(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode)): Path<(String, String)>,
) -> Result<Json<Vec<Shell>>, Problem> {
    let found = match worker::locate(&portal, &asker, &vcluster, &vnode).await {
        Ok(found) => found,
        // Where a vnode does not run, no shell of it goes on.
        Err(problem) if problem.code == ASLEEP => return Ok(Json(Vec::new())),
        Err(problem) => return Err(problem),
    };
    let (vnode, epoch, person) = (found.vnode, found.epoch, asker.user.id);
    let path = format!("/terminals?vnode={vnode}&epoch={epoch}&person={person}");
    let told = async {
        let mut socket = worker::open(&portal, &found.worker, &path).await?;
        let Some(Ok(Message::Text(text))) = socket.next().await else {
            return Err(silent());
        };
        let told: Told = serde_json::from_str(&text).map_err(|_| silent())?;
        Ok(Json(told.terminals))
    };
    let told = tokio::time::timeout(ANSWER_DEADLINE, told).await;
    told.unwrap_or_else(|_| Err(silent()))
}

fn silent() -> Problem {
    Problem::worker("the worker does not say which terminals it has: they go on; try again")
}
