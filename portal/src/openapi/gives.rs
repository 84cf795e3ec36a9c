//! What handlers give: each type says what that is in the document.

use axum::Json;
use axum::http::StatusCode;
use axum::response::sse::Sse;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::Draft;
use crate::part::With;
use crate::problem::Problem;

pub(crate) trait Gives {
    fn gives(draft: &mut Draft);
}

/// Something is there that was not (201).
pub(crate) struct Created<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Json(self.0)).into_response()
    }
}

/// It is on its way (202).
pub(crate) struct Accepted<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, Json(self.0)).into_response()
    }
}

/// Somebody will look at it (202); there is nothing to say of it yet.
pub(crate) struct Heard;

impl IntoResponse for Heard {
    fn into_response(self) -> Response {
        StatusCode::ACCEPTED.into_response()
    }
}

impl Gives for Heard {
    fn gives(draft: &mut Draft) {
        draft.answers_nothing(202, "Somebody will look at it.");
    }
}

impl<T: JsonSchema> Gives for Json<T> {
    fn gives(draft: &mut Draft) {
        draft.answers_json::<T>(200, "Done.");
    }
}

impl<T: JsonSchema> Gives for Created<T> {
    fn gives(draft: &mut Draft) {
        draft.answers_json::<T>(201, "It is there now.");
    }
}

impl<T: JsonSchema> Gives for Accepted<T> {
    fn gives(draft: &mut Draft) {
        draft.answers_json::<T>(202, "It is on its way.");
    }
}

impl<B: JsonSchema> Gives for With<B> {
    fn gives(draft: &mut Draft) {
        draft.answers_json::<B>(200, "These rows.");
        let link = "`<…>; rel=\"next\"` where others follow (RFC 8288)";
        draft.tells(200, "link", link);
        draft.tells(200, "docklet-total", "How many rows there are in all parts");
    }
}

impl<S> Gives for Sse<S> {
    fn gives(draft: &mut Draft) {
        draft.answers(200, "text/event-stream", "A stream without end.");
        draft.may_fail(&[429]);
    }
}

/// What is in it is said beside the route.
impl Gives for Response {
    fn gives(_: &mut Draft) {}
}

impl<T: Gives> Gives for Result<T, Problem> {
    fn gives(draft: &mut Draft) {
        T::gives(draft);
    }
}
