//! WebSockets to the cluster's public listener.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Method;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, http};

use super::connection::class;
use super::context::Context;
use super::operation;
use crate::exit::{Class, Failure};

/// A socket to a master.
pub type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Opens a socket at the first master that answers.
pub async fn open(context: &Context, path: &str) -> anyhow::Result<Socket> {
    let mut last = None;
    for server in &context.servers {
        let opened = tokio::time::timeout(Duration::from_secs(3), open_at(context, server, path));
        match opened.await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) if error.downcast_ref::<Failure>().is_some() => return Err(error),
            Ok(Err(error)) => last = Some(error),
            Err(_) => last = Some(anyhow::anyhow!("{server} does not answer in time")),
        }
    }
    let cause = last.map_or_else(
        || "no server is known".to_owned(),
        |error| format!("{error:#}"),
    );
    Err(Failure::new(
        Class::Unavailable,
        format!("no master can be reached: {cause}"),
    )
    .into())
}

async fn open_at(context: &Context, server: &str, path: &str) -> anyhow::Result<Socket> {
    let authority = server
        .strip_prefix("https://")
        .context("servers begin with https://")?;
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    let tcp = TcpStream::connect(authority)
        .await
        .with_context(|| format!("reach {server}"))?;
    tcp.set_nodelay(true)?;
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
    let connector = TlsConnector::from(Arc::new(tls(context)?));
    let stream = connector
        .connect(name, tcp)
        .await
        .with_context(|| format!("TLS with {server}"))?;
    let address = operation::address(&Method::GET, path);
    let mut request = format!("wss://{authority}{address}").into_client_request()?;
    let bearer = format!("Bearer {}", context.token).parse()?;
    request
        .headers_mut()
        .insert(http::header::AUTHORIZATION, bearer);
    match tokio_tungstenite::client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(refused(&response)),
        Err(error) => Err(error.into()),
    }
}

/// A master that answered with a problem has decided: no other would decide otherwise.
fn refused(response: &http::Response<Option<Vec<u8>>>) -> anyhow::Error {
    let body = response.body().as_deref().unwrap_or_default();
    let problem: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let status = response.status();
    let detail = problem["detail"].as_str().map(str::to_owned);
    let detail = detail.unwrap_or_else(|| format!("the master answers {status}"));
    let class = class(status);
    if class == Class::Unavailable {
        // A worker that does not answer this master may answer another.
        return anyhow::anyhow!(detail);
    }
    Failure::new(class, detail).into()
}

fn tls(context: &Context) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match context.ca_pem.as_deref() {
        Some(pem) => roots.add(CertificateDer::from_pem_slice(pem.as_bytes())?)?,
        None => {
            let system = rustls_native_certs::load_native_certs().certs;
            let (added, _) = roots.add_parsable_certificates(system);
            anyhow::ensure!(
                added > 0,
                "this machine trusts no authority: log in with --ca"
            );
        }
    }
    Ok(ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth())
}
