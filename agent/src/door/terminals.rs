//! All terminals of this worker: which there are, whether anybody looks, and when one has been alone for too long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use docklet_control::id::VnodeId;

use super::terminal::Session;
use crate::fault::AgentFault;

/// Sessions of one vnode at once.
const SESSIONS_MAX: usize = 32;

/// The sessions by name.
#[derive(Default)]
pub(crate) struct Terminals {
    sessions: Mutex<HashMap<String, Arc<Session>>>,
    /// Held while a session is opened.
    pub(super) opening: tokio::sync::Mutex<()>,
}

/// Who looks at a session.
pub(super) struct Viewers {
    count: usize,
    /// When the last of them left, or the session began.
    alone_since: Instant,
}

impl Default for Viewers {
    fn default() -> Self {
        Self {
            count: 0,
            alone_since: Instant::now(),
        }
    }
}

impl Viewers {
    /// For how long nobody has looked; none while somebody does.
    fn alone(&self) -> Option<Duration> {
        (self.count == 0).then(|| self.alone_since.elapsed())
    }
}

/// One viewer, until it is dropped.
pub(super) struct Viewing<'s>(&'s Mutex<Viewers>);

impl<'s> Viewing<'s> {
    pub(super) fn begin(viewers: &'s Mutex<Viewers>) -> Self {
        lock(viewers).count += 1;
        Self(viewers)
    }
}

impl Drop for Viewing<'_> {
    fn drop(&mut self) {
        let mut viewers = lock(self.0);
        viewers.count = viewers.count.saturating_sub(1);
        viewers.alone_since = Instant::now();
    }
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
        let alone = of_vnode().filter_map(|(name, session)| Some((alone(session)?, name.clone())));
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
            .filter(|s| alone(s).is_some_and(|alone| alone >= longest));
        lonely.for_each(|session| session.hang_up());
    }
}

fn alone(session: &Session) -> Option<Duration> {
    lock(&session.viewers).alone()
}
