//! Bringing images to a worker. What is brought passes through; no master stores it.

use std::fmt::Display;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use docklet_control::decide::decide;
use docklet_control::id::{Digest, LogIndex, UnixMs};
use docklet_control::image::command::{AddImage, ImageCommand};
use docklet_control::image::copies::SINCE;
use docklet_control::image::quota;
use docklet_control::model::{ImageSpec, Receipt, Visibility, Worker, WorkerStatus};
use docklet_control::name::Name;
use docklet_control::{Command, Entry, Refusal};
use futures_util::{SinkExt, Stream, StreamExt};
use serde::Deserialize;
use tokio_tungstenite::tungstenite::Message;

use crate::asker::{Asker, OWN_WRITE_DEADLINE, propose};
use crate::bounds::Lasting;
use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker::{self, WorkerSocket};

/// Somebody who sends nothing for so long has gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What is said of a blob, beside its bytes.
#[derive(Deserialize, schemars::JsonSchema)]
pub(crate) struct Upload {
    digest: Digest,
    /// How many there are, if who brings it knows.
    bytes: Option<u64>,
    /// [`ImageSpec`] as JSON.
    spec: String,
    /// Variables of the first process as a JSON list; none if absent.
    environment: Option<String>,
    #[serde(flatten)]
    said: Said,
}

/// What is said of whatever is brought.
#[derive(Deserialize, schemars::JsonSchema)]
pub(crate) struct Said {
    description: Option<String>,
    /// What people call this version.
    #[serde(default)]
    label: String,
    visibility: Option<Visibility>,
}

/// What is said of an upload of any kind.
#[derive(Deserialize, schemars::JsonSchema)]
pub(crate) struct Import {
    /// Arguments of the first process as a JSON list; what the upload says itself if absent.
    init: Option<String>,
    #[serde(flatten)]
    said: Said,
}

impl Import {
    /// Of which nothing but that is said.
    pub(crate) fn described(description: Option<String>) -> Self {
        let said = Said {
            description,
            label: String::new(),
            visibility: None,
        };
        Self { init: None, said }
    }
}

/// Brings a blob to the worker with the largest disk that is up, then adds it.
pub(crate) async fn upload(
    State(portal): State<Portal>,
    mut asker: Asker,
    Path(name): Path<String>,
    Query(upload): Query<Upload>,
    body: Body,
) -> Result<Json<Receipt>, Problem> {
    let _lease = asker.hold(&portal, Lasting::Transfer)?;
    asker.frozen = portal.master.read(OWN_WRITE_DEADLINE).await?;
    let spec: ImageSpec = serde_json::from_str(&upload.spec)
        .map_err(|error| Problem::malformed("image spec", error))?;
    let environment = upload.environment.as_deref().map(serde_json::from_str);
    let environment: Option<Vec<String>> = environment
        .transpose()
        .map_err(|error| Problem::malformed("environment", error))?;
    let worker = best_worker(&asker)?;
    let new = AddImage {
        digest: upload.digest,
        spec,
        environment: environment.unwrap_or_default(),
        ..added(name, upload.said, worker)
    };
    check(&asker, &new, upload.bytes)?;
    let room = room(&asker, &new);
    let path = format!("/images/{}?put=1", upload.digest);
    let socket = worker::open(&portal, worker, &path).await?;
    let (blob_bytes, answer) = send(socket, body.into_data_stream(), |bytes| {
        within(&asker, room, bytes)
    })
    .await?;
    let new = AddImage { blob_bytes, ..new };
    let added = add(&portal, &asker, worker, new, answer.arrival).await;
    Ok(Json(added?))
}

/// Adds what was brought. What is refused does not stay with the worker either.
async fn add(
    portal: &Portal,
    asker: &Asker,
    worker: &Worker,
    new: AddImage,
    arrival: Option<u64>,
) -> Result<Receipt, Problem> {
    let digest = new.digest;
    let added = propose(portal, asker, added_command(asker, new)).await;
    // Of what may have come to pass in spite of it nothing is taken away.
    if matches!(&added, Err(problem) if problem.status != StatusCode::SERVICE_UNAVAILABLE) {
        let_go(portal, worker, digest, arrival).await;
    }
    added
}

/// What was brought is not wanted after all. It goes some minutes later where this does not arrive.
async fn let_go(portal: &Portal, worker: &Worker, digest: Digest, arrival: Option<u64>) {
    if let Some(arrival) = arrival {
        let path = format!("/images/{digest}?unwanted={arrival}");
        drop(worker::open(portal, worker, &path).await);
    }
}

/// Refuses what does not fit into the room that there is.
fn within(asker: &Asker, room: Option<u64>, bytes: u64) -> Result<(), Problem> {
    match room {
        Some(room) if bytes > room => {
            Err(quota::refusal(&asker.frozen.state, &asker.user, bytes).into())
        }
        Some(_) | None => Ok(()),
    }
}

/// How many bytes the image may have; none if as many as it likes. Nothing is refused by it that would be taken in the
/// end: what the asker has already takes no more room.
fn room(asker: &Asker, new: &AddImage) -> Option<u64> {
    let state = &asker.frozen.state;
    let name = Name::parse("image", &new.name).ok()?;
    let room = (state.version() >= SINCE).then(|| quota::room(state, &asker.user, &name));
    let own = state.image_titles.values();
    let own = own.filter(|title| title.owner == asker.user.id);
    let versions = own.flat_map(|title| &title.versions);
    let had = versions.filter_map(|version| state.images.get(&version.digest));
    let had = had.map(|image| image.blob_bytes).max();
    Some(room.flatten()?.max(had.unwrap_or_default()))
}

/// Brings an upload of any kind to a worker, which makes an image of it; then adds that.
pub(crate) async fn import(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Query(import): Query<Import>,
    body: Body,
) -> Result<Json<Receipt>, Problem> {
    let stream = body.into_data_stream();
    let added = bring(portal, asker, name, import, stream).await;
    Ok(Json(added?))
}

/// The same of whatever comes piece by piece.
pub(crate) async fn bring<E: Display>(
    portal: Portal,
    mut asker: Asker,
    name: String,
    import: Import,
    pieces: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> Result<Receipt, Problem> {
    let _lease = asker.hold(&portal, Lasting::Transfer)?;
    asker.frozen = portal.master.read(OWN_WRITE_DEADLINE).await?;
    let init: Option<Vec<String>> = import
        .init
        .map(|init| serde_json::from_str(&init))
        .transpose()
        .map_err(|error| Problem::malformed("init", error))?;
    let worker = best_worker(&asker)?;
    let new = added(name, import.said, worker);
    check(&asker, &new, None)?;
    let room = room(&asker, &new);
    let path = match room {
        Some(room) => format!("/images/import?blob_bytes_max={room}"),
        None => "/images/import".to_owned(),
    };
    let socket = worker::open(&portal, worker, &path).await?;
    // What comes may be larger than what is packed of it: the worker says when that is too large.
    let (_, answer) = send(socket, pieces, |_| Ok(())).await?;
    if let Some(bytes) = answer.too_large {
        within(&asker, room, bytes)?;
    }
    let lacks = || Problem::malformed("image", "the worker does not say what came of it");
    let digest = answer.digest.ok_or_else(lacks)?;
    let spec = spec_of(init, answer.spec);
    if spec.is_err() {
        let_go(&portal, worker, digest, answer.arrival).await;
    }
    let new = AddImage {
        digest,
        blob_bytes: answer.blob_bytes.ok_or_else(lacks)?,
        spec: spec?,
        environment: answer.environment,
        directory: answer.directory,
        ..new
    };
    add(&portal, &asker, worker, new, answer.arrival).await
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
fn check(asker: &Asker, new: &AddImage, bytes: Option<u64>) -> Result<(), Problem> {
    let state = &asker.frozen.state;
    let known = state.images.get(&new.digest).map(|image| image.blob_bytes);
    let new = AddImage {
        blob_bytes: known.or(bytes).unwrap_or(1),
        ..new.clone()
    };
    let entry = Entry {
        version: state.version().0,
        request: asker.request(),
        at: UnixMs(0),
        actor: asker.actor(),
        command: added_command(asker, new),
    };
    decide(state, LogIndex(asker.frozen.index.0 + 1), &entry)?;
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

/// Passes the pieces on for as long as its length is `fine`; answers that, and what the worker says once it has verified
/// it.
async fn send<E: Display>(
    mut socket: WorkerSocket,
    mut pieces: impl Stream<Item = Result<Bytes, E>> + Unpin,
    fine: impl Fn(u64) -> Result<(), Problem>,
) -> Result<(u64, Answer), Problem> {
    let lost = |error: &dyn Display| Problem::worker(format!("the image did not arrive: {error}"));
    let mut bytes = 0;
    while let Some(chunk) = next_of(&mut pieces, SILENCE_MAX).await? {
        let chunk = chunk.map_err(|error| Problem::malformed("upload", error))?;
        bytes += chunk.len() as u64;
        fine(bytes)?;
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
                Some(refused) if answer.too_large.is_none() => {
                    Err(Problem::malformed("image", refused.cause))
                }
                Some(_) | None => Ok((bytes, answer)),
            };
        }
    }
    Err(lost(&"the worker closed the connection"))
}

/// What comes next of what somebody brings; whoever brings nothing for too long has gone.
async fn next_of<S: Stream + Unpin>(
    stream: &mut S,
    silence_max: Duration,
) -> Result<Option<S::Item>, Problem> {
    let next = tokio::time::timeout(silence_max, stream.next()).await;
    next.map_err(|_| Problem {
        status: StatusCode::REQUEST_TIMEOUT,
        code: "too_slow",
        detail: format!(
            "nothing of the image came for {} s: bring it again",
            silence_max.as_secs()
        ),
    })
}

/// The worker's last word: it holds the image unless it refuses. The rest it says of an import.
#[derive(Deserialize)]
struct Answer {
    refused: Option<Refused>,
    /// It was refused since it has more bytes than it may: so many by then.
    too_large: Option<u64>,
    /// By which the worker knows what it was brought, if it is not wanted after all.
    arrival: Option<u64>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_brings_nothing_more_is_not_waited_for() {
        let (silence_max, long) = (Duration::from_millis(50), Duration::from_secs(20));
        let mut chunks = futures_util::stream::iter([1]).chain(futures_util::stream::pending());
        let first = next_of(&mut chunks, long).await;
        assert_eq!(first.expect("in time"), Some(1));
        let waited = tokio::time::timeout(long, next_of(&mut chunks, silence_max)).await;
        let problem = waited.expect("an end").expect_err("nothing came");
        assert_eq!(problem.status, StatusCode::REQUEST_TIMEOUT);
    }
}
