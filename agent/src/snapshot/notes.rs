//! Where a vnode's snapshots are, and what is noted of them.
//!
//! ```text
//! STATE/vnodes/v7/snapshots/41.img   a disk as it was, whole
//!                           41.part  one that is being made
//!                           41.json  what came of it
//! STATE/vnodes/v7/disk.restored      what is to take the disk's place
//!                 restored.json      what came of the last restore
//!                 looked-at/         one of them, while an image is made of it
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::PathBuf;

use docklet_control::id::{LogIndex, VnodeId};
use docklet_control::report::SnapshotTold;
use docklet_link::credentials::write_private;
use serde::{Deserialize, Serialize};

use crate::fault::AgentFault;
use crate::vnode_dir::StateDir;

/// What there is of a vnode's snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenSnapshots {
    /// What came of them, by number. One that is said to be taken is there.
    pub told: BTreeMap<LogIndex, SnapshotTold>,
    /// Numbers of which there is anything.
    pub numbers: BTreeSet<LogIndex>,
    /// What came of the last restore.
    pub restored: Option<(LogIndex, SnapshotTold)>,
}

impl SeenSnapshots {
    /// One more, of which this is noted.
    pub(crate) fn keep(&mut self, number: LogIndex, told: SnapshotTold) {
        self.numbers.insert(number);
        self.told.insert(number, told);
    }

    /// Whether a restore was carried out, or given up.
    #[must_use]
    pub fn has_ended(&self, restore: LogIndex) -> bool {
        self.restored
            .as_ref()
            .is_some_and(|(number, _)| *number >= restore)
    }
}

/// What came of a snapshot or a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) number: LogIndex,
    pub(super) told: SnapshotTold,
    /// First user id of its files' owners.
    pub(super) uid_base: u32,
}

impl Note {
    pub(super) fn new(number: LogIndex, told: SnapshotTold, uid_base: u32) -> Self {
        Self {
            number,
            told,
            uid_base,
        }
    }

    pub(super) fn write(&self, places: &Places) -> Result<(), AgentFault> {
        self.write_to(places.note(self.number))
    }

    pub(super) fn write_as_restored(&self, places: &Places) -> Result<(), AgentFault> {
        self.write_to(places.restored())
    }

    fn write_to(&self, path: PathBuf) -> Result<(), AgentFault> {
        write_private(&path, &serde_json::to_vec(self)?)?;
        Ok(())
    }

    /// One that cannot be read is none: it is written in one piece, so it is none of ours.
    pub(super) fn read(path: PathBuf) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }
}

/// Paths of one vnode's snapshots.
#[derive(Clone, Debug)]
pub struct Places(PathBuf);

impl Places {
    #[must_use]
    pub fn of(state: &StateDir, id: VnodeId) -> Self {
        Self(state.vnode(id))
    }

    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.0.join("snapshots")
    }

    /// A disk as it was.
    #[must_use]
    pub fn disk(&self, number: LogIndex) -> PathBuf {
        self.dir().join(format!("{number}.img"))
    }

    pub(super) fn part(&self, number: LogIndex) -> PathBuf {
        self.dir().join(format!("{number}.part"))
    }

    pub(super) fn note(&self, number: LogIndex) -> PathBuf {
        self.dir().join(format!("{number}.json"))
    }

    /// What is to take the disk's place.
    pub(super) fn coming(&self) -> PathBuf {
        self.0.join("disk.restored")
    }

    /// Where one is mounted for reading.
    pub(super) fn looked_at(&self) -> PathBuf {
        self.0.join("looked-at")
    }

    fn restored(&self) -> PathBuf {
        self.0.join("restored.json")
    }

    /// Looks.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn look(&self) -> Result<SeenSnapshots, AgentFault> {
        let mut seen = SeenSnapshots {
            restored: Note::read(self.restored()).map(|note| (note.number, note.told)),
            ..SeenSnapshots::default()
        };
        let mut disks = BTreeSet::new();
        let dir = self.dir();
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(seen),
            entries => entries.map_err(AgentFault::file("list", &dir))?,
        };
        for entry in entries {
            let name = entry.map_err(AgentFault::file("list", &dir))?.file_name();
            let name = name.to_string_lossy();
            let Some((number, what)) = name.split_once('.') else {
                continue;
            };
            let Some(number) = number.parse().ok().map(LogIndex) else {
                continue;
            };
            seen.numbers.insert(number);
            match what {
                "img" => drop(disks.insert(number)),
                "json" => {
                    let note = Note::read(self.note(number)).filter(|n| n.number == number);
                    seen.told.extend(note.map(|note| (number, note.told)));
                }
                _ => {}
            }
        }
        // A note without its disk says nothing.
        let there = |number: &LogIndex, told: &SnapshotTold| {
            disks.contains(number) || !matches!(told, SnapshotTold::Taken { .. })
        };
        seen.told.retain(|number, told| there(number, told));
        Ok(seen)
    }
}
