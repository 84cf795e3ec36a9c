//! The document of the JSON interface (OpenAPI 3.1). It is made of the same table as the router: what a handler takes and gives
//! says its type, and the schemas of those are derived from what serde reads and writes. So nothing can be asked for that is not
//! in it.

mod assemble;
mod codes;
mod draft;
mod gives;
mod routes;
mod takes;

use std::sync::OnceLock;

use axum::body::Bytes;
use axum::http::header;
use axum::response::{IntoResponse, Response};

pub(crate) use draft::Draft;
pub(crate) use gives::{Accepted, Created, Gives, Heard};
pub(crate) use routes::{Operation, Routes};

/// The document as text.
#[must_use]
pub fn document() -> String {
    let document = assemble::assemble(crate::router::operations());
    let text = serde_json::to_string_pretty(&document).expect("plain data has a JSON form");
    text + "\n"
}

/// For everybody: it says what can be asked, and nothing of this cluster.
pub(crate) async fn show() -> Response {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    let text = TEXT.get_or_init(|| document().into()).clone();
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, text).into_response()
}

#[cfg(test)]
mod tests;
