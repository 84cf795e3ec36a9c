//! Bringing a file to a vnode: a small one at once, any other one in parts, each of which may break off and is gone on with
//! through whichever master answers.

use std::io::Read;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use docklet_control::file_path::FilePath;
use docklet_control::file_wire::FileFacts;
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::json;

use super::copy::Progress;
use super::remote::{Remote, encoded};
use crate::client::connection::Connection;
use crate::exit::{Class, Failure};

/// Bytes of one part, which are kept until they are there.
const PART_BYTES: usize = 16 << 20;
/// One part takes no longer, or is tried again.
const PART_DEADLINE: Duration = Duration::from_secs(120);
/// Who gets no part through for so long gives up.
const GIVE_UP: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(300);

/// Where a file is brought, and of which directory all is brought with it.
pub struct To<'t> {
    pub connection: &'t Connection,
    pub at: &'t Remote,
    pub path: &'t FilePath,
    pub batch: Option<&'t FilePath>,
}

#[derive(Deserialize)]
struct Upload {
    upload: String,
    bytes: u64,
}

impl To<'_> {
    fn prepare(&self, request: RequestBuilder) -> RequestBuilder {
        match self.batch {
            Some(batch) => request.header("docklet-batch", encoded(batch.as_str())),
            None => request,
        }
    }

    fn address(&self, below: &str) -> String {
        self.at.address(below, &[("path", self.path.as_str())])
    }
}

/// Brings all that is read; replaces what file is there.
pub async fn send(
    to: &To<'_>,
    mut from: impl Read + Send,
    progress: &mut Progress,
) -> anyhow::Result<FileFacts> {
    let first = part(&mut from)?;
    if first.len() < PART_BYTES {
        return send_small(to, first, progress).await;
    }
    let begun = begin(to).await?;
    let sent = send_parts(to, &begun, first, from, progress).await;
    let lost = |error: &anyhow::Error| class(error) == Some(Class::Unavailable);
    if sent.as_ref().is_err_and(|error| !lost(error)) {
        // It is gone after a day otherwise.
        let address = to.address(&format!("/uploads/{begun}"));
        let forget = to
            .connection
            .send(Method::DELETE, &address, |request| request);
        drop(forget.await);
    }
    sent
}

async fn send_parts(
    to: &To<'_>,
    upload: &str,
    first: Vec<u8>,
    mut from: impl Read + Send,
    progress: &mut Progress,
) -> anyhow::Result<FileFacts> {
    let (mut part_bytes, mut offset) = (first, 0);
    while !part_bytes.is_empty() {
        append(to, upload, offset, &part_bytes, progress).await?;
        offset += part_bytes.len() as u64;
        part_bytes = part(&mut from)?;
    }
    finish(to, upload, offset).await
}

/// As much as a part has; less at the end only.
fn part(from: &mut impl Read) -> anyhow::Result<Vec<u8>> {
    let mut part = Vec::with_capacity(1 << 16);
    let most = u64::try_from(PART_BYTES).unwrap_or(u64::MAX);
    from.take(most)
        .read_to_end(&mut part)
        .context("read what is to be copied")?;
    Ok(part)
}

async fn send_small(
    to: &To<'_>,
    bytes: Vec<u8>,
    progress: &mut Progress,
) -> anyhow::Result<FileFacts> {
    let mut patience = Patience::new();
    loop {
        let prepare = |request: RequestBuilder| {
            to.prepare(request)
                .header("if-match", "*")
                .timeout(PART_DEADLINE)
                .body(bytes.clone())
        };
        let sent = to
            .connection
            .send(Method::PUT, &to.address("/content"), prepare)
            .await;
        match sent {
            Ok(response) => {
                progress.moved(bytes.len() as u64);
                return response.json().await.context("read the answer");
            }
            Err(error) => patience.wait(error).await?,
        }
    }
}

async fn begin(to: &To<'_>) -> anyhow::Result<String> {
    // The same number however often it is asked for: then it is one upload.
    let id = format!("{:032x}", rand::random::<u128>());
    let body = json!({"path": to.path});
    let mut patience = Patience::new();
    loop {
        let prepare = |request: RequestBuilder| {
            to.prepare(request)
                .header("docklet-request", &id)
                .timeout(PART_DEADLINE)
                .json(&body)
        };
        let address = to.at.address("/uploads", &[]);
        match to.connection.send(Method::POST, &address, prepare).await {
            Ok(response) => {
                let begun: Upload = response.json().await.context("read the answer")?;
                return Ok(begun.upload);
            }
            Err(error) => patience.wait(error).await?,
        }
    }
}

/// Brings one part that begins at `offset`, whatever happens on the way.
async fn append(
    to: &To<'_>,
    upload: &str,
    offset: u64,
    part: &[u8],
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let end = offset + part.len() as u64;
    let (mut at, mut patience) = (offset, Patience::new());
    while at < end {
        let done = usize::try_from(at - offset).unwrap_or(part.len());
        let rest = part[done..].to_vec();
        let prepare = |request: RequestBuilder| {
            to.prepare(request)
                .header("upload-offset", at)
                .timeout(PART_DEADLINE)
                .body(rest.clone())
        };
        let address = to.address(&format!("/uploads/{upload}"));
        let sent = to.connection.send(Method::PATCH, &address, prepare).await;
        let there = match sent {
            Ok(response) => {
                let there: Result<Upload, _> = response.json().await;
                there.ok().map(|there| there.bytes)
            }
            Err(error) => {
                patience.wait(error).await?;
                None
            }
        };
        let there = match there {
            Some(there) => there,
            None => held(to, upload).await?,
        };
        if !(offset..=end).contains(&there) {
            let text = format!(
                "{}: the vnode has {there} bytes of it, which is not where this copy is: copy it again",
                to.path
            );
            return Err(Failure::new(Class::Conflict, text).into());
        }
        if there > at {
            progress.moved(there - at);
            patience = Patience::new();
        }
        at = there;
    }
    Ok(())
}

/// How much of it is there.
async fn held(to: &To<'_>, upload: &str) -> anyhow::Result<u64> {
    let mut patience = Patience::new();
    loop {
        let address = to.address(&format!("/uploads/{upload}"));
        match to.connection.get::<Upload>(&address).await {
            Ok(there) => return Ok(there.bytes),
            Err(error) => patience.wait(error).await?,
        }
    }
}

async fn finish(to: &To<'_>, upload: &str, bytes: u64) -> anyhow::Result<FileFacts> {
    let body = json!({"path": to.path, "bytes": bytes});
    let (mut patience, mut tried) = (Patience::new(), false);
    loop {
        let prepare = |request: RequestBuilder| {
            to.prepare(request)
                .header("if-match", "*")
                .timeout(PART_DEADLINE)
                .json(&body)
        };
        let address = to.at.address(&format!("/uploads/{upload}/finish"), &[]);
        match to.connection.send(Method::POST, &address, prepare).await {
            Ok(response) => return response.json().await.context("read the answer"),
            // The answer before was lost, and it has its name already.
            Err(error) if tried && class(&error) == Some(Class::NotFound) => {
                let found = super::remote::look(to.connection, to.at, Some(to.path), None).await?;
                if found.file.bytes == bytes {
                    return Ok(found.file);
                }
                return Err(error);
            }
            Err(error) => patience.wait(error).await?,
        }
        tried = true;
    }
}

pub fn class(error: &anyhow::Error) -> Option<Class> {
    error.downcast_ref::<Failure>().map(|failure| failure.class)
}

/// For how long it is tried again.
pub struct Patience(Instant);

impl Patience {
    pub fn new() -> Self {
        Self(Instant::now())
    }

    /// Waits a moment before the next try.
    ///
    /// # Errors
    /// Trying again would not help, or nothing has for too long.
    pub async fn wait(&mut self, error: anyhow::Error) -> anyhow::Result<()> {
        if class(&error) != Some(Class::Unavailable) || self.0.elapsed() > GIVE_UP {
            return Err(error);
        }
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}
