//! The taker's connection to the giver.

use docklet_link::Dialer;
use docklet_link::gate::Gated;
use docklet_link::identity::{Identity, PeerRole};
use docklet_link::tls::Expect;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::SILENCE_MAX;
use super::moving::{Moving, Source};
use super::names::FileName;
use super::wire::{Ask, MESSAGE_BYTES_MAX, Part, Said};
use crate::fault::AgentFault;

type Socket = WebSocketStream<TlsStream<Gated<TcpStream>>>;

/// A connection to the giver.
pub(super) struct Link {
    socket: Socket,
    /// Whether the giver knows which chunks of the disk are here.
    pub(super) knows_disk: bool,
}

/// What the giver sent.
pub(super) enum Heard {
    Said(Said),
    Bytes(Vec<u8>),
}

impl Link {
    /// Dials the giver of a vnode.
    pub(super) async fn open(
        dialer: &Dialer,
        source: &Source,
        moving: &Moving,
    ) -> Result<Self, AgentFault> {
        let giver = Identity {
            role: PeerRole::Agent,
            id: source.worker.0,
            cluster: dialer.identity().cluster,
        };
        let expect = Expect::Exactly(giver);
        let stream = dialer.connect(&source.addr, expect).await?;
        let uri = format!("ws://worker/moves/{}/{}", moving.vnode, moving.number);
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let open = tokio_tungstenite::client_async_with_config(uri, stream, Some(config));
        let silent = || AgentFault::Protocol("a giver that says nothing".to_owned());
        let opened = tokio::time::timeout(SILENCE_MAX, open).await;
        let (socket, _) = opened.map_err(|_| silent())??;
        Ok(Self {
            socket,
            knows_disk: false,
        })
    }

    /// The next that it says or sends.
    pub(super) async fn hear(&mut self) -> Result<Heard, AgentFault> {
        let ended = |what: &str| AgentFault::Protocol(format!("a giver that {what}"));
        loop {
            let message = tokio::time::timeout(SILENCE_MAX, self.socket.next()).await;
            let message = message.map_err(|_| ended("says nothing"))?;
            match message.ok_or_else(|| ended("breaks off"))?? {
                Message::Text(text) => return Ok(Heard::Said(serde_json::from_str(&text)?)),
                Message::Binary(bytes) => return Ok(Heard::Bytes(bytes.to_vec())),
                Message::Close(_) => return Err(ended("breaks off")),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Asks for a part, and says how long the file is of which it is told next what is here of it.
    pub(super) async fn ask(
        &mut self,
        part: &Part,
        has: Option<(FileName, u64)>,
    ) -> Result<(), AgentFault> {
        let ask = Ask {
            part: part.clone(),
            has: has.into_iter().collect(),
        };
        self.send(Message::text(serde_json::to_string(&ask)?)).await
    }

    pub(super) async fn send(&mut self, message: Message) -> Result<(), AgentFault> {
        let silent = || AgentFault::Protocol("a giver that takes nothing in".to_owned());
        let sent = tokio::time::timeout(SILENCE_MAX, self.socket.send(message)).await;
        Ok(sent.map_err(|_| silent())??)
    }
}
