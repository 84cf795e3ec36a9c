//! What is to come from which worker, and how much it may be: a giver that names anything else is not listened to.

use std::collections::BTreeSet;

use docklet_control::id::{LogIndex, VnodeId, WorkerId};

use super::names::{CHECKPOINT, CHECKPOINT_FILES_MAX, FileName};
use super::wire::{Manifest, Part};
use crate::fault::AgentFault;

/// The worker that a vnode leaves.
#[derive(Clone, Debug)]
pub struct Source {
    pub worker: WorkerId,
    /// Its data port.
    pub addr: String,
}

/// What comes, and how much it may be.
#[derive(Clone, Debug)]
pub struct Moving {
    pub vnode: VnodeId,
    /// By which the move is known.
    pub number: LogIndex,
    /// Snapshots that come too, as far as the other worker has them.
    pub snapshots: BTreeSet<LogIndex>,
    /// Bytes that the disk may have, and each snapshot.
    pub disk_bytes_max: u64,
    /// Bytes that the image of its processes may have; 0 if none may come.
    pub checkpoint_bytes_max: u64,
}

impl Moving {
    /// Whether a manifest names what was asked for, and no more than may come.
    pub(super) fn check(&self, part: &Part, manifest: &Manifest) -> Result<(), AgentFault> {
        let lie = |what: String| Err(AgentFault::Protocol(what));
        let (disk, checkpoint) = (self.disk_bytes_max, self.checkpoint_bytes_max);
        let mut names = BTreeSet::new();
        let mut of_checkpoint = (0_usize, 0_u64);
        for (name, length) in &manifest.files {
            let belongs = match (part, name) {
                (
                    Part::Snapshot(asked),
                    FileName::Snapshot(number) | FileName::SnapshotNote(number),
                ) => asked == number,
                (Part::Disk | Part::Rest, FileName::Disk)
                | (Part::Rest, FileName::Restored | FileName::Meter | FileName::Checkpoint(_)) => {
                    true
                }
                (Part::Snapshot(_) | Part::Disk | Part::Rest, _) => false,
            };
            if !belongs || !names.insert(name) {
                return lie(format!("a part with {name}"));
            }
            if *length > name.bytes_max(disk, checkpoint) {
                return lie(format!("a {name} of {length} bytes"));
            }
            if let FileName::Checkpoint(_) = name {
                of_checkpoint = (of_checkpoint.0 + 1, of_checkpoint.1.saturating_add(*length));
            }
        }
        if of_checkpoint.0 > CHECKPOINT_FILES_MAX || of_checkpoint.1 > checkpoint {
            return lie(format!(
                "a {CHECKPOINT} of {} bytes in {} files",
                of_checkpoint.1, of_checkpoint.0
            ));
        }
        if !matches!(part, Part::Snapshot(_)) && !names.contains(&FileName::Disk) {
            return lie("a part without a disk".to_owned());
        }
        Ok(())
    }
}
