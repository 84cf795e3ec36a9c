//! One tally as it is kept: what was used, and where the kernel's counters stood when that was so.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use docklet_control::id::{Epoch, VnodeId};
use docklet_control::model::Used;
use serde::{Deserialize, Serialize};

use super::Running;
use crate::fault::AgentFault;

const MIB: u64 = 1 << 20;

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct File {
    used: Used,
    /// Of the CPU, to the microsecond: what `used` says of it is this in milliseconds.
    cpu_us: u64,
    /// None while it does not run.
    run: Option<Run>,
}

/// One run of a vnode, as far as it is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    /// Which start of the machine.
    boot: String,
    /// Which cgroup.
    cgroup: u64,
    at_ms: u64,
    cpu_us: u64,
    network_bytes: u64,
}

/// What was seen, and what its limits are.
pub(super) struct Seen<'s> {
    pub(super) running: &'s Running,
    pub(super) boot: &'s str,
    pub(super) now_ms: u64,
    pub(super) disk_mib: u64,
    pub(super) ports: u64,
}

impl File {
    pub(super) fn used(&self) -> Used {
        self.used.clone()
    }

    pub(super) fn runs(&self) -> bool {
        self.run.is_some()
    }

    /// Adds what came since the last look of the same run; of another run all of it.
    pub(super) fn count(&mut self, seen: &Seen<'_>) {
        let now = seen.running;
        let same = self.run.take().filter(|run| {
            let same = run.boot == seen.boot && run.cgroup == now.cgroup;
            same && run.at_ms <= seen.now_ms
        });
        let before = same.unwrap_or_else(|| Run {
            at_ms: seen.now_ms,
            ..Run::default()
        });
        let elapsed_ms = seen.now_ms - before.at_ms;
        self.cpu_us = self.cpu_us.saturating_add(grown(before.cpu_us, now.cpu_us));
        let used = &mut self.used;
        let cpu_ms = (self.cpu_us / 1_000).saturating_sub(used.cpu_ms);
        let memory_mib = now.memory_bytes.div_ceil(MIB);
        add(&mut used.cpu_ms, cpu_ms);
        add(&mut used.cpu_ms_mib, cpu_ms.saturating_mul(memory_mib));
        add(&mut used.run_ms, elapsed_ms);
        add(
            &mut used.memory_mib_ms,
            elapsed_ms.saturating_mul(memory_mib),
        );
        add(
            &mut used.disk_mib_ms,
            elapsed_ms.saturating_mul(seen.disk_mib),
        );
        add(&mut used.port_ms, elapsed_ms.saturating_mul(seen.ports));
        let bytes = grown(before.network_bytes, now.network_bytes);
        add(&mut used.network_bytes, bytes);
        for model in &now.gpus {
            add(used.gpu_ms.entry(model.clone()).or_default(), elapsed_ms);
        }
        used.gpu_ms.retain(|_, ms| *ms > 0);
        self.run = Some(Run {
            boot: seen.boot.to_owned(),
            cgroup: now.cgroup,
            at_ms: seen.now_ms,
            cpu_us: now.cpu_us,
            network_bytes: now.network_bytes,
        });
    }

    /// Goes on where the tally of an earlier placement stands, if what runs is still the same: that part is counted there.
    pub(super) fn take_over(&mut self, earlier: &mut Self, cgroup: u64) {
        let same = |run: &mut Run| run.cgroup == cgroup;
        if self.run.is_none() {
            self.run = earlier.run.take_if(same);
        }
    }

    /// It does not run any more; answers whether it did.
    pub(super) fn rest(&mut self) -> bool {
        self.run.take().is_some()
    }
}

/// A counter that is lower now began anew in between.
fn grown(before: u64, now: u64) -> u64 {
    if now < before { now } else { now - before }
}

fn add(amount: &mut u64, more: u64) {
    *amount = amount.saturating_add(more).min(Used::MOST);
}

fn path(dir: &Path, (vnode, epoch): (VnodeId, Epoch)) -> PathBuf {
    dir.join(format!("v{vnode}-{epoch}.json"))
}

fn key(name: &str) -> Option<(VnodeId, Epoch)> {
    let (vnode, epoch) = name
        .strip_prefix('v')?
        .strip_suffix(".json")?
        .split_once('-')?;
    Some((vnode.parse().ok()?, Epoch(epoch.parse().ok()?)))
}

/// All that are there. What a crash left of one that was being written is none; one that cannot be read is told, and begun
/// anew: the masters charge nothing until it is more again than what they know.
pub(super) fn list(dir: &Path) -> Result<BTreeMap<(VnodeId, Epoch), File>, AgentFault> {
    let named = |source| AgentFault::file("list", dir)(source);
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(named)? {
        let entry = entry.map_err(named)?;
        let Some(key) = key(&entry.file_name().to_string_lossy()) else {
            continue;
        };
        let read = fs::read(entry.path()).map_err(named)?;
        match serde_json::from_slice(&read) {
            Ok(file) => {
                files.insert(key, file);
            }
            Err(error) => {
                let path = entry.path();
                tracing::error!(path = %path.display(), %error, "a tally is unreadable");
            }
        }
    }
    Ok(files)
}

/// In one step, whatever crashes.
pub(super) fn write(
    dir: &Path,
    key: (VnodeId, Epoch),
    file: &File,
    sync: bool,
) -> Result<(), AgentFault> {
    let (path, bytes) = (path(dir, key), serde_json::to_vec(file)?);
    if sync {
        docklet_link::credentials::write_private(&path, &bytes)?;
        return Ok(());
    }
    let staged = path.with_extension("new");
    fs::write(&staged, &bytes).map_err(AgentFault::file("write", &staged))?;
    fs::rename(&staged, &path).map_err(AgentFault::file("write", &path))
}

/// Takes it away, if it is there.
pub(super) fn remove(dir: &Path, key: (VnodeId, Epoch)) {
    if let Err(error) = fs::remove_file(path(dir, key))
        && error.kind() != std::io::ErrorKind::NotFound
    {
        let vnode = key.0;
        tracing::warn!(%vnode, %error, "a tally that nobody needs stays");
    }
}
