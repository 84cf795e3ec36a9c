//! What vnodes have used since their placements began, for as long as the masters want to hear of it: a small file for each
//! placement, beside the vnodes' own directories, so that it outlives them.
//!
//! The kernel counts from nothing each time that a vnode starts; a tally only rises. What is told to the masters is on disk
//! before: an agent that is killed goes on from no less than what it told, and what the kernel counted meanwhile is added when
//! it is back.

mod file;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use docklet_control::assignment::{AssignedTally, Assignment};
use docklet_control::id::{Epoch, VnodeId};
use docklet_control::report::Reading;
use nix::time::{ClockId, clock_gettime};

use crate::fault::AgentFault;
use crate::vnode_dir::{StateDir, make_dir};
use file::{File, Seen};

/// A tally that changed is written this often, also when nothing of it is told.
const WRITE_EVERY_MS: u64 = 5_000;
/// Looks at what runs until one has begun for certain after an assignment.
const LOOKS: u64 = 2;
/// Readings of one message.
pub(crate) const READINGS_MAX: usize = 500;

/// What was seen of a vnode that runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running {
    /// Its cgroup's own number: another one each time that it starts.
    pub(crate) cgroup: u64,
    pub(crate) cpu_us: u64,
    pub(crate) memory_bytes: u64,
    /// Sent and received.
    pub(crate) network_bytes: u64,
    /// Models of its GPUs.
    pub(crate) gpus: Vec<String>,
}

/// The tallies of one worker. Clones are the same.
#[derive(Clone)]
pub struct Tallies {
    dir: PathBuf,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    boot: String,
    every_ms: u64,
    open: BTreeMap<(VnodeId, Epoch), Tally>,
    /// How often it was looked what runs.
    looks: u64,
    /// When the masters were told last of all that changed.
    told_ms: Option<u64>,
}

struct Tally {
    file: File,
    /// Whether the file says less, or may be lost with the machine's power.
    unwritten: bool,
    unsynced: bool,
    written_ms: u64,
    /// Its placement is not this worker's any more since this look; none while it is.
    over_since: Option<u64>,
    /// Whether it has changed since the masters were told.
    news: bool,
    disk_mib: u64,
    ports: u64,
}

impl Tallies {
    /// Takes up what an earlier agent left.
    ///
    /// # Errors
    /// The directory cannot be made or read.
    pub fn open(state: &StateDir, boot: String) -> Result<Self, AgentFault> {
        let dir = state.0.join("tallies");
        make_dir(&dir, 0o700)?;
        let open = file::list(&dir)?.into_iter().map(|(key, file)| {
            let tally = Tally::of(file);
            (key, tally)
        });
        let inner = Inner {
            boot,
            open: open.collect(),
            ..Inner::default()
        };
        Ok(Self {
            inner: Arc::new(Mutex::new(inner)),
            dir,
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the masters want to hear of. What they do not ask for they have recorded to its end.
    pub fn assign(&self, assignment: &Assignment) {
        let mut inner = self.inner();
        let looks = inner.looks;
        let metering = &assignment.metering;
        inner.every_ms = metering.every_ms;
        let wanted = |key: &(VnodeId, Epoch)| {
            let (vnode, epoch) = *key;
            let tally = AssignedTally { vnode, epoch };
            metering.tallies.binary_search(&tally).is_ok()
        };
        let gone: Vec<_> = inner
            .open
            .keys()
            .filter(|key| !wanted(key))
            .copied()
            .collect();
        for key in gone {
            inner.open.remove(&key);
            file::remove(&self.dir, key);
        }
        for wanted in &metering.tallies {
            let key = (wanted.vnode, wanted.epoch);
            let tally = inner
                .open
                .entry(key)
                .or_insert_with(|| Tally::of(File::default()));
            let mut vnodes = assignment.vnodes.iter();
            match vnodes.find(|vnode| (vnode.id, vnode.epoch) == key) {
                Some(vnode) => {
                    let networks = assignment.networks.iter();
                    let own = networks.filter(|network| network.id == vnode.network);
                    let ports = own.flat_map(|network| &network.ports);
                    let ports = ports.filter(|port| port.address == vnode.address);
                    tally.ports = ports.count() as u64;
                    tally.disk_mib = vnode.disk_mib.0;
                    tally.over_since = None;
                }
                None => {
                    tally.over_since.get_or_insert(looks);
                }
            }
        }
    }

    /// Whether anybody wants to hear of a vnode.
    pub(crate) fn counts(&self, vnode: VnodeId) -> bool {
        self.inner().newest(vnode).is_some()
    }

    /// Takes what was seen of all vnodes that run, at `now_ms` of [`awake_ms`].
    pub(crate) fn look(&self, running: &BTreeMap<VnodeId, Running>, now_ms: u64) {
        let mut inner = self.inner();
        inner.looks += 1;
        let boot = inner.boot.clone();
        let mut counted = Vec::new();
        for (vnode, seen) in running {
            let Some(key) = inner.newest(*vnode) else {
                continue;
            };
            counted.push(key);
            inner.take_over(key, seen.cgroup);
            if let Some(tally) = inner.open.get_mut(&key) {
                tally.count(seen, &boot, now_ms);
            }
        }
        for (key, tally) in &mut inner.open {
            if !counted.contains(key) {
                tally.rest();
            }
            if tally.unwritten && now_ms.saturating_sub(tally.written_ms) >= WRITE_EVERY_MS {
                tally.write(&self.dir, *key, now_ms, false);
            }
        }
    }

    /// Everything is to be told anew.
    pub fn tell_anew(&self) {
        let mut inner = self.inner();
        inner.told_ms = None;
        inner.open.values_mut().for_each(|tally| tally.news = true);
    }

    /// What is to be told now. It is on disk before.
    pub(crate) fn readings(&self, now_ms: u64) -> Vec<Reading> {
        let mut inner = self.inner();
        let (every_ms, looks) = (inner.every_ms, inner.looks);
        if every_ms == 0 {
            return Vec::new();
        }
        let told_ms = inner.told_ms;
        let due = told_ms.is_none_or(|told| now_ms.saturating_sub(told) >= every_ms);
        let mut readings = Vec::new();
        for (key, tally) in &mut inner.open {
            let ended = tally.has_ended(looks);
            // What has ended is told at once, and again until it is recorded.
            let wanted = due && (tally.news || ended) || ended && tally.news;
            let kept = !tally.unwritten && !tally.unsynced;
            if !wanted || !kept && !tally.write(&self.dir, *key, now_ms, true) {
                continue;
            }
            tally.news = false;
            readings.push(Reading {
                vnode: key.0,
                epoch: key.1,
                used: tally.file.used(),
                ended,
            });
        }
        if due {
            inner.told_ms = Some(now_ms);
        }
        readings
    }
}

/// Milliseconds for which this machine has been awake since it began: nothing runs while it sleeps.
pub(crate) fn awake_ms() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every kernel has this clock");
    let ms = i128::from(now.tv_sec()) * 1_000 + i128::from(now.tv_nsec()) / 1_000_000;
    u64::try_from(ms).unwrap_or_default()
}

impl Inner {
    fn take_over(&mut self, key: (VnodeId, Epoch), cgroup: u64) {
        let Some(mut newest) = self.open.remove(&key) else {
            return;
        };
        for (_, earlier) in self.open.range_mut((key.0, Epoch(0))..key) {
            newest.file.take_over(&mut earlier.file, cgroup);
        }
        self.open.insert(key, newest);
    }

    /// What runs is of the newest placement.
    fn newest(&self, vnode: VnodeId) -> Option<(VnodeId, Epoch)> {
        let range = (vnode, Epoch(0))..=(vnode, Epoch(u64::MAX));
        let newest = self.open.range(range).next_back();
        newest.map(|(key, _)| *key)
    }
}

impl Tally {
    fn of(file: File) -> Self {
        Self {
            file,
            unwritten: true,
            unsynced: true,
            written_ms: 0,
            over_since: None,
            news: true,
            disk_mib: 0,
            ports: 0,
        }
    }

    fn count(&mut self, seen: &Running, boot: &str, now_ms: u64) {
        let seen = Seen {
            running: seen,
            boot,
            now_ms,
            disk_mib: self.disk_mib,
            ports: self.ports,
        };
        self.file.count(&seen);
        self.changed();
    }

    /// It does not run: what comes next begins anew.
    fn rest(&mut self) {
        if self.file.rest() {
            self.changed();
        }
    }

    fn changed(&mut self) {
        self.unwritten = true;
        self.news = true;
    }

    /// Whether nothing more can come.
    fn has_ended(&self, looks: u64) -> bool {
        let looked = self.over_since.is_some_and(|since| looks >= since + LOOKS);
        looked && !self.file.runs()
    }

    /// Answers whether it is on disk now.
    fn write(&mut self, dir: &std::path::Path, key: (VnodeId, Epoch), at: u64, sync: bool) -> bool {
        match file::write(dir, key, &self.file, sync) {
            Ok(()) => {
                self.written_ms = at;
                self.unwritten = false;
                self.unsynced = !sync;
                true
            }
            Err(fault) => {
                let (vnode, fault) = (key.0, fault.full_text());
                tracing::warn!(%vnode, fault, "a tally is not written, and not told");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;
