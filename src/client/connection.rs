//! Requests to the cluster: tries its masters in turn, so that one that is gone is a pause and no error. A change
//! carries a request id of its own, so that trying again cannot do it twice.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use docklet_control::id::LogIndex;
use docklet_control::model::Receipt;
use reqwest::header::LINK;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::{self, Context};
use super::operation;
use super::seen::Seen;
use super::stream::{Gap, Stream};
use crate::exit::{Class, Failure};

/// Reaching one master may take this long.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
/// An answer may take this long.
const ANSWER_DEADLINE: Duration = Duration::from_secs(15);
/// All masters together are tried for this long.
const GIVE_UP: Duration = Duration::from_secs(8);
/// Who waits for something looks this often, whether or not a change is told.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Nothing is reached at once: the first look is when so long no step towards it was told, and by then in any case.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const FIRST_LOOK_MAX: Duration = Duration::from_millis(100);

/// A logged-in client.
pub struct Connection {
    pub context: Context,
    client: Client,
    /// The newest entry that this client knows of: every master shows at least this.
    seen: AtomicU64,
    /// Where it is kept for the next command; a login that is not remembered keeps nothing.
    kept: Option<Seen>,
    /// Which of the servers answered last: it is asked first.
    answered: AtomicUsize,
}

/// A client that trusts the context's authority. It goes where it was told and nowhere else: no master sends anybody on, and
/// what was meant for one would come to whom a server names.
pub fn http_client(ca_pem: Option<&str>) -> anyhow::Result<Client> {
    let mut builder = Client::builder()
        .redirect(Policy::none())
        .connect_timeout(CONNECT_DEADLINE)
        .use_rustls_tls()
        .tls_built_in_root_certs(ca_pem.is_none());
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
        let mut connection = Self::with(Context::load()?)?;
        let kept = Seen::beside(&context::path()?);
        connection.saw(kept.load());
        connection.kept = Some(kept);
        Ok(connection)
    }

    /// Opens a login.
    pub fn with(context: Context) -> anyhow::Result<Self> {
        Ok(Self {
            client: http_client(context.ca_pem.as_deref())?,
            context,
            seen: 0.into(),
            kept: None,
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

    /// Reads a list to its end.
    pub async fn list<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Vec<T>> {
        let parts: Vec<Vec<T>> = self.parts(path).await?;
        Ok(parts.into_iter().flatten().collect())
    }

    /// Reads all answers that there is a part of a list in.
    pub async fn parts<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Vec<T>> {
        let (mut parts, mut next) = (Vec::new(), Some(path.to_owned()));
        while let Some(path) = next {
            let response = self.send(Method::GET, &path, |request| request).await?;
            next = next_part(&response, &path);
            parts.push(response.json().await.context("read the answer")?);
        }
        Ok(parts)
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

    /// Looks, first in a moment and then after each change that the event stream tells after this entry, which was seen, until there
    /// is an answer. When a master is gone another one goes on.
    ///
    /// # Errors
    /// Looking fails, or the stream has ended for good.
    pub async fn until<T>(
        &self,
        seen: LogIndex,
        mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let mut changes = Stream::from(self, seen.0 + 1, Gap::Skip);
        let begun = Instant::now();
        while begun.elapsed() < FIRST_LOOK_MAX
            && let Ok(told) = tokio::time::timeout(FIRST_LOOK, changes.news()).await
        {
            told?;
        }
        loop {
            let looks = Instant::now();
            if let Some(answer) = look().await? {
                return Ok(answer);
            }
            let took = looks.elapsed();
            if let Ok(told) = tokio::time::timeout(LOOK_EVERY, changes.news()).await {
                told?;
            }
            // Whoever is told a lot does not look all the time.
            tokio::time::sleep_until((looks + 2 * took).into()).await;
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
        let address = operation::address(&method, path);
        let request = self
            .client
            .request(method, format!("{server}{address}"))
            .bearer_auth(&self.context.token);
        if seen > 0 {
            return request.header("docklet-index", seen);
        }
        request
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let seen = LogIndex(self.seen.load(Ordering::Relaxed));
        if let Some(kept) = &self.kept {
            kept.store(seen);
        }
    }
}

/// Where the next part of a list is, if this was not the last: never at another server, and never in another list.
fn next_part(response: &Response, asked: &str) -> Option<String> {
    let link = response.headers().get(LINK)?.to_str().ok()?;
    let (at, relation) = link.strip_prefix('<')?.split_once('>')?;
    let path = at.strip_prefix("/api/v1")?;
    let list = |path: &str| path.split('?').next().map(str::to_owned);
    let is_next = relation == "; rel=\"next\"" && list(path) == list(asked);
    is_next.then(|| path.to_owned())
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
        409 | 412 | 429 | 507 => Class::Conflict,
        400 | 405..=408 | 411..=422 => Class::Invalid,
        502..=504 => Class::Unavailable,
        _ => Class::Fault,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request with this.
    async fn answering(answer: String) -> (String, tokio::task::JoinHandle<Option<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address");
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.ok()?;
            let mut bytes = vec![0; 4_096];
            let read = stream.read(&mut bytes).await.ok()?;
            stream.write_all(answer.as_bytes()).await.ok()?;
            Some(String::from_utf8_lossy(&bytes[..read]).into_owned())
        });
        (format!("http://{address}"), asked)
    }

    #[tokio::test]
    async fn nobody_is_followed_to_another_server() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let fine = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_owned();
        let (elsewhere, other) = answering(fine).await;
        let sent_on = format!(
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: {elsewhere}/api/v1/login\r\ncontent-length: 0\r\n\r\n"
        );
        let (server, asked) = answering(sent_on).await;
        let client = http_client(None).expect("a client");
        let request = client.post(format!("{server}/api/v1/login")).body("secret");
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
        let asked = asked.await.expect("it ended");
        assert!(asked.is_some_and(|text| text.starts_with("POST /api/v1/login")));
        other.abort();
        assert!(other.await.is_err(), "the other one is asked");
    }
}
