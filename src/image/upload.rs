//! Bringing a blob, or a file of any kind, to the cluster.

use std::fs::File;
use std::io::Seek;
use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;
use docklet_control::id::Digest;
use docklet_control::model::{ImageSpec, Receipt, Visibility};
use reqwest::{Body, Method, RequestBuilder};
use tokio_util::io::ReaderStream;

use crate::client;
use crate::client::connection::Connection;
use crate::exit::{Class, Failure};

/// A blob, and how it is run.
pub struct Blob<'b> {
    pub path: &'b Path,
    pub digest: Digest,
    pub spec: &'b ImageSpec,
    /// `NAME=VALUE` of its first process.
    pub environment: &'b [String],
}

/// What is said of an image that is added.
pub struct Said<'s> {
    /// As it was, if absent.
    pub description: Option<&'s str>,
    pub label: &'s str,
    pub visibility: Option<Visibility>,
}

impl Said<'_> {
    fn query(&self) -> Vec<(&'static str, String)> {
        let description = self.description.map(|d| ("description", d.to_owned()));
        let label = ("label", self.label.to_owned());
        let label = Some(label).filter(|(_, label)| !label.is_empty());
        let visibility = self.visibility.map(|v| ("visibility", v.word().to_owned()));
        description
            .into_iter()
            .chain(label)
            .chain(visibility)
            .collect()
    }
}

pub async fn upload(
    connection: &Connection,
    name: &str,
    blob: &Blob<'_>,
    said: &Said<'_>,
) -> anyhow::Result<Receipt> {
    let mut query = said.query();
    query.push(("digest", blob.digest.to_string()));
    query.push(("spec", serde_json::to_string(blob.spec)?));
    if !blob.environment.is_empty() {
        query.push(("environment", serde_json::to_string(blob.environment)?));
    }
    let file = File::open(blob.path).with_context(|| format!("read {}", blob.path.display()))?;
    let bytes = file.metadata().map(|metadata| metadata.len());
    query.extend(bytes.ok().map(|bytes| ("bytes", bytes.to_string())));
    let body = || Ok(Body::wrap_stream(ReaderStream::new(whole(&file)?)));
    put(connection, &format!("/images/{name}"), &query, body).await
}

/// Brings a file, or a directory as a tar.
pub async fn import(
    connection: &Connection,
    name: &str,
    file: &Path,
    init: &[String],
    said: &Said<'_>,
) -> anyhow::Result<Receipt> {
    client::name("image", name)?;
    let mut query = said.query();
    if !init.is_empty() {
        query.push(("init", serde_json::to_string(init)?));
    }
    let path = format!("/images/{name}/import");
    if file.is_dir() {
        if !file.join("oci-layout").exists() {
            let text = format!(
                "{} is no OCI image layout: there is no oci-layout in it",
                file.display()
            );
            return Err(Failure::new(Class::Invalid, text).into());
        }
        let body = || Ok(Body::wrap_stream(ReaderStream::new(packed(file)?)));
        return put(connection, &path, &query, body).await;
    }
    let open = File::open(file).with_context(|| format!("read {}", file.display()))?;
    let body = || Ok(Body::wrap_stream(ReaderStream::new(whole(&open)?)));
    put(connection, &path, &query, body).await
}

async fn put(
    connection: &Connection,
    path: &str,
    query: &[(&'static str, String)],
    body: impl Fn() -> std::io::Result<Body>,
) -> anyhow::Result<Receipt> {
    // Fails here rather than within each attempt.
    drop(body()?);
    let prepare = |request: RequestBuilder| match body() {
        Ok(body) => request.query(query).body(body),
        Err(_) => request.query(query),
    };
    let response = connection.send(Method::PUT, path, prepare).await?;
    let receipt: Receipt = response.json().await.context("read the answer")?;
    connection.saw(receipt.index);
    Ok(receipt)
}

/// The file from its beginning.
fn whole(file: &File) -> std::io::Result<tokio::fs::File> {
    let mut file = file.try_clone()?;
    file.rewind()?;
    Ok(tokio::fs::File::from_std(file))
}

/// A directory as a tar, as it is read.
fn packed(dir: &Path) -> std::io::Result<tokio::process::ChildStdout> {
    let mut child = tokio::process::Command::new("tar")
        .arg("-C")
        .arg(dir)
        .args(["-cf", "-", "--", "oci-layout", "index.json", "blobs"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(false)
        .spawn()?;
    child
        .stdout
        .take()
        .ok_or_else(|| std::io::Error::other("tar has no output"))
}
