//! Puts a vnode's files in place when all of them came.
//!
//! What is to be done is planned from the note that they are whole, and every step may be repeated: whatever was moved already is
//! not there to be moved any more. The note itself is moved last, so whoever finds it in the vnode's directory knows that
//! nothing is left to be done but to delete what nobody needs.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use docklet_control::id::{LogIndex, VnodeId};
use docklet_link::credentials::write_private;
use serde::{Deserialize, Serialize};

use super::chunks::Root;
use super::names::{AHEAD, CHECKPOINT};
use super::staging;
use crate::boot;
use crate::fault::AgentFault;
use crate::rootfs::is_mounted;
use crate::vnode_dir::{StateDir, remove_dir, remove_file, sync_dir};

pub(super) const WHOLE: &str = "whole.json";
const ARRIVED: &str = "arrived.json";
/// What a vnode's directory may get, in the order in which it comes in. The disk is last: with it there is a vnode.
const ENTRIES: [&str; 6] = [
    "snapshots",
    "restored.json",
    "meter",
    AHEAD,
    CHECKPOINT,
    "disk.img",
];
/// What it may have of an earlier stay that would tell a lie: it was prepared for another placement.
const STALE: &str = "placed.json";

/// The note that all files of a vnode came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whole {
    pub vnode: VnodeId,
    /// The move by which they came.
    pub number: LogIndex,
    /// What giver and taker found the last part to be.
    pub root: Root,
    /// What the vnode's directory gets.
    entries: BTreeSet<String>,
    /// The run of the machine in which they came. The image of the processes is of no use in another: it was not synced.
    boot: String,
}

impl Whole {
    pub(super) fn new(
        vnode: VnodeId,
        number: LogIndex,
        root: Root,
        entries: BTreeSet<String>,
    ) -> Result<Self, AgentFault> {
        Ok(Self {
            vnode,
            number,
            root,
            entries,
            boot: boot::id()?,
        })
    }

    pub(super) fn write(&self, state: &StateDir) -> Result<(), AgentFault> {
        let path = state.arrival(self.vnode, self.number).join(WHOLE);
        write_private(&path, &serde_json::to_vec(self)?)?;
        Ok(())
    }

    /// Whether an image of the vnode's processes came that may be used.
    ///
    /// # Errors
    /// The machine does not say when it was started.
    pub fn has_checkpoint(&self) -> Result<bool, AgentFault> {
        Ok(self.entries.contains(CHECKPOINT) && self.boot == boot::id()?)
    }
}

/// The note that all files of a vnode came by this move, as long as they were not adopted.
#[must_use]
pub fn whole(state: &StateDir, vnode: VnodeId, number: LogIndex) -> Option<Whole> {
    let path = state.arrival(vnode, number).join(WHOLE);
    read(path).filter(|note| note.vnode == vnode && note.number == number)
}

/// The note of the move by which a vnode's files came here and were adopted, if they came from another worker.
#[must_use]
pub fn arrived(state: &StateDir, vnode: VnodeId) -> Option<Whole> {
    read(state.vnode(vnode).join(ARRIVED)).filter(|note| note.vnode == vnode)
}

/// One that cannot be read is none: it is written in one piece.
fn read(path: PathBuf) -> Option<Whole> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// One step of adopting; each may be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Deletes a file or a directory, if it is there.
    Clear(PathBuf),
    /// Moves a file or a directory to a place, whatever is there; if it is not there any more, that was done.
    Move(PathBuf, PathBuf),
    /// Brings to the disk what a directory has.
    Sync(PathBuf),
}

impl Step {
    /// Takes it.
    ///
    /// # Errors
    /// A file cannot be moved or deleted.
    pub fn take(&self) -> Result<(), AgentFault> {
        match self {
            Self::Clear(path) => clear(path),
            Self::Sync(dir) => sync_dir(dir),
            Self::Move(from, to) if !from.exists() && to.exists() => Ok(()),
            Self::Move(from, to) => {
                if from.is_dir() {
                    clear(to)?;
                }
                fs::rename(from, to).map_err(AgentFault::file("move", from))
            }
        }
    }
}

fn clear(path: &PathBuf) -> Result<(), AgentFault> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => remove_dir(path),
        Ok(_) | Err(_) => remove_file(path),
    }
}

/// The steps from here on, in order; none if all were taken.
///
/// # Errors
/// Not all files came, or the vnode's disk is in use here.
pub fn steps(state: &StateDir, vnode: VnodeId, number: LogIndex) -> Result<Vec<Step>, AgentFault> {
    let Some(note) = whole(state, vnode, number) else {
        return match arrived(state, vnode).filter(|note| note.number == number) {
            Some(_) => Ok(Vec::new()),
            None => Err(AgentFault::NotArrived {
                vnode: vnode.0,
                number: number.0,
            }),
        };
    };
    if is_mounted(&state.disk(vnode))? {
        let text = format!("vnode {vnode} has a disk here that is mounted");
        return Err(AgentFault::NotReady(text));
    }
    let (from, to) = (state.arrival(vnode, number), state.vnode(vnode));
    let checkpoint = note.has_checkpoint()?;
    let of_boot = |entry: &str| [CHECKPOINT, AHEAD].contains(&entry);
    let comes = |entry: &str| note.entries.contains(entry) && (checkpoint || !of_boot(entry));
    let mut steps = vec![Step::Clear(to.join(STALE)), Step::Clear(to.join(ARRIVED))];
    for entry in ENTRIES {
        steps.push(if comes(entry) {
            Step::Move(from.join(entry), to.join(entry))
        } else {
            Step::Clear(to.join(entry))
        });
    }
    steps.extend([
        Step::Sync(to.clone()),
        Step::Move(from.join(WHOLE), to.join(ARRIVED)),
        Step::Sync(to),
        Step::Sync(from),
    ]);
    Ok(steps)
}

/// Puts a vnode's files in place for the vnode's root. It may be repeated, until the vnode was prepared; what is left of coming goes.
///
/// # Errors
/// Not all files came, or the vnode's disk is in use here, or the worker's file system fails.
pub fn adopt(
    state: &StateDir,
    vnode: VnodeId,
    number: LogIndex,
    owner: u32,
) -> Result<(), AgentFault> {
    let steps = steps(state, vnode, number)?;
    state.create_vnode(vnode, owner)?;
    steps.iter().try_for_each(Step::take)?;
    staging::forget(state, vnode, number)
}
