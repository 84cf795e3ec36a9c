//! How much is in homes on a file system that workers share. What such a home may hold only that file system can enforce
//! at each write; what is done here is to look from time to time, and to start nothing more for whoever has too much.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use docklet_control::amount::DiskMib;
use docklet_control::id::UserId;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::Homes;
use crate::fault::AgentFault;
use crate::meter::layer;
use crate::vnode_dir::StateDir;

/// A look is followed by a rest of so many times its length, and no less than this.
const REST: u32 = 200;
const REST_MIN: Duration = Duration::from_secs(30);

/// Looks go on until this is dropped.
pub(crate) struct Watching(JoinHandle<()>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Looks for good at the homes of people who have vnodes here, if workers share them.
pub(crate) fn watch(
    runtime: &Handle,
    state: &StateDir,
    homes: &Homes,
    used: &Used,
) -> Option<Watching> {
    if !homes.mounted {
        return None;
    }
    let (state, homes, used) = (state.clone(), homes.clone(), used.clone());
    Some(Watching(runtime.spawn(async move {
        loop {
            let (state, homes, used) = (state.clone(), homes.clone(), used.clone());
            let look = move || used.look(&homes, &owners(&state));
            match tokio::task::spawn_blocking(look).await {
                Ok(rest) => tokio::time::sleep(rest).await,
                // The process ends.
                Err(_) => return,
            }
        }
    })))
}

fn owners(state: &StateDir) -> BTreeSet<UserId> {
    let vnodes = state.vnodes().unwrap_or_default().into_iter();
    let placed = vnodes.filter_map(|id| state.placed(id));
    placed.map(|placed| placed.owner).collect()
}

/// What was found at the last look. Clones are the same.
#[derive(Clone, Default)]
pub struct Used {
    bytes: Arc<Mutex<BTreeMap<UserId, u64>>>,
}

impl Used {
    /// Refuses a start for whoever has more in the home than it may hold. Of whose home nobody has looked at yet is not
    /// refused.
    pub(super) fn refuse_overfull(
        &self,
        homes: &Homes,
        user: UserId,
        quota: DiskMib,
    ) -> Result<(), AgentFault> {
        let known = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let used_mib = known.get(&user).map_or(0, |bytes| bytes >> 20);
        if used_mib <= quota.0 {
            return Ok(());
        }
        Err(AgentFault::Home {
            path: homes.dir.join(format!("u{user}")),
            cause: format!(
                "{used_mib} MiB are in it, and it may hold {} MiB: delete something in a vnode that runs and wait a minute, \
                 or have an admin give it more with `docklet home limit`",
                quota.0
            ),
        })
    }

    /// Looks at these homes; answers how long to rest.
    fn look(&self, homes: &Homes, users: &BTreeSet<UserId>) -> Duration {
        let begun = Instant::now();
        let looked = users.iter().filter_map(|user| {
            let bytes = layer::walk(&homes.dir.join(format!("u{user}")))?;
            Some((*user, bytes))
        });
        let found = looked.collect();
        *self.bytes.lock().unwrap_or_else(PoisonError::into_inner) = found;
        (begun.elapsed() * REST).max(REST_MIN)
    }
}
