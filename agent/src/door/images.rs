//! Images between workers, and from a master to a worker: text `{"from":N}` if that was asked for, binary messages of the
//! blob, then text `{"bytes":N}`; a master is answered `{"held":true,"arrival":N}` or `{"refused":{"cause":"…"}}`, after
//! an import with what it came to. What arrived and is not wanted after all, a master says by that number.

use std::sync::Arc;
use std::time::Duration;

use docklet_control::assignment::AssignedImage;
use docklet_control::id::Digest;
use docklet_link::Dialer;
use docklet_link::identity::{Identity, PeerRole};
use docklet_link::tls::Expect;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Door, Socket};
use crate::archive::import::Imported;
use crate::fault::AgentFault;
use crate::images::{ImageStore, Receiving};
use crate::masters::Tell;

/// Bytes of one message.
const CHUNK_BYTES: usize = 256 << 10;
/// A sender that says nothing for so long is given up; what came is kept.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Longest blob or upload that a master may bring: 16 GiB.
const BLOB_BYTES_MAX: u64 = 16 << 30;

/// Gives a blob to whoever asked, from the byte `from` on if they say so: then they are told first from where it comes.
pub(super) async fn give(
    door: &Arc<Door>,
    mut socket: Socket,
    digest: Digest,
    from: Option<u64>,
) -> Result<(), AgentFault> {
    let store = door.host.images();
    if store.holds(digest) {
        let path = store.blob(digest);
        let mut file = tokio::fs::File::open(&path)
            .await
            .map_err(AgentFault::file("read", path))?;
        let whole = file.metadata().await?.len();
        let start = from.unwrap_or_default().min(whole);
        if from.is_some() {
            let beginning = serde_json::json!({"from": start}).to_string();
            socket.send(Message::text(beginning)).await?;
        }
        file.seek(std::io::SeekFrom::Start(start)).await?;
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
    // What is here already is verified too: whoever registers a digest must have what it names.
    let taken = match store.receive(digest, BLOB_BYTES_MAX) {
        Ok(receiving) => receive_blob(receiving, &mut socket).await,
        Err(fault) => Err(fault),
    };
    let answer = match taken {
        Ok(()) => {
            announce(door, digest).await?;
            serde_json::json!({"held": true, "arrival": store.arrived(digest)?})
        }
        Err(fault) => serde_json::json!({"refused": {"cause": fault.full_text()}}),
    };
    socket.send(Message::text(answer.to_string())).await?;
    Ok(socket.close(None).await?)
}

/// Takes an upload of whatever kind from a master, and makes an image of it.
pub(super) async fn import(
    door: &Arc<Door>,
    mut socket: Socket,
    blob_bytes_max: Option<u64>,
) -> Result<(), AgentFault> {
    let store = door.host.images().clone();
    let answer = match receive_upload(&store, &mut socket, blob_bytes_max).await {
        Ok(imported) => {
            announce(door, imported.packed.digest).await?;
            serde_json::json!({
                "held": true,
                "arrival": store.arrived(imported.packed.digest)?,
                "digest": imported.packed.digest,
                "blob_bytes": imported.packed.blob_bytes,
                "spec": imported.spec,
                "environment": imported.environment,
                "directory": imported.directory,
            })
        }
        Err(fault @ AgentFault::TooLarge { most }) => serde_json::json!({
            "refused": {"cause": fault.full_text()},
            "too_large": most.saturating_add(1),
        }),
        Err(fault) => serde_json::json!({"refused": {"cause": fault.full_text()}}),
    };
    socket.send(Message::text(answer.to_string())).await?;
    Ok(socket.close(None).await?)
}

/// What came is not news any more: like everything here that is not assigned, it goes.
pub(super) async fn unwanted(
    door: &Arc<Door>,
    mut socket: Socket,
    digest: Digest,
    arrival: u64,
) -> Result<(), AgentFault> {
    door.host.images().is_unwanted(digest, arrival)?;
    Ok(socket.close(None).await?)
}

async fn receive_upload(
    store: &ImageStore,
    socket: &mut Socket,
    blob_bytes_max: Option<u64>,
) -> Result<Imported, AgentFault> {
    let mut importing = store.import(BLOB_BYTES_MAX, blob_bytes_max)?;
    while let Ok(Some(message)) = tokio::time::timeout(SILENCE_MAX, socket.next()).await {
        match message? {
            Message::Binary(bytes) => {
                let write = move || importing.write(&bytes).map(|()| importing);
                let written = tokio::task::spawn_blocking(write).await;
                importing = written.map_err(std::io::Error::other)??;
            }
            Message::Text(_) => {
                let finished = tokio::task::spawn_blocking(move || importing.finish()).await;
                return finished.map_err(std::io::Error::other)?;
            }
            Message::Close(_) => break,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
    Err(AgentFault::Upload("it broke off".to_owned()))
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
    dialer: &Dialer,
    store: &ImageStore,
    image: &AssignedImage,
) -> Result<(), AgentFault> {
    for (worker, addr) in &image.holders {
        let identity = Identity {
            role: PeerRole::Agent,
            id: worker.0,
            cluster: dialer.identity().cluster,
        };
        match fetch_from(dialer, store, image, identity, addr).await {
            Ok(()) => return Ok(()),
            Err(fault) => tracing::warn!(%addr, fault = fault.full_text(), "image not fetched"),
        }
    }
    Err(AgentFault::ImageUnreachable(image.digest.to_string()))
}

async fn fetch_from(
    dialer: &Dialer,
    store: &ImageStore,
    image: &AssignedImage,
    holder: Identity,
    addr: &str,
) -> Result<(), AgentFault> {
    let receiving = {
        let (store, digest, bytes) = (store.clone(), image.digest, image.blob_bytes);
        let resume = tokio::task::spawn_blocking(move || store.resume(digest, bytes));
        resume.await.map_err(std::io::Error::other)??
    };
    let stream = dialer.connect(addr, Expect::Exactly(holder)).await?;
    let from = receiving.received();
    let uri = format!("ws://worker/images/{}?from={from}", image.digest);
    let (mut socket, _) = tokio_tungstenite::client_async(uri, stream).await?;
    receive_blob(receiving, &mut socket).await
}

/// First a text may say from which byte it comes, then it comes, then a text says that this was all.
async fn receive_blob(
    mut receiving: Receiving,
    socket: &mut (impl Stream<Item = Result<Message, Error>> + Sink<Message> + Unpin),
) -> Result<(), AgentFault> {
    // An agent that knows nothing of that begins with the first byte, and says nothing.
    let mut begun = receiving.received() == 0;
    loop {
        let message = tokio::time::timeout(SILENCE_MAX, socket.next()).await;
        let silent = || AgentFault::Protocol("a blob that does not go on".to_owned());
        let Some(message) = message.map_err(|_| silent())? else {
            break;
        };
        match message? {
            Message::Binary(bytes) => {
                if !begun {
                    receiving.restart()?;
                }
                begun = true;
                receiving = write(receiving, bytes.to_vec()).await?;
            }
            Message::Text(text) => match serde_json::from_str(&text)? {
                Word {
                    from: Some(from), ..
                } if from == receiving.received() => begun = true,
                Word { from: Some(_), .. } => receiving.restart()?,
                Word { from: None, .. } => return finish(receiving).await,
            },
            Message::Close(_) => break,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
    Err(AgentFault::Protocol(
        "a blob that ends before it is whole".to_owned(),
    ))
}

/// What the sender says beside the bytes.
#[derive(Deserialize)]
struct Word {
    from: Option<u64>,
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
