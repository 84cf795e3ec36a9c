//! Requests to the cluster: tries its masters in turn, so that one that is gone is a pause and no error. A change
//! carries a request id of its own, so that trying again cannot do it twice.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use docklet_control::id::LogIndex;
use docklet_control::model::Receipt;
use futures_util::StreamExt;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::Context;
use crate::exit::{Class, Failure};

/// Reaching one master may take this long.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
/// An answer may take this long.
const ANSWER_DEADLINE: Duration = Duration::from_secs(15);
/// All masters together are tried for this long.
const GIVE_UP: Duration = Duration::from_secs(8);
/// Who waits for something looks this often, whether or not a change is told.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A logged-in client.
pub struct Connection {
    pub context: Context,
    client: Client,
    /// The newest entry that this client knows of: every master shows at least this.
    seen: AtomicU64,
    /// Which of the servers answered last: it is asked first.
    answered: AtomicUsize,
}

/// A client that trusts the context's authority.
pub fn http_client(ca_pem: Option<&str>) -> anyhow::Result<Client> {
    let mut builder = Client::builder()
        .connect_timeout(CONNECT_DEADLINE)
        .use_rustls_tls();
    if let Some(pem) = ca_pem {
        let certificate = reqwest::Certificate::from_pem(pem.as_bytes());
        builder =
            builder.add_root_certificate(certificate.context("read the authority's certificate")?);
    }
    builder.build().context("set up the HTTP client")
}

impl Connection {
    /// Opens the remembered login.
    pub fn open() -> anyhow::Result<Self> {
        Self::with(Context::load()?)
    }

    /// Opens a login.
    pub fn with(context: Context) -> anyhow::Result<Self> {
        Ok(Self {
            client: http_client(context.ca_pem.as_deref())?,
            context,
            seen: 0.into(),
            answered: 0.into(),
        })
    }

    /// Remembers an entry that later requests must see.
    pub fn saw(&self, index: LogIndex) {
        self.seen.fetch_max(index.0, Ordering::Relaxed);
    }

    /// Reads.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let response = self.send(Method::GET, path, |request| request).await?;
        response.json().await.context("read the answer")
    }

    /// Changes something; answers what the cluster says.
    pub async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let id = format!("{:032x}", rand::random::<u128>());
        let body = serde_json::to_value(body)?;
        let prepare = |request: RequestBuilder| {
            let request = request
                .header("docklet-request", &id)
                .timeout(ANSWER_DEADLINE);
            if body.is_null() {
                request
            } else {
                request.json(&body)
            }
        };
        let response = self.send(method, path, prepare).await?;
        response.json().await.context("read the answer")
    }

    /// Changes something that gives a receipt.
    pub async fn receipt(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<Receipt> {
        let receipt: Receipt = self.change(method, path, body).await?;
        self.saw(receipt.index);
        Ok(receipt)
    }

    /// Looks at once, and after each change that the event stream tells from this entry on, until there is an answer. When a
    /// master is gone another one goes on.
    ///
    /// # Errors
    /// Looking fails.
    pub async fn until<T>(
        &self,
        from: LogIndex,
        mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let events = format!("/events?from={from}");
        loop {
            let response = self.send(Method::GET, &events, |request| request).await?;
            let mut changes = response.bytes_stream();
            loop {
                if let Some(answer) = look().await? {
                    return Ok(answer);
                }
                let news = tokio::time::timeout(LOOK_EVERY, changes.next()).await;
                if !matches!(news, Ok(Some(Ok(_))) | Err(_)) {
                    break;
                }
            }
        }
    }

    /// A request to the first master that answers.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        prepare: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> anyhow::Result<Response> {
        let give_up = tokio::time::Instant::now() + GIVE_UP;
        loop {
            let mut last = None;
            for (place, server) in self.in_turn() {
                let request = self.request(server, method.clone(), path);
                match prepare(request).send().await {
                    Ok(response) if response.status() == StatusCode::SERVICE_UNAVAILABLE => {
                        last = Some(refusal(response).await);
                    }
                    Ok(response) if response.status().is_success() => {
                        self.answered.store(place, Ordering::Relaxed);
                        return Ok(response);
                    }
                    Ok(response) => return Err(refusal(response).await.into()),
                    Err(error) => last = Some(unreachable(server, &error)),
                }
            }
            if tokio::time::Instant::now() > give_up {
                let nobody = || Failure::new(Class::Invalid, "the context names no server");
                return Err(last.unwrap_or_else(nobody).into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// All servers with their places, beginning with the one that answered last.
    fn in_turn(&self) -> impl Iterator<Item = (usize, &String)> {
        let first = self.answered.load(Ordering::Relaxed);
        let (before, after) = self.context.servers.split_at(first);
        let after = (first..).zip(after);
        after.chain((0..).zip(before))
    }

    fn request(&self, server: &str, method: Method, path: &str) -> RequestBuilder {
        let seen = self.seen.load(Ordering::Relaxed);
        let request = self
            .client
            .request(method, format!("{server}/api/v1{path}"))
            .bearer_auth(&self.context.token);
        if seen > 0 {
            return request.header("docklet-index", seen);
        }
        request
    }
}

/// A server that gave no answer, and what to do about it.
pub fn unreachable(server: &str, error: &reqwest::Error) -> Failure {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let text = cause.to_string();
    // The TLS library gives the cause a type of its own, deep below what reqwest shows.
    let next = if text.contains("certificate") {
        "log in with --ca and the authority's ca.pem of the cluster that you mean"
    } else {
        "check that the masters run and can be reached"
    };
    Failure::new(
        Class::Unavailable,
        format!("{server} does not answer ({text}): {next}"),
    )
}

/// The problem that an answer tells.
pub async fn refusal(response: Response) -> Failure {
    refused(response).await.failure
}

/// A problem, and the code by which programs know it.
pub struct Refused {
    pub code: String,
    pub failure: Failure,
}

/// The same with its code.
pub async fn refused(response: Response) -> Refused {
    let status = response.status();
    let problem: Value = response.json().await.unwrap_or_default();
    let detail = problem["detail"].as_str().map(str::to_owned);
    Refused {
        code: problem["code"].as_str().unwrap_or_default().to_owned(),
        failure: Failure::new(
            class(status),
            detail.unwrap_or_else(|| format!("the master answers {status}")),
        ),
    }
}

/// The class of what an answer of this status tells.
pub fn class(status: StatusCode) -> Class {
    match status.as_u16() {
        401 | 403 => Class::Denied,
        404 | 410 => Class::NotFound,
        400 | 405..=408 | 411..=422 => Class::Invalid,
        409 | 429 => Class::Conflict,
        502..=504 => Class::Unavailable,
        _ => Class::Fault,
    }
}
