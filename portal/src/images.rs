//! Images: listing, and bringing a new one to a worker. The blob passes through; no master stores it.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use docklet_control::id::Digest;
use docklet_control::model::{ImageSpec, Receipt, Worker, WorkerStatus};
use docklet_control::view::ImageView;
use docklet_control::{Command, Refusal, permit, view};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio_tungstenite::tungstenite::Message;

use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker::{self, WorkerSocket};

/// What is said of an upload, beside its bytes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upload {
    digest: Digest,
    /// [`ImageSpec`] as JSON.
    spec: String,
    #[serde(default)]
    description: String,
}

pub(crate) async fn list(asker: Asker) -> Json<Vec<ImageView>> {
    Json(view::image::list(&asker.frozen.state))
}

/// Brings a blob to the worker with the largest disk that is up, then registers it.
pub(crate) async fn upload(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Query(upload): Query<Upload>,
    body: Body,
) -> Result<Json<Receipt>, Problem> {
    let state = &asker.frozen.state;
    permit::admin(state, asker.actor(), "register images")?;
    docklet_control::name::Name::parse("image", &name)?;
    let spec: ImageSpec = serde_json::from_str(&upload.spec)
        .map_err(|error| Problem::malformed("image spec", error))?;
    let worker = best_worker(state).ok_or(Refusal::Exhausted {
        what: "connected worker".to_owned(),
        scope: "this cluster".to_owned(),
    })?;
    let path = format!("/images/{}?put=1", upload.digest);
    let socket = worker::open(&portal, worker, &path).await?;
    let blob_bytes = send(socket, body).await?;
    let command = Command::RegisterImage {
        name,
        digest: upload.digest,
        blob_bytes,
        spec,
        description: upload.description,
        held_by: worker.id,
    };
    Ok(Json(propose(&portal, &asker, command).await?))
}

fn best_worker(state: &docklet_control::State) -> Option<&Worker> {
    let up = state
        .workers
        .values()
        .filter(|worker| worker.status == WorkerStatus::Up);
    up.max_by_key(|worker| worker.facts.capacity.disk_mib)
}

/// Passes the body on; answers its length once the worker has verified it.
async fn send(mut socket: WorkerSocket, body: Body) -> Result<u64, Problem> {
    let lost = |error: &dyn std::fmt::Display| {
        Problem::worker(format!("the image did not arrive: {error}"))
    };
    let mut stream = body.into_data_stream();
    let mut bytes = 0;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| Problem::malformed("upload", error))?;
        bytes += chunk.len() as u64;
        socket
            .send(Message::Binary(chunk))
            .await
            .map_err(|error| lost(&error))?;
    }
    let end = serde_json::json!({"bytes": bytes}).to_string();
    socket
        .send(Message::text(end))
        .await
        .map_err(|error| lost(&error))?;
    while let Some(message) = socket.next().await {
        if let Message::Text(text) = message.map_err(|error| lost(&error))? {
            return match serde_json::from_str(&text).map_err(|error| lost(&error))? {
                Answer { refused: None } => Ok(bytes),
                Answer {
                    refused: Some(refused),
                } => Err(Problem::malformed("image", refused.cause)),
            };
        }
    }
    Err(lost(&"the worker closed the connection"))
}

/// The worker's last word: it holds the image unless it refuses.
#[derive(Deserialize)]
struct Answer {
    refused: Option<Refused>,
}

#[derive(Deserialize)]
struct Refused {
    cause: String,
}
