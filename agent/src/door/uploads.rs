//! What is left of uploads that nobody goes on with. The worker remembers the directories of a vnode where some began, on its
//! disk, and has them looked through from time to time by a process of that vnode, as every other act on its files.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use docklet_control::file_path::FilePath;
use docklet_control::file_wire::{FileAsk, FileSaid};
use docklet_control::id::VnodeId;

use super::Door;
use super::files::spawn;
use super::terminals::lock;
use crate::fault::AgentFault;
use crate::files::frame::{self, Frame};
use crate::vnode_dir::{StateDir, remove_file};

/// Directories of one vnode that are remembered. What began elsewhere goes when the next file comes there.
const DIRECTORIES_MAX: usize = 1_000;
const LOOK_EVERY_MIN: Duration = Duration::from_millis(50);
const LOOK_EVERY_MAX: Duration = Duration::from_secs(3_600);
/// A vnode that takes longer to say what is left is asked at the next look.
const SWEEP_DEADLINE: Duration = Duration::from_secs(60);

/// One writes a note at a time.
static WRITING: Mutex<()> = Mutex::new(());

fn note_of(state: &StateDir, vnode: VnodeId) -> PathBuf {
    state.vnode(vnode).join("uploads.json")
}

/// A note that is lost or none costs nothing but that what it told of stays for longer.
fn read(state: &StateDir, vnode: VnodeId) -> BTreeSet<FilePath> {
    let text = fs::read(note_of(state, vnode)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn change(
    state: &StateDir,
    vnode: VnodeId,
    with: impl FnOnce(&mut BTreeSet<FilePath>),
) -> Result<(), AgentFault> {
    let _turn = lock(&WRITING);
    let before = read(state, vnode);
    let mut directories = before.clone();
    with(&mut directories);
    let path = note_of(state, vnode);
    if directories == before {
        return Ok(());
    }
    if directories.is_empty() {
        return remove_file(&path);
    }
    let new = path.with_extension("new");
    let written = fs::write(&new, serde_json::to_vec(&directories)?);
    let written = written.and_then(|()| fs::rename(&new, &path));
    written.map_err(AgentFault::file("write", path))
}

/// An upload to this file goes on: something of it may be left one day.
pub(super) fn remember(state: &StateDir, vnode: VnodeId, path: &FilePath) {
    let Some((directory, _)) = path.split() else {
        return;
    };
    let noted = change(state, vnode, |directories| {
        if directories.len() < DIRECTORIES_MAX {
            directories.insert(directory);
        }
    });
    if let Err(fault) = noted {
        tracing::warn!(%vnode, fault = fault.full_text(), "an upload is not remembered");
    }
}

/// Remembers an upload if it broke off.
pub(super) struct Unfinished<'d> {
    door: &'d Door,
    vnode: VnodeId,
    path: Option<FilePath>,
}

impl<'d> Unfinished<'d> {
    pub(super) fn new(door: &'d Door, vnode: VnodeId, path: Option<FilePath>) -> Self {
        Self { door, vnode, path }
    }

    pub(super) fn ended_well(mut self) {
        self.path = None;
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            remember(self.door.host.state(), self.vnode, path);
        }
    }
}

/// Has all that is remembered looked through, again and again.
pub(super) async fn sweep(door: &Arc<Door>) {
    let kept = door.config.uploads_kept;
    let look_every = (kept / 24).clamp(LOOK_EVERY_MIN, LOOK_EVERY_MAX);
    loop {
        tokio::time::sleep(look_every).await;
        for vnode in noted(door.host.state()) {
            let runs = door.host.seen(vnode).is_ok_and(|seen| seen.running);
            let swept = async {
                let swept = tokio::time::timeout(SWEEP_DEADLINE, sweep_one(door, vnode, kept));
                let late =
                    |_| AgentFault::Protocol("a vnode that does not say what is left".to_owned());
                swept.await.map_err(late)?
            };
            if runs && let Err(fault) = swept.await {
                tracing::debug!(%vnode, fault = fault.full_text(), "uploads stay for now");
            }
        }
    }
}

/// Vnodes of which something is remembered.
fn noted(state: &StateDir) -> Vec<VnodeId> {
    let here = state.vnodes().unwrap_or_default().into_iter();
    here.filter(|vnode| note_of(state, *vnode).exists())
        .collect()
}

async fn sweep_one(door: &Door, vnode: VnodeId, kept: Duration) -> Result<(), AgentFault> {
    let Some(turn) = door.files.take(vnode) else {
        return Ok(());
    };
    let state = door.host.state();
    let asked = read(state, vnode);
    let ask = FileAsk::Sweep {
        directories: asked.iter().cloned().collect(),
        older_s: kept.as_secs(),
    };
    let mut act = spawn(door, vnode, ask)?;
    while let Some(frame) = frame::next(&mut act.stdout).await? {
        let Frame::Word(word) = frame else { break };
        if let FileSaid::Swept { left } = serde_json::from_str(&word)? {
            let left: BTreeSet<FilePath> = left.into_iter().collect();
            // What came meanwhile was not asked for, and what was not asked for is no answer. Another act may have begun an upload
            // where nothing was left a moment before: then the next look tells.
            change(state, vnode, |directories| {
                if turn.is_alone() {
                    directories.retain(|dir| !asked.contains(dir) || left.contains(dir));
                }
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_uploads_began_is_remembered_until_nothing_is_left() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = StateDir(dir.path().to_owned());
        let vnode = VnodeId(7);
        fs::create_dir_all(state.vnode(vnode)).expect("made");
        let path = |text: &str| FilePath::parse(text).expect("a path");
        remember(&state, vnode, &path("/root/a"));
        remember(&state, vnode, &path("/root/b"));
        remember(&state, vnode, &path("/srv/a"));
        let both = BTreeSet::from([path("/root"), path("/srv")]);
        assert_eq!(read(&state, vnode), both);
        fs::write(note_of(&state, vnode), "[\"/root\",\"..\"]").expect("written");
        assert!(read(&state, vnode).is_empty(), "what is no note is none");
        remember(&state, vnode, &path("/root/a"));
        change(&state, vnode, BTreeSet::clear).expect("changed");
        assert!(!note_of(&state, vnode).exists());
    }
}
