//! What went wrong, as problem+json for programs and as a page for people.

use axum::body::to_bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use docklet_control::{Refusal, RefusalClass};
use docklet_raft::{ProposeFault, RaftFault};

use crate::files;

/// An answer that is no success.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) detail: String,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.class() {
            RefusalClass::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            RefusalClass::Unauthenticated => StatusCode::UNAUTHORIZED,
            RefusalClass::Forbidden => StatusCode::FORBIDDEN,
            RefusalClass::NotFound => StatusCode::NOT_FOUND,
            RefusalClass::Conflict => StatusCode::CONFLICT,
        };
        Self {
            status,
            code: refusal.code(),
            detail: refusal.to_string(),
        }
    }
}

impl From<ProposeFault> for Problem {
    fn from(fault: ProposeFault) -> Self {
        match fault {
            ProposeFault::Refused(refusal) => refusal.into(),
            ProposeFault::Unknown(fault) => fault.into(),
        }
    }
}

impl From<RaftFault> for Problem {
    fn from(fault: RaftFault) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "no_quorum",
            detail: format!("{fault}: nothing is known to have changed; try again in a moment"),
        }
    }
}

impl Problem {
    /// A worker could not do what it was asked.
    pub(crate) fn worker(detail: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_GATEWAY,
            code: "worker",
            detail: detail.into(),
        }
    }

    pub(crate) const TOO_MANY_OPEN: &'static str = "too_many_open";
    pub(crate) const SERVICE_UNREADY: &'static str = "service_not_ready";

    /// A service does not answer, or not yet.
    pub(crate) fn service_unready(detail: impl Into<String>) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: Self::SERVICE_UNREADY,
            detail: detail.into(),
        }
    }

    /// This master sends as many backups as it can at once.
    pub(crate) fn backups_under_way() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "backups_under_way",
            detail: "this master is sending other backups: ask another master, or wait until they are done"
                .to_owned(),
        }
    }

    /// Too many attempts of this account and address are on their way already.
    pub(crate) fn too_many_logins() -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            code: "too_many_logins",
            detail: "too many logins from your address wait already: try again in a minute"
                .to_owned(),
        }
    }

    /// This master hashes as many passwords as it can.
    pub(crate) fn logins_under_way() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "logins_under_way",
            detail: "this master checks many passwords at the moment: try again in a few seconds"
                .to_owned(),
        }
    }

    /// The request itself is malformed.
    pub(crate) fn malformed(what: &str, cause: impl ToString) -> Self {
        Refusal::Malformed {
            what: what.to_owned(),
            cause: cause.to_string(),
        }
        .into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::json!({
            "type": format!("urn:docklet:problem:{}", self.code),
            "title": self.status.canonical_reason().unwrap_or("Problem"),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status, kind, body.to_string()).into_response();
        // Pages show it in their own way.
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives what the framework itself refused, as a wrong method or query, the form of every other problem.
pub(crate) async fn tell_all(response: Response) -> Response {
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    if !failed || response.extensions().get::<Problem>().is_some() || is_page(response.headers()) {
        return response;
    }
    let allow = response.headers().get(header::ALLOW).cloned();
    let methods = allow
        .as_ref()
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let text = to_bytes(response.into_body(), TEXT_BYTES_MAX).await;
    let text = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
    let mut told = of_framework(status, methods.as_deref(), &text).into_response();
    if let Some(allow) = allow {
        told.headers_mut().insert(header::ALLOW, allow);
    }
    told
}

/// The framework's own words are short.
const TEXT_BYTES_MAX: usize = 4 << 10;

/// Codes of problems that are no refusals, by status. The document has them, and the running server is held against it.
pub(crate) fn own_codes() -> impl Iterator<Item = (u16, &'static str)> {
    let own = [
        (400, "malformed"),
        (401, "pam_account_refused"),
        (403, "pam_account_refused"),
        (404, "not_yet"),
        (405, "method_not_allowed"),
        (408, "too_slow"),
        (409, "port_closed"),
        (409, "port_silent"),
        (409, "port_busy"),
        (410, "no_longer_kept"),
        (413, "too_long"),
        (426, "malformed"),
        (429, "too_many_logins"),
        (429, Problem::TOO_MANY_OPEN),
        (500, "fault"),
        (502, "worker"),
        (503, "no_quorum"),
        (503, "pam_failed"),
        (503, "looks_under_way"),
        (503, "files_under_way"),
        (503, "backups_under_way"),
        (503, "logins_under_way"),
    ];
    own.into_iter().chain(files::codes())
}

fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

fn of_framework(status: StatusCode, methods: Option<&str>, text: &str) -> Problem {
    let (code, detail) = match (status, methods) {
        (StatusCode::METHOD_NOT_ALLOWED, Some(methods)) => (
            "method_not_allowed",
            format!("this address does not take that method: use {methods}"),
        ),
        (StatusCode::METHOD_NOT_ALLOWED, None) => (
            "method_not_allowed",
            "this address takes WebSockets only: open one".to_owned(),
        ),
        (StatusCode::NOT_FOUND, _) => (
            "not_found",
            "there is nothing at this address: check it".to_owned(),
        ),
        _ if status.is_server_error() => (
            "fault",
            format!("the master failed to answer ({text}): try again, and tell an admin"),
        ),
        _ => (
            "malformed",
            format!("the request is not understood: {text}: mend it and send it again"),
        ),
    };
    Problem {
        status,
        code,
        detail,
    }
}
