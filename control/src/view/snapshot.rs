//! Snapshots as people are shown them.

use serde::{Deserialize, Serialize};

use crate::amount::DiskMib;
use crate::id::{LogIndex, UnixMs, VclusterId};
use crate::model::{
    RestoreSeen, Snapshot, SnapshotRestore, SnapshotSchedule, SnapshotSeen, SnapshotWhy, Vnode,
};
use crate::state::State;

/// All that there is of a vcluster's snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SnapshotsView {
    /// By vnode, the oldest first.
    pub snapshots: Vec<SnapshotView>,
    /// The last of each vnode that had one.
    pub restores: Vec<RestoreView>,
    /// None if none are taken by themselves.
    pub schedule: Option<ScheduleView>,
}

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SnapshotView {
    /// `host-0`.
    pub vnode: String,
    pub name: String,
    /// The entry that asked for it.
    pub number: LogIndex,
    pub why: SnapshotWhy,
    pub asked_at: UnixMs,
    /// When it goes by itself.
    pub expires_at: Option<UnixMs>,
    pub seen: SnapshotSeen,
}

impl SnapshotView {
    /// `host-0@name`.
    #[must_use]
    pub fn called(&self) -> String {
        format!("{}@{}", self.vnode, self.name)
    }

    /// How far it is, in one word.
    #[must_use]
    pub fn condition(&self) -> &'static str {
        match &self.seen {
            SnapshotSeen::Wanted => "wanted",
            SnapshotSeen::Taken { .. } => "taken",
            SnapshotSeen::Failed { .. } => "failed",
        }
    }

    /// What the disk held, what the snapshot takes and how long the vnode stood still, in microseconds.
    #[must_use]
    pub fn measures(&self) -> Option<(DiskMib, u64, u64)> {
        match &self.seen {
            SnapshotSeen::Taken {
                disk_mib,
                used_bytes,
                still_us,
                ..
            } => Some((*disk_mib, *used_bytes, *still_us)),
            SnapshotSeen::Wanted | SnapshotSeen::Failed { .. } => None,
        }
    }

    /// Why there is none; empty if there is nothing to say.
    #[must_use]
    pub fn cause(&self) -> &str {
        match &self.seen {
            SnapshotSeen::Failed { cause } => cause,
            SnapshotSeen::Wanted | SnapshotSeen::Taken { .. } => "",
        }
    }
}

/// A vnode that was, or is to be, put back to a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RestoreView {
    /// `host-0`.
    pub vnode: String,
    /// The snapshot's name.
    pub name: String,
    /// The entry that asked.
    pub number: LogIndex,
    /// Name of the snapshot of what was there before; none if that is gone.
    pub left: Option<String>,
    pub asked_at: UnixMs,
    pub seen: RestoreSeen,
}

/// When they are taken by themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ScheduleView {
    pub every_ms: u64,
    pub keep: u32,
    pub ttl_ms: Option<u64>,
    pub next_at: UnixMs,
    /// Why there was none of some vnode the last time; empty if there is nothing to say.
    pub trouble: String,
}

/// Those of a vcluster's vnodes that stay.
#[must_use]
pub fn of_vcluster(state: &State, vcluster: VclusterId) -> SnapshotsView {
    let vnodes = state.live_vnodes_of(vcluster);
    let snapshots = vnodes
        .iter()
        .flat_map(|vnode| state.shown_snapshots_of(vnode.id).map(|s| show(vnode, s)));
    let restores = vnodes.iter().filter_map(|vnode| {
        let restore = state.snapshot_restores.get(&vnode.id)?;
        Some(show_restore(state, vnode, restore))
    });
    let schedule = state.snapshot_schedules.get(&vcluster);
    SnapshotsView {
        snapshots: snapshots.collect(),
        restores: restores.collect(),
        schedule: schedule.map(show_schedule),
    }
}

fn show(vnode: &Vnode, snapshot: &Snapshot) -> SnapshotView {
    SnapshotView {
        vnode: vnode.hostname(),
        name: snapshot.name.to_string(),
        number: snapshot.number,
        why: snapshot.why,
        asked_at: snapshot.asked_at,
        expires_at: snapshot.expires_at,
        seen: snapshot.seen.clone(),
    }
}

fn show_restore(state: &State, vnode: &Vnode, restore: &SnapshotRestore) -> RestoreView {
    let left = (vnode.id, restore.number);
    let left = state
        .snapshots
        .get(&left)
        .filter(|_| state.kept_as(left).is_none());
    RestoreView {
        vnode: vnode.hostname(),
        name: restore.name.to_string(),
        number: restore.number,
        left: left.map(|left| left.name.to_string()),
        asked_at: restore.asked_at,
        seen: restore.seen.clone(),
    }
}

fn show_schedule(schedule: &SnapshotSchedule) -> ScheduleView {
    ScheduleView {
        every_ms: schedule.rhythm.every_ms,
        keep: schedule.rhythm.keep,
        ttl_ms: schedule.rhythm.ttl_ms,
        next_at: schedule.next_at,
        trouble: schedule.trouble.clone(),
    }
}
