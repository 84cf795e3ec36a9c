//! Bringing images to a worker. What is brought passes through; no master stores it.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use docklet_control::id::Digest;
use docklet_control::image::command::{AddImage, ImageCommand};
use docklet_control::image::copies::SINCE;
use docklet_control::model::{ImageSpec, Receipt, Visibility, Worker, WorkerStatus};
use docklet_control::name::Name;
use docklet_control::{Command, Refusal, permit};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio_tungstenite::tungstenite::Message;

use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker::{self, WorkerSocket};

/// What is said of a blob, beside its bytes.
#[derive(Deserialize)]
pub(crate) struct Upload {
    digest: Digest,
    /// [`ImageSpec`] as JSON.
    spec: String,
    #[serde(flatten)]
    said: Said,
}

/// What is said of whatever is brought.
#[derive(Deserialize)]
pub(crate) struct Said {
    description: Option<String>,
    /// What people call this version.
    #[serde(default)]
    label: String,
    visibility: Option<Visibility>,
}

/// What is said of an upload of any kind.
#[derive(Deserialize)]
pub(crate) struct Import {
    /// Arguments of the first process as a JSON list; what the upload says itself if absent.
    init: Option<String>,
    #[serde(flatten)]
    said: Said,
}

/// Brings a blob to the worker with the largest disk that is up, then adds it.
pub(crate) async fn upload(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Query(upload): Query<Upload>,
    body: Body,
) -> Result<Json<Receipt>, Problem> {
    check(&asker, &name)?;
    let spec: ImageSpec = serde_json::from_str(&upload.spec)
        .map_err(|error| Problem::malformed("image spec", error))?;
    let worker = best_worker(&asker)?;
    let path = format!("/images/{}?put=1", upload.digest);
    let socket = worker::open(&portal, worker, &path).await?;
    let (blob_bytes, _) = send(socket, body).await?;
    let new = AddImage {
        digest: upload.digest,
        blob_bytes,
        spec,
        ..added(name, upload.said, worker)
    };
    let command = added_command(&asker, new);
    Ok(Json(propose(&portal, &asker, command).await?))
}

/// Brings an upload of any kind to a worker, which makes an image of it; then adds that.
pub(crate) async fn import(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Query(import): Query<Import>,
    body: Body,
) -> Result<Json<Receipt>, Problem> {
    check(&asker, &name)?;
    let init: Option<Vec<String>> = import
        .init
        .map(|init| serde_json::from_str(&init))
        .transpose()
        .map_err(|error| Problem::malformed("init", error))?;
    let worker = best_worker(&asker)?;
    let socket = worker::open(&portal, worker, "/images/import").await?;
    let (_, answer) = send(socket, body).await?;
    let lacks = || Problem::malformed("image", "the worker does not say what came of it");
    let new = AddImage {
        digest: answer.digest.ok_or_else(lacks)?,
        blob_bytes: answer.blob_bytes.ok_or_else(lacks)?,
        spec: spec_of(init, answer.spec)?,
        environment: answer.environment,
        directory: answer.directory,
        ..added(name, import.said, worker)
    };
    let command = added_command(&asker, new);
    Ok(Json(propose(&portal, &asker, command).await?))
}

/// How it is run: as was asked for, else as it says itself.
fn spec_of(init: Option<Vec<String>>, own: Option<ImageSpec>) -> Result<ImageSpec, Problem> {
    match (init, own) {
        (Some(init), own) => Ok(ImageSpec {
            init,
            ..own.unwrap_or_else(|| ImageSpec {
                stop_signal: "SIGTERM".to_owned(),
                ..ImageSpec::default()
            })
        }),
        (None, Some(own)) => Ok(own),
        (None, None) => Err(Problem::malformed(
            "image",
            "there is no /sbin/init in it, and nothing says what to start: give --init",
        )),
    }
}

/// Refuses before minutes of bringing what would be refused after.
fn check(asker: &Asker, name: &str) -> Result<(), Problem> {
    if asker.frozen.state.version() < SINCE {
        permit::admin(&asker.frozen.state, asker.actor(), "register images")?;
    }
    Name::parse("image", name)?;
    Ok(())
}

fn added(name: String, said: Said, worker: &Worker) -> AddImage {
    AddImage {
        name,
        digest: Digest([0; 32]),
        blob_bytes: 0,
        spec: ImageSpec::default(),
        environment: Vec::new(),
        directory: String::new(),
        description: said.description,
        label: said.label,
        visibility: said.visibility,
        held_by: worker.id,
    }
}

/// In a cluster of an earlier version images are registered, and are everybody's.
fn added_command(asker: &Asker, new: AddImage) -> Command {
    if asker.frozen.state.version() >= SINCE {
        return Command::Image(ImageCommand::Add(Box::new(new)));
    }
    Command::RegisterImage {
        name: new.name,
        digest: new.digest,
        blob_bytes: new.blob_bytes,
        spec: new.spec,
        description: new.description.unwrap_or_default(),
        held_by: new.held_by,
    }
}

fn best_worker(asker: &Asker) -> Result<&Worker, Refusal> {
    let workers = asker.frozen.state.workers.values();
    let up = workers.filter(|worker| worker.status == WorkerStatus::Up);
    let best = up.max_by_key(|worker| worker.facts.capacity.disk_mib);
    best.ok_or(Refusal::Exhausted {
        what: "connected worker".to_owned(),
        scope: "this cluster".to_owned(),
    })
}

/// Passes the body on; answers its length, and what the worker says once it has verified it.
async fn send(mut socket: WorkerSocket, body: Body) -> Result<(u64, Answer), Problem> {
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
            let answer: Answer = serde_json::from_str(&text).map_err(|error| lost(&error))?;
            return match answer.refused {
                None => Ok((bytes, answer)),
                Some(refused) => Err(Problem::malformed("image", refused.cause)),
            };
        }
    }
    Err(lost(&"the worker closed the connection"))
}

/// The worker's last word: it holds the image unless it refuses. The rest it says of an import.
#[derive(Deserialize)]
struct Answer {
    refused: Option<Refused>,
    digest: Option<Digest>,
    blob_bytes: Option<u64>,
    spec: Option<ImageSpec>,
    #[serde(default)]
    environment: Vec<String>,
    #[serde(default)]
    directory: String,
}

#[derive(Deserialize)]
struct Refused {
    cause: String,
}
