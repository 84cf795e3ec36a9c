//! Empty disks that stand ready: copies of the template used last, which are on the worker's own disk already. Whoever attaches
//! a file that was just written waits until it is there, and for that a new vnode waits longest.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::{copy_sparse, new_file, templates};
use crate::fault::AgentFault;
use crate::vnode_dir::{StateDir, remove_file};

/// So many vnodes begin at once.
const SPARES: usize = 8;

/// Copies of a template of this name.
fn spares(state: &StateDir, template: &str) -> impl Iterator<Item = PathBuf> {
    let dir = state.spares();
    let template = template.to_owned();
    (0..SPARES).map(move |n| dir.join(format!("{template}-{n}")))
}

/// Puts a spare copy of a template at `file`; answers whether there is one on the same file system.
pub(super) fn take(state: &StateDir, template: &str, file: &Path) -> bool {
    spares(state, template).any(|spare| fs::rename(spare, file).is_ok())
}

/// Deletes copies of a template.
pub(super) fn forget(state: &StateDir, template: &str) -> Result<(), AgentFault> {
    spares(state, template).try_for_each(|spare| remove_file(&spare))
}

/// Makes the copies of the template used last that are missing.
///
/// # Errors
/// One cannot be written.
pub(crate) fn make(state: &StateDir) -> Result<(), AgentFault> {
    let known = templates(state)?.into_iter().map(|(_, path)| path);
    // A template that is being made has an extension.
    let Some(path) = known.rev().find(|path| path.extension().is_none()) else {
        return Ok(());
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let missing = spares(state, &name).filter(|spare| !spare.exists());
    for spare in missing {
        copy(&path, &spare)?;
    }
    Ok(())
}

/// Whole and on the disk, or not at all.
fn copy(template: &Path, spare: &Path) -> Result<(), AgentFault> {
    let unfinished = spare.with_extension("new");
    let source = File::open(template).map_err(AgentFault::file("open", template))?;
    let target = new_file(&unfinished)?;
    copy_sparse(&source, &target)
        .and_then(|()| target.sync_all())
        .map_err(AgentFault::file("make", &unfinished))?;
    fs::rename(&unfinished, spare).map_err(AgentFault::file("rename", unfinished))
}
