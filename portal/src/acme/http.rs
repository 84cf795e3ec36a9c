//! How the authority is reached: by HTTPS alone, to the server that was named, and never for long.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::RETRY_AFTER;
use axum::http::{Request, Response, StatusCode};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);
/// Nothing that an authority says is longer.
const BYTES_MAX: usize = 1 << 20;

/// A client, and how long the authority wants to be left alone.
#[derive(Clone)]
pub(super) struct Http {
    client: reqwest::Client,
    retry_after_s: Arc<AtomicU64>,
}

impl Http {
    /// Trusts these authorities and no others, or those that the machine trusts.
    pub(super) fn new(authorities: &str) -> Result<Self, reqwest::Error> {
        let mut builder = reqwest::Client::builder()
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_DEADLINE)
            .timeout(ANSWER_DEADLINE)
            .tls_built_in_root_certs(authorities.is_empty());
        if !authorities.is_empty() {
            for root in reqwest::Certificate::from_pem_bundle(authorities.as_bytes())? {
                builder = builder.add_root_certificate(root);
            }
        }
        Ok(Self {
            client: builder.build()?,
            retry_after_s: Arc::default(),
        })
    }

    pub(super) fn retry_after_ms(&self) -> u64 {
        let seconds = self.retry_after_s.load(Ordering::Relaxed);
        seconds.saturating_mul(1_000)
    }

    async fn ask(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(Body::new(body), BYTES_MAX).await;
        let body = body.map_err(|error| Error::Other(error.into()))?;
        let sent = self
            .client
            .request(parts.method, parts.uri.to_string())
            .headers(parts.headers)
            .body(body)
            .send()
            .await;
        let mut answer = sent.map_err(|error| Error::Other(told(&error).into()))?;
        self.note_patience(&answer);
        let mut bytes = Vec::new();
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|error| Error::Other(told(&error).into()))?
        {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > BYTES_MAX {
                return Err(Error::Other("the authority says too much".into()));
            }
        }
        let mut response = Response::new(());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        let (parts, ()) = response.into_parts();
        Ok(BytesResponse {
            parts,
            body: Box::new(Bytes::from(bytes)),
        })
    }

    fn note_patience(&self, answer: &reqwest::Response) {
        let wants = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        let header = answer.headers().get(RETRY_AFTER);
        let seconds = header.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        if wants.contains(&answer.status())
            && let Some(seconds) = seconds
        {
            self.retry_after_s.store(seconds, Ordering::Relaxed);
        }
    }
}

/// The error and its causes: reqwest's own says little.
fn told(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        Box::pin(self.clone().ask(request))
    }
}
