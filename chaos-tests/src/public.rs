//! A program at the masters' public listeners: it logs in, and opens streams of events. HTTP/2 over TLS, with a window
//! of its choice, so that a reader who reads nothing keeps the master waiting after a few kilobytes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::{Bytes, BytesMut};
use docklet_control::id::LogIndex;
use docklet_link::Credentials;
use h2::RecvStream;
use h2::client::SendRequest;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// To connect, or to get the first of an answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// A stream says something every two seconds, be it that there is nothing.
const SILENCE_MAX: Duration = Duration::from_secs(8);

/// Somebody who is logged in.
pub struct Public {
    tls: TlsConnector,
    addrs: Vec<String>,
    token: String,
}

impl Public {
    /// Logs in at one of these listeners.
    pub async fn log_in(
        credentials: &Credentials,
        addrs: Vec<String>,
        user: &str,
        password: &str,
    ) -> anyhow::Result<Self> {
        let mut public = Self {
            tls: tls(credentials)?,
            addrs,
            token: String::new(),
        };
        let body = json!({"user": user, "password": password}).to_string();
        let request = http::Request::post(public.url(0, "/api/v1/login"))
            .header("content-type", "application/json");
        let mut answer = public.ask(0, 1 << 16, request, Some(body)).await?;
        let mut text = BytesMut::new();
        while let Some(chunk) = answer.data().await {
            text.extend_from_slice(&chunk?);
        }
        let said: serde_json::Value = serde_json::from_slice(&text)?;
        let token = said["token"].as_str().context("a login without a token")?;
        token.clone_into(&mut public.token);
        Ok(public)
    }

    /// How many masters there are.
    #[must_use]
    pub fn masters(&self) -> usize {
        self.addrs.len()
    }

    /// Follows the events after `after` at this master, taking in so many bytes ahead of what is read.
    pub async fn events(
        &self,
        master: usize,
        after: LogIndex,
        window: u32,
    ) -> anyhow::Result<Events> {
        let request = http::Request::get(self.url(master, "/api/v1/events"))
            .header("authorization", format!("Bearer {}", self.token))
            .header("last-event-id", after.to_string());
        Ok(Events {
            body: self.ask(master, window, request, None).await?,
            text: BytesMut::new(),
        })
    }

    fn url(&self, master: usize, path: &str) -> String {
        format!("https://{}{path}", self.addrs[master])
    }

    async fn ask(
        &self,
        master: usize,
        window: u32,
        request: http::request::Builder,
        body: Option<String>,
    ) -> anyhow::Result<RecvStream> {
        let asked = async {
            let mut send = self.connect(master, window).await?.ready().await?;
            let (response, mut sending) = send.send_request(request.body(())?, body.is_none())?;
            if let Some(body) = body {
                sending.send_data(Bytes::from(body), true)?;
            }
            let response = response.await?;
            let status = response.status();
            ensure!(status.is_success(), "master {master} answers {status}");
            Ok(response.into_body())
        };
        timeout(DEADLINE, asked).await.context("no answer")?
    }

    async fn connect(&self, master: usize, window: u32) -> anyhow::Result<SendRequest<Bytes>> {
        let addr = &self.addrs[master];
        let tcp = TcpStream::connect(addr).await?;
        tcp.set_nodelay(true)?;
        let host = addr
            .rsplit_once(':')
            .map_or(addr.as_str(), |(host, _)| host);
        let name = ServerName::try_from(host.to_owned())?;
        let (send, connection) = h2::client::Builder::new()
            .initial_window_size(window)
            .handshake(self.tls.connect(name, tcp).await?)
            .await?;
        tokio::spawn(async move {
            // The stream on it ends with the same fault.
            drop(connection.await);
        });
        Ok(send)
    }
}

fn tls(credentials: &Credentials) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(credentials.ca.clone())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// An open stream of events.
pub struct Events {
    body: RecvStream,
    /// Of the next events, as much as has arrived.
    text: BytesMut,
}

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub kind: String,
    /// What to come back with.
    pub id: Option<LogIndex>,
    pub data: String,
}

impl Events {
    /// The next event; none if the stream has ended.
    pub async fn next(&mut self) -> anyhow::Result<Option<Told>> {
        loop {
            while let Some(length) = end_of_event(&self.text) {
                if let Some(told) = Told::parse(&self.text.split_to(length))? {
                    return Ok(Some(told));
                }
            }
            let chunk = timeout(SILENCE_MAX, self.body.data()).await;
            let Some(chunk) = chunk.context("a silent stream")?.transpose()? else {
                return Ok(None);
            };
            self.body.flow_control().release_capacity(chunk.len())?;
            self.text.extend_from_slice(&chunk);
        }
    }
}

fn end_of_event(text: &[u8]) -> Option<usize> {
    let end = text.windows(2).position(|pair| pair == b"\n\n")?;
    Some(end + 2)
}

impl Told {
    /// None for a remark that only keeps the stream alive.
    fn parse(block: &[u8]) -> anyhow::Result<Option<Self>> {
        let mut told = Self::default();
        for line in std::str::from_utf8(block)?.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut told.kind),
                "id" => told.id = Some(LogIndex(value.parse()?)),
                "data" => told.data.push_str(value),
                _ => {}
            }
        }
        Ok((!told.kind.is_empty()).then_some(told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_from_remarks_and_from_each_other() {
        let text = b"event: change\nid: 7\ndata: {\"a\":1}\n\n:\n\nevent: bookmark\nid: 9\ndata: {}\n\nevent: ch";
        let mut rest = BytesMut::from(&text[..]);
        let mut all = Vec::new();
        while let Some(length) = end_of_event(&rest) {
            all.extend(Told::parse(&rest.split_to(length)).expect("readable"));
        }
        let told = |kind: &str, id, data: &str| Told {
            kind: kind.to_owned(),
            id: Some(LogIndex(id)),
            data: data.to_owned(),
        };
        assert_eq!(
            all,
            [told("change", 7, "{\"a\":1}"), told("bookmark", 9, "{}")]
        );
        assert_eq!(&rest[..], b"event: ch");
    }
}
