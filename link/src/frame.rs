//! Messages on a connection: a 32-bit length and postcard bytes. The first says what the connection is for.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use crate::fault::LinkFault;
use crate::identity::{Identity, PeerRole};

/// Version of everything that is said on cluster connections.
pub const WIRE_VERSION: u16 = 1;
/// Longest message. Whatever may be longer is sent in parts.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

/// What a connection has room for in each direction before its messages need more: there may be thousands of them, and most say
/// little.
const BUFFER_BYTES: usize = 512;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Purpose {
    /// Raft's own calls, and what masters forward to each other.
    Raft,
    /// An agent that follows its assignment.
    Agent,
    /// A machine that has a join token and no certificate yet.
    Join,
    /// Whoever has a certificate and asks whether it is still a member. The only door that is open to who is not.
    Standing,
}

impl Purpose {
    /// Whether a peer may open a connection for this.
    #[must_use]
    pub fn is_open_to(self, peer: Option<Identity>) -> bool {
        let role = peer.map(|identity| identity.role);
        match self {
            Self::Raft => role == Some(PeerRole::Master),
            Self::Agent => role == Some(PeerRole::Agent),
            Self::Join => role.is_none(),
            Self::Standing => role.is_some(),
        }
    }
}

/// First message of whoever dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub wire_version: u16,
    pub purpose: Purpose,
}

/// A connection that carries typed messages.
pub struct Channel<S> {
    framed: Framed<S, LengthDelimitedCodec>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Channel<S> {
    /// Wraps a byte stream.
    pub fn new(stream: S) -> Self {
        let codec = LengthDelimitedCodec::builder()
            .max_frame_length(FRAME_BYTES_MAX)
            .new_codec();
        Self {
            framed: Framed::with_capacity(stream, codec, BUFFER_BYTES),
        }
    }

    /// The frames themselves, with the usual room, for who says much.
    pub fn into_framed(self) -> Framed<S, LengthDelimitedCodec> {
        Framed::from_parts(self.framed.into_parts())
    }

    /// The stream below, to look at.
    pub(crate) fn stream(&self) -> &S {
        self.framed.get_ref()
    }

    /// Sends one message.
    ///
    /// # Errors
    /// The connection broke, or the message is too long.
    pub async fn send<T: Serialize>(&mut self, message: &T) -> Result<(), LinkFault> {
        Ok(self.framed.send(Bytes::from(encode(message)?)).await?)
    }

    /// Receives one message. Safe to cancel.
    ///
    /// # Errors
    /// The connection broke or ended, or the message is no `T`.
    pub async fn recv<T: DeserializeOwned>(&mut self) -> Result<T, LinkFault> {
        let bytes = self.framed.next().await.ok_or(LinkFault::Closed)??;
        Ok(postcard::from_bytes(&bytes)?)
    }
}

/// The bytes of a message, without their length.
///
/// # Errors
/// It is nothing that can be sent.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, LinkFault> {
    Ok(postcard::to_stdvec(message)?)
}
