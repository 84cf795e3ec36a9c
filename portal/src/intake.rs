//! What comes in, before any handler sees it: the host in one place, bodies whole and bounded.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};

use crate::problem::Problem;

/// Longest body of a form or a JSON request. Images come by a route of their own.
const BODY_BYTES_MAX: usize = 1 << 20;
/// A body that takes longer is given up.
const BODY_DEADLINE: Duration = Duration::from_secs(15);

/// HTTP/2 carries the host in the address, HTTP/1 in a header: from here on it is in the header.
pub(crate) async fn name_host(mut request: Request) -> Request {
    let host = request
        .uri()
        .authority()
        .map(|authority| HeaderValue::from_str(authority.as_str()));
    if let Some(Ok(host)) = host {
        request.headers_mut().insert(header::HOST, host);
    }
    request
}

/// Takes in the whole body, also of what will be refused: HTTP/2 cuts a request whose body nobody reads, and some
/// clients then never see the answer.
pub(crate) async fn whole_body(request: Request) -> Result<Request, Problem> {
    // Over HTTP/2 a WebSocket is a CONNECT whose body is the socket.
    if request.method().is_safe() || request.method() == Method::CONNECT {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let whole = tokio::time::timeout(BODY_DEADLINE, to_bytes(body, BODY_BYTES_MAX)).await;
    let unfit = |status, code, detail: String| Problem {
        status,
        code,
        detail,
    };
    match whole {
        Ok(Ok(bytes)) => Ok(Request::from_parts(parts, Body::from(bytes))),
        Ok(Err(_)) => Err(unfit(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_long",
            format!(
                "the request's body is longer than {BODY_BYTES_MAX} bytes, or broke off: send less"
            ),
        )),
        Err(_) => Err(unfit(
            StatusCode::REQUEST_TIMEOUT,
            "too_slow",
            format!(
                "the request's body took longer than {} s: send it again",
                BODY_DEADLINE.as_secs()
            ),
        )),
    }
}
