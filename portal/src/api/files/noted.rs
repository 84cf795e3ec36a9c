//! What is told beside an answer: the entry of the log that says so, and how a page shows what came of it.

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use docklet_control::id::LogIndex;
use schemars::JsonSchema;
use serde::Serialize;

use crate::openapi::{Draft, Gives};

const ENTRY: HeaderName = HeaderName::from_static("docklet-entry");
const STAGE: HeaderName = HeaderName::from_static("docklet-stage");

/// An answer with that.
pub(crate) struct Noted<T> {
    said: T,
    beside: HeaderMap,
}

impl<T> Noted<T> {
    pub(crate) fn with_entry(said: T, entry: Option<LogIndex>) -> Self {
        let beside = entry.map(entry_header).into_iter().collect();
        Self { said, beside }
    }

    pub(crate) fn with_stage(said: T, sealed: &str) -> Self {
        let stage = HeaderValue::from_str(sealed).ok();
        let beside = stage.map(|stage| (STAGE, stage)).into_iter().collect();
        Self { said, beside }
    }
}

pub(super) fn entry_header(entry: LogIndex) -> (HeaderName, HeaderValue) {
    (ENTRY, HeaderValue::from(entry.0))
}

impl<T: Serialize> IntoResponse for Noted<T> {
    fn into_response(self) -> Response {
        (self.beside, Json(self.said)).into_response()
    }
}

impl<T: JsonSchema> Gives for Noted<T> {
    fn gives(draft: &mut Draft) {
        draft.answers_json::<T>(200, "Done.");
        draft.tells(
            200,
            "docklet-entry",
            "The entry of the log that says that it was begun",
        );
        draft.tells(
            200,
            "docklet-stage",
            "`told` of a page that tells what came of it",
        );
    }
}
