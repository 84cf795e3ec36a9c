//! All terminals of this worker: which there are, whether anybody looks, and when one has been alone for too long.
//!
//! Whoever comes anew asks which shells of theirs go on in a vnode, and is told once
//! `{"terminals":[{"session":"HEX","age_ms":N,"alone_ms":N}]}`, the one that was left last first; those that somebody looks at
//! have no `alone_ms`, and come last.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use docklet_control::id::{Epoch, UserId, VnodeId};
use futures_util::SinkExt;
use serde::Serialize;
use tokio_tungstenite::tungstenite::Message;

use super::terminal::Session;
use super::{Door, Socket};
use crate::fault::AgentFault;

/// Sessions of one vnode at once.
const SESSIONS_MAX: usize = 32;

/// Whose shells somebody asks for, and where.
pub(super) struct Asked {
    pub(super) vnode: VnodeId,
    pub(super) epoch: Epoch,
    pub(super) person: UserId,
}

/// One shell that goes on.
#[derive(Serialize)]
struct Running {
    session: String,
    age_ms: u64,
    /// For how long nobody has looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    alone_ms: Option<u64>,
}

/// Tells which there are.
pub(super) async fn tell(
    door: &Arc<Door>,
    mut socket: Socket,
    asked: &Asked,
) -> Result<(), AgentFault> {
    let running = door.terminals.running(asked);
    let told = serde_json::json!({"terminals": running});
    socket.send(Message::text(told.to_string())).await?;
    Ok(socket.close(None).await?)
}

/// The sessions by name.
#[derive(Default)]
pub(crate) struct Terminals {
    sessions: Mutex<HashMap<String, Arc<Session>>>,
    /// Held while a session is opened.
    pub(super) opening: tokio::sync::Mutex<()>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Terminals {
    pub(super) fn get(&self, name: &str) -> Option<Arc<Session>> {
        lock(&self.sessions).get(name).cloned()
    }

    pub(super) fn insert(&self, name: &str, session: Arc<Session>) {
        lock(&self.sessions).insert(name.to_owned(), session);
    }

    /// Those of a person in a vnode as it runs now.
    fn running(&self, asked: &Asked) -> Vec<Running> {
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let sessions = lock(&self.sessions);
        let own = sessions.iter().filter(|(_, session)| {
            let place = (session.vnode, session.epoch);
            place == (asked.vnode, asked.epoch) && session.person == Some(asked.person)
        });
        let mut running: Vec<Running> = own
            .map(|(name, session)| Running {
                session: name.clone(),
                age_ms: ms(session.began.elapsed()),
                alone_ms: session.audience.alone().map(ms),
            })
            .collect();
        running.sort_by_key(|one| (one.alone_ms.is_none(), one.alone_ms, one.age_ms));
        running
    }

    /// Forgets a session that has ended.
    pub(super) fn remove(&self, name: &str, ended: &Arc<Session>) {
        let mut sessions = lock(&self.sessions);
        if sessions
            .get(name)
            .is_some_and(|known| Arc::ptr_eq(known, ended))
        {
            sessions.remove(name);
        }
    }

    /// Makes room for one more session of a vnode: the one that has been alone longest gives way.
    pub(super) fn make_room(&self, vnode: VnodeId) -> Result<(), AgentFault> {
        let mut sessions = lock(&self.sessions);
        let of_vnode = || {
            sessions
                .iter()
                .filter(|(_, session)| session.vnode == vnode)
        };
        if of_vnode().count() < SESSIONS_MAX {
            return Ok(());
        }
        let alone = of_vnode()
            .filter_map(|(name, session)| Some((session.audience.alone()?, name.clone())));
        let Some((_, longest)) = alone.max() else {
            return Err(AgentFault::TooManyTerminals(SESSIONS_MAX));
        };
        if let Some(session) = sessions.remove(&longest) {
            session.hang_up();
        }
        Ok(())
    }

    /// Ends the sessions at which nobody has looked for so long.
    pub(super) fn end_lonely(&self, longest: Duration) {
        let sessions = lock(&self.sessions);
        let lonely = sessions
            .values()
            .filter(|s| s.audience.alone().is_some_and(|alone| alone >= longest));
        lonely.for_each(|session| session.hang_up());
    }
}
