//! Scripts and style sheet, bundled at build time and part of the program.

use std::sync::LazyLock;

use axum::extract::{Path, RawQuery};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// Built by `make assets` from portal/assets.
const FILES: [(&str, &str, &[u8]); 7] = [
    (
        "icon.svg",
        "image/svg+xml",
        include_bytes!("../assets/icon.svg"),
    ),
    (
        "wait.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../assets/wait.js"),
    ),
    (
        "style.css",
        "text/css; charset=utf-8",
        include_bytes!("../assets/dist/style.css"),
    ),
    (
        "live.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../assets/dist/live.js"),
    ),
    (
        "chart.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../assets/dist/chart.js"),
    ),
    (
        "files.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../assets/dist/files.js"),
    ),
    (
        "terminal.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../assets/dist/terminal.js"),
    ),
];

/// What tells the versions of each file apart.
static VERSIONS: LazyLock<[String; FILES.len()]> =
    LazyLock::new(|| FILES.map(|(_, _, bytes)| hex::encode(&Sha256::digest(bytes)[..8])));

/// The path of a file as it is now: a browser never asks for it twice.
pub(crate) fn at(name: &str) -> String {
    let mut versions = FILES.iter().zip(VERSIONS.iter());
    let found = versions.find(|((file, ..), _)| *file == name);
    let query = found.map(|(_, version)| format!("?v={version}"));
    format!("/assets/{name}{}", query.unwrap_or_default())
}

pub(crate) async fn serve(Path(name): Path<String>, RawQuery(query): RawQuery) -> Response {
    let version = query.as_deref().and_then(|query| query.strip_prefix("v="));
    file(&name, version)
}

/// A file, by its name and the version that was asked for, if one was; also where another origin shows a page of this cluster's.
pub(crate) fn file(name: &str, asked: Option<&str>) -> Response {
    let mut versions = FILES.iter().zip(VERSIONS.iter());
    match versions.find(|((file, ..), _)| *file == name) {
        Some(((_, kind, bytes), version)) => {
            // While a cluster is upgraded, masters differ: what is asked for by another version is not to be kept.
            let keep = if asked == Some(version.as_str()) {
                "public, max-age=31536000, immutable"
            } else {
                "no-cache"
            };
            let headers = [(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, keep)];
            (headers, *bytes).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
