//! Meters: text `"live"` is answered with what is in use now, and anew each second until the socket ends; text
//! `{"history":{"of":{"vnodes":[N]},"span":"1d","measures":["cpu_milli"]}}` with the series of that, summed. Any number
//! of questions may be asked one after the other; the next one ends what is live.

use std::sync::Arc;

use docklet_control::meter::{Live, MeterQuestion};
use futures_util::{SinkExt, StreamExt};
use serde::Serialize;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;

use super::{Door, Socket};
use crate::fault::AgentFault;

/// Serves one master.
pub(super) async fn serve(door: &Arc<Door>, mut socket: Socket) -> Result<(), AgentFault> {
    let mut live: Option<watch::Receiver<Arc<Live>>> = None;
    loop {
        tokio::select! {
            message = socket.next() => match message.transpose()? {
                Some(Message::Text(text)) => match serde_json::from_str(&text)? {
                    MeterQuestion::Live => {
                        let mut now = door.meter.live();
                        now.mark_changed();
                        live = Some(now);
                    }
                    MeterQuestion::History { of, span, measures } => {
                        live = None;
                        let meter = door.meter.clone();
                        let read = move || meter.history(&of, span, &measures);
                        // Files are read on a thread on which that may take its time.
                        let series = tokio::task::spawn_blocking(read).await;
                        tell(&mut socket, &series.map_err(std::io::Error::other)??).await?;
                    }
                },
                Some(Message::Close(_)) | None => return Ok(()),
                Some(Message::Binary(_)) => return Err(AgentFault::Protocol("a binary message".to_owned())),
                Some(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
            },
            now = next(&mut live) => tell(&mut socket, &*now?).await?,
        }
    }
}

/// The next second, if somebody wants to know.
async fn next(live: &mut Option<watch::Receiver<Arc<Live>>>) -> Result<Arc<Live>, AgentFault> {
    let Some(live) = live else {
        return std::future::pending().await;
    };
    let changed = live.changed().await;
    changed.map_err(|_| AgentFault::Protocol("meters have ended".to_owned()))?;
    Ok(live.borrow_and_update().clone())
}

async fn tell(socket: &mut Socket, answer: &impl Serialize) -> Result<(), AgentFault> {
    let text = serde_json::to_string(answer)?;
    Ok(socket.send(Message::text(text)).await?)
}
