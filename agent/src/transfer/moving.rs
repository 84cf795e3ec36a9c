//! What is to come from which worker, and how much it may be: a giver that names anything else is not listened to.

use std::collections::BTreeSet;

use docklet_control::id::{LogIndex, VnodeId, WorkerId};

use super::MEMORY_ROUNDS_MAX;
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
    /// Bytes that the image of its processes may have, and each round of memory ahead of it; 0 if none may come.
    pub checkpoint_bytes_max: u64,
    /// Whether rounds of memory are asked for.
    pub live: bool,
}

impl Moving {
    /// Whether a manifest names what was asked for, and no more than may come. So many rounds of memory are here already.
    pub(super) fn check(
        &self,
        part: &Part,
        manifest: &Manifest,
        here: u32,
    ) -> Result<(), AgentFault> {
        let lie = |what: String| Err(AgentFault::Protocol(what));
        let (disk, checkpoint) = (self.disk_bytes_max, self.checkpoint_bytes_max);
        let rounds = match part {
            Part::Memory => [0, here + 1].contains(&manifest.rounds),
            Part::Rest => manifest.rounds <= MEMORY_ROUNDS_MAX,
            Part::Snapshot(_) | Part::Disk => manifest.rounds == 0,
        };
        if !rounds {
            return lie(format!("{} rounds of memory", manifest.rounds));
        }
        let mut names = BTreeSet::new();
        let mut of_rounds = BTreeSet::new();
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
                (Part::Memory | Part::Rest, FileName::Ahead(round, _)) => {
                    of_rounds.insert(*round);
                    (here + 1..=manifest.rounds).contains(round)
                }
                (Part::Snapshot(_) | Part::Disk | Part::Rest | Part::Memory, _) => false,
            };
            if !belongs || !names.insert(name) {
                return lie(format!("a part with {name}"));
            }
            if *length > name.bytes_max(disk, checkpoint) {
                return lie(format!("a {name} of {length} bytes"));
            }
            if let FileName::Checkpoint(_) | FileName::Ahead(..) = name {
                of_checkpoint = (of_checkpoint.0 + 1, of_checkpoint.1.saturating_add(*length));
            }
        }
        if !(here + 1..=manifest.rounds).all(|round| of_rounds.contains(&round)) {
            return lie("fewer rounds of memory than it builds on".to_owned());
        }
        if of_checkpoint.0 > CHECKPOINT_FILES_MAX || of_checkpoint.1 > checkpoint {
            return lie(format!(
                "a {CHECKPOINT} of {} bytes in {} files",
                of_checkpoint.1, of_checkpoint.0
            ));
        }
        if matches!(part, Part::Disk | Part::Rest) && !names.contains(&FileName::Disk) {
            return lie("a part without a disk".to_owned());
        }
        Ok(())
    }
}
