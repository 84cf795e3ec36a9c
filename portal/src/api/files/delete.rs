//! Deleting. A directory may have a million files in it: whoever asks for lines hears how far it is, and by going away ends it.

use std::convert::Infallible;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use docklet_control::file_path::FilePath;
use docklet_control::file_wire::{FileAsk, FileSaid};
use docklet_control::id::LogIndex;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::noted::entry_header;
use super::{Done, done, text};
use crate::asker::Asker;
use crate::files::{Reached, Touch};
use crate::problem::Problem;
use crate::serve::Portal;

/// One JSON value a line.
const LINES: &str = "application/x-ndjson";

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deleted {
    path: String,
    /// With all in it, if it is a directory that is not empty.
    #[serde(default)]
    all: bool,
}

/// How far it is; the last line says what came of it.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// So many are gone, and it goes on.
    Gone(u64),
    /// So many were there, and all are gone.
    Files(u64),
    /// It ended early. What is gone is gone.
    Problem { code: &'static str, detail: String },
}

impl From<Result<FileSaid, Problem>> for Line {
    fn from(said: Result<FileSaid, Problem>) -> Self {
        let ended = match said {
            Ok(FileSaid::Progress { count }) => return Self::Gone(count),
            Ok(last) => done(last),
            Err(problem) => Err(problem),
        };
        match ended {
            Ok(Done { files }) => Self::Files(files),
            Err(Problem { code, detail, .. }) => Self::Problem { code, detail },
        }
    }
}

pub(crate) async fn delete(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode)): Path<(String, String)>,
    Query(Deleted { path, all }): Query<Deleted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let path = FilePath::parse(&path)?;
    let reached = Reached::new(&portal, &asker, &vcluster, &vnode).await?;
    if text(&headers, &header::ACCEPT) != Some(LINES) {
        let done = delete_at(&reached, path, all).await?;
        return Ok(Json(done).into_response());
    }
    let entry = note(&reached, &path, all).await?;
    let said = reached.follow(&FileAsk::Delete { path, all }).await?;
    let mut said = Box::pin(said);
    let first = match said.next().await {
        Some(Err(problem)) => return Err(problem),
        first => stream::iter(first),
    };
    let lines = first.chain(said).map(|said| {
        let line = serde_json::to_string(&Line::from(said)).unwrap_or_default();
        Ok::<_, Infallible>(Bytes::from(line + "\n"))
    });
    let kind = HeaderValue::from_static(LINES);
    let mut response = ([(header::CONTENT_TYPE, kind)], Body::from_stream(lines)).into_response();
    let told = entry.map(entry_header);
    response.headers_mut().extend(told);
    Ok(response)
}

async fn note(reached: &Reached, path: &FilePath, all: bool) -> Result<Option<LogIndex>, Problem> {
    let batch = all.then_some(path);
    reached.tell(Touch::Delete(path.clone()), batch).await
}

async fn delete_at(reached: &Reached, path: FilePath, all: bool) -> Result<Done, Problem> {
    note(reached, &path, all).await?;
    done(reached.act(&FileAsk::Delete { path, all }).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_how_far_it_is_and_what_came_of_it() {
        let line = |said| serde_json::to_string(&Line::from(said)).expect("JSON");
        assert_eq!(
            line(Ok(FileSaid::Progress { count: 1_000 })),
            r#"{"gone":1000}"#
        );
        assert_eq!(
            line(Ok(FileSaid::Done { count: 1_001 })),
            r#"{"files":1001}"#
        );
        let broke = line(Err(Problem::worker("it is gone")));
        assert!(broke.starts_with(r#"{"problem":{"code":"#), "{broke}");
        let other = line(Ok(FileSaid::End));
        assert!(other.starts_with(r#"{"problem":"#), "{other}");
    }
}
