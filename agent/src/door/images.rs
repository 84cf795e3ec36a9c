//! Images between workers, and from a master to a worker: binary messages of the blob, then text
//! `{"bytes":N}`; the taker answers `{"held":true}` or `{"refused":{"cause":"…"}}`.

use std::sync::Arc;

use docklet_control::assignment::AssignedImage;
use docklet_control::id::Digest;
use docklet_link::identity::{Identity, PeerRole};
use docklet_link::tls::Expect;
use docklet_link::{Credentials, Dialer};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::io::AsyncReadExt;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Door, Socket};
use crate::fault::AgentFault;
use crate::images::{ImageStore, Receiving};
use crate::masters::Tell;

/// Bytes of one message.
const CHUNK_BYTES: usize = 256 << 10;
/// Longest blob that a master may bring: 16 GiB.
const BLOB_BYTES_MAX: u64 = 16 << 30;

/// Gives a blob to whoever asked.
pub(super) async fn give(
    door: &Arc<Door>,
    mut socket: Socket,
    digest: Digest,
) -> Result<(), AgentFault> {
    let store = door.host.images();
    if store.holds(digest) {
        let path = store.blob(digest);
        let mut file = tokio::fs::File::open(&path)
            .await
            .map_err(AgentFault::file("read", path))?;
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut bytes = 0;
        loop {
            let length = file.read(&mut chunk).await?;
            if length == 0 {
                break;
            }
            bytes += length;
            socket
                .send(Message::binary(chunk[..length].to_vec()))
                .await?;
        }
        let end = serde_json::json!({"bytes": bytes}).to_string();
        socket.send(Message::text(end)).await?;
    }
    Ok(socket.close(None).await?)
}

/// Takes a blob from a master.
pub(super) async fn take(
    door: &Arc<Door>,
    mut socket: Socket,
    digest: Digest,
) -> Result<(), AgentFault> {
    let store = door.host.images().clone();
    let taken = if store.holds(digest) {
        Ok(())
    } else {
        receive_blob(&store, digest, BLOB_BYTES_MAX, &mut socket).await
    };
    let answer = match taken {
        Ok(()) => {
            announce(door, digest).await?;
            serde_json::json!({"held": true})
        }
        Err(fault) => serde_json::json!({"refused": {"cause": fault.full_text()}}),
    };
    socket.send(Message::text(answer.to_string())).await?;
    Ok(socket.close(None).await?)
}

/// Tells the masters that the image is here now.
async fn announce(door: &Door, digest: Digest) -> Result<(), AgentFault> {
    door.images.send_replace(door.host.images().list()?);
    // The loop is gone only when the process ends.
    drop(door.tell.send(Tell::Image(digest, true)).await);
    Ok(())
}

/// Fetches an image from one of its holders.
pub(crate) async fn fetch(
    own: &Credentials,
    store: &ImageStore,
    image: &AssignedImage,
) -> Result<(), AgentFault> {
    for (worker, addr) in &image.holders {
        let identity = Identity {
            role: PeerRole::Agent,
            id: worker.0,
            cluster: own.identity.cluster,
        };
        match fetch_from(own, store, image, identity, addr).await {
            Ok(()) => return Ok(()),
            Err(fault) => tracing::warn!(%addr, fault = fault.full_text(), "image not fetched"),
        }
    }
    Err(AgentFault::ImageUnreachable(image.digest.to_string()))
}

async fn fetch_from(
    own: &Credentials,
    store: &ImageStore,
    image: &AssignedImage,
    holder: Identity,
    addr: &str,
) -> Result<(), AgentFault> {
    let dialer = Dialer::new(own.clone());
    let stream = dialer.connect(addr, Expect::Exactly(holder)).await?;
    let uri = format!("ws://worker/images/{}", image.digest);
    let (mut socket, _) = tokio_tungstenite::client_async(uri, stream).await?;
    receive_blob(store, image.digest, image.blob_bytes, &mut socket).await
}

async fn receive_blob(
    store: &ImageStore,
    digest: Digest,
    bytes_max: u64,
    socket: &mut (impl Stream<Item = Result<Message, Error>> + Sink<Message> + Unpin),
) -> Result<(), AgentFault> {
    let mut receiving = store.receive(digest, bytes_max)?;
    while let Some(message) = socket.next().await {
        match message? {
            Message::Binary(bytes) => {
                receiving = write(receiving, bytes.to_vec()).await?;
            }
            Message::Text(_) => return finish(receiving).await,
            Message::Close(_) => break,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
    Err(AgentFault::Image {
        digest: digest.to_string(),
        cause: "the connection ended before the blob did".to_owned(),
    })
}

async fn write(mut receiving: Receiving, bytes: Vec<u8>) -> Result<Receiving, AgentFault> {
    let write = move || receiving.write(&bytes).map(|()| receiving);
    tokio::task::spawn_blocking(write)
        .await
        .map_err(std::io::Error::other)?
}

async fn finish(receiving: Receiving) -> Result<(), AgentFault> {
    let finish = tokio::task::spawn_blocking(move || receiving.finish());
    finish.await.map_err(std::io::Error::other)?
}
