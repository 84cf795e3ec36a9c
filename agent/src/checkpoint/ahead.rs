//! Memory of a vnode that runs, written to files round by round ahead of its checkpoint: each round has the pages that
//! were written to since the one before, and the checkpoint those that were written to since the last.
//!
//! Rounds are of use only together, and only for a checkpoint that follows them: the kernel says no more than what changed
//! since it was asked last. So one that fails takes those before it along, and the checkpoint is written as a whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use docklet_control::id::VnodeId;

use super::places::{AHEAD_LOG, Places, STATISTICS};
use super::{cause, chain, criu, strays};
use crate::act;
use crate::fault::AgentFault;
use crate::host::linux::LinuxHost;
use crate::lxc::{CheckpointRequest, Extent, HelperRequest};
use crate::transfer::MEMORY_ROUNDS_MAX;
use crate::vnode_dir::{container_name, make_dir, remove_file};

/// One that writes memory or a checkpoint of a vnode at a time.
#[derive(Default)]
pub(crate) struct Turns(Mutex<BTreeMap<VnodeId, Arc<Mutex<()>>>>);

impl Turns {
    /// Waits for whoever has the turn.
    pub(super) fn with<T>(&self, id: VnodeId, with: impl FnOnce() -> T) -> T {
        let all = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all().entry(id).or_default().clone();
        let turn = own.lock().unwrap_or_else(PoisonError::into_inner);
        let done = with();
        drop(turn);
        let mut all = all();
        drop(own);
        // Whoever waits for it has it, too.
        if all
            .get(&id)
            .is_some_and(|left| Arc::strong_count(left) == 1)
        {
            all.remove(&id);
        }
        done
    }
}

/// Whether the kernel says which memory was written to; asked once.
fn is_possible() -> bool {
    static POSSIBLE: OnceLock<bool> = OnceLock::new();
    *POSSIBLE.get_or_init(criu::tracks_memory)
}

/// Writes the next round of a vnode that runs; answers its number, none if there is to be none: the kernel does not track
/// memory, or enough rounds were written. The vnode stands still only while its pages are noted.
///
/// # Errors
/// It does not run, or CRIU cannot; then there are no rounds of it any more.
pub fn write(host: &LinuxHost, id: VnodeId) -> Result<Option<u32>, AgentFault> {
    if !is_possible() {
        return Ok(None);
    }
    host.writing.with(id, || {
        let places = Places::of(&host.state, id);
        let before = places.rounds()?;
        let taken = places.begun.exists() || places.whole.exists();
        if before >= MEMORY_ROUNDS_MAX || taken || !host.seen(id)?.running {
            return Ok(None);
        }
        let written = round(host, id, &places, before);
        if written.is_err() {
            places.remove_rounds()?;
        }
        written.map(|()| Some(before + 1))
    })
}

fn round(host: &LinuxHost, id: VnodeId, places: &Places, before: u32) -> Result<(), AgentFault> {
    make_dir(&places.ahead, 0o700)?;
    make_dir(&places.round_begun(), 0o700)?;
    let answer = host.state.answer(&format!("ahead-{id}"));
    let environment = criu::environment(&host.state)?;
    let helper = host
        .config
        .helpers
        .helper_with(answer, &environment.pairs());
    let asked = helper.and_then(|helper| {
        helper.ask(&HelperRequest::Checkpoint(CheckpointRequest {
            lxc_path: host.state.lxc_path(),
            name: container_name(id),
            directory: places.round_begun(),
            before: chain::before_round(before + 1),
            extent: Extent::Memory,
        }))
    });
    if let Err(fault) = asked {
        return Err(undo(host, id, places, fault));
    }
    remove_file(&places.round_begun().join(AHEAD_LOG))?;
    remove_file(&places.round_begun().join(STATISTICS))?;
    let whole = places.round(before + 1);
    fs::rename(places.round_begun(), &whole).map_err(AgentFault::file("rename", whole))
}

/// A round that failed leaves the vnode running, unless somebody killed CRIU at work on it.
fn undo(host: &LinuxHost, id: VnodeId, places: &Places, fault: AgentFault) -> AgentFault {
    let whole = settle(&places.round_begun());
    let log = fs::read_to_string(places.round_begun().join(AHEAD_LOG)).unwrap_or_default();
    if !whole && let Err(fault) = act::stop(host, id, 0) {
        tracing::error!(fault = fault.full_text(), "what a round of memory left");
    }
    match cause::of(&log, strays::name) {
        Some(cause) => AgentFault::Checkpoint(cause),
        None => act::with_log(host, id, fault),
    }
}

/// Lets CRIU come to its end, which a helper that died does not take along; answers whether the vnode is as it was.
pub(super) fn settle(begun: &Path) -> bool {
    let waited = strays::wait(begun);
    let log = fs::read_to_string(begun.join(AHEAD_LOG)).unwrap_or_default();
    waited && cause::ended_by_itself(&log)
}

/// Deletes the rounds of a vnode, unless a checkpoint of it builds on them.
pub(crate) fn forget(host: &LinuxHost, id: VnodeId) -> Result<(), AgentFault> {
    host.writing.with(id, || {
        let places = Places::of(&host.state, id);
        if places.begun.exists() || places.whole.exists() || places.used.exists() {
            return Ok(());
        }
        places.remove_rounds()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_vnode_is_at_work_at_a_time_and_nothing_of_it_stays() {
        let turns = Turns::default();
        let at_work = Mutex::new(());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    turns.with(VnodeId(7), || {
                        let alone = at_work.try_lock();
                        std::thread::yield_now();
                        assert!(alone.is_ok());
                    });
                });
            }
        });
        assert!(turns.0.lock().expect("nobody died").is_empty());
    }
}
