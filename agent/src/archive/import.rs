//! From an upload, a tar of a root file system or of an OCI layout, to an image: checked, joined and packed anew, so that
//! what is kept was written here.

use std::fs::File;
use std::path::Path;

use docklet_control::model::ImageSpec;

use super::oci::{Layout, Run};
use super::pack::{Packed, pack_tree};
use super::spool::{Extent, Spool};
use super::stop::Stop;
use super::tree::Tree;
use super::{Limits, Unfit};

/// What an upload came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    pub packed: Packed,
    /// How it is run, as far as it says so itself.
    pub spec: Option<ImageSpec>,
    /// `NAME=VALUE` of its first process.
    pub environment: Vec<String>,
    /// Where its first process starts; empty for the root.
    pub directory: String,
}

/// Makes an image of `upload` and writes it to the new file `blob`; contents are kept in `dir` meanwhile.
///
/// # Errors
/// The upload is unfit, or this machine failed.
pub fn import(upload: File, dir: &Path, blob: &Path, limits: &Limits) -> Result<Imported, Unfit> {
    let upload = Extent::whole(upload)?;
    let layout = Layout::of(&upload, dir, limits)?;
    let mut tree = Tree::new(Spool::new(dir)?, *limits);
    let run = match layout {
        Some(layout) => Some(layout.lay(&mut tree)?),
        None => {
            tree.lay(upload.reader(), false)?;
            of_system(&tree)
        }
    };
    if tree.nodes().next().is_none() {
        return Err(Unfit::content("there is nothing in it"));
    }
    if let Some(user) = run
        .as_ref()
        .map(|run| run.user.as_str())
        .filter(|user| !is_root(user))
    {
        let user = super::shown(user.as_bytes());
        let text = format!("it runs as user {user}, and the first process of a vnode is root");
        return Err(Unfit::content(text));
    }
    let packed = pack_tree(&tree, blob, &Stop::default())?;
    Ok(Imported {
        packed,
        environment: run
            .as_ref()
            .map(|run| run.environment.clone())
            .unwrap_or_default(),
        directory: run
            .as_ref()
            .map(|run| run.directory.clone())
            .unwrap_or_default(),
        spec: run.map(|run| run.spec),
    })
}

fn is_root(user: &str) -> bool {
    matches!(user, "" | "0" | "root" | "0:0" | "root:root")
}

/// A system with an init is run by that.
fn of_system(tree: &Tree) -> Option<Run> {
    let init = tree.file_at("sbin/init")?;
    let signal = if init.name() == b"systemd" {
        "SIGRTMIN+3"
    } else if init.name() == b"busybox" {
        "SIGUSR1"
    } else {
        "SIGPWR"
    };
    Some(Run {
        spec: ImageSpec {
            init: vec!["/sbin/init".to_owned()],
            stop_signal: signal.to_owned(),
            stop_timeout_ms: 10_000,
        },
        environment: Vec::new(),
        directory: String::new(),
        user: String::new(),
    })
}
