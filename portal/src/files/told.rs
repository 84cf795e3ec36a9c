//! What the audit trail heard of a moment ago: whoever plays a film asks for a hundred parts of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use docklet_control::audit::command::AuditCommand;
use docklet_control::id::SecretHash;

/// For so long it is one and the same.
const SAME_FOR: Duration = Duration::from_secs(60);
const TOLD_MAX: usize = 10_000;
/// By the login and what is done.
static TOLD: Mutex<BTreeMap<(SecretHash, String), Instant>> = Mutex::new(BTreeMap::new());

/// What somebody does to files of a vnode, by one login.
pub(super) struct Told {
    pub(super) session: SecretHash,
    pub(super) command: AuditCommand,
}

impl Told {
    pub(super) fn is_known(&self) -> bool {
        let told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
        told.get(&self.key())
            .is_some_and(|at| at.elapsed() < SAME_FOR)
    }

    pub(super) fn remember(self) {
        let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= TOLD_MAX {
            told.retain(|_, at| at.elapsed() < SAME_FOR);
        }
        if told.len() >= TOLD_MAX {
            // Then it is told once more.
            told.clear();
        }
        told.insert(self.key(), Instant::now());
    }

    fn key(&self) -> (SecretHash, String) {
        (self.session, format!("{:?}", self.command))
    }
}
