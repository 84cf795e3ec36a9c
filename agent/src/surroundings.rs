//! What programs in a vnode find around them: variables, and where they begin. Noted when its first process starts, so
//! that whatever is run in it later, through whichever agent, has what the first process has. What the first process says
//! of itself by then is its own, and is not asked.

use std::fs;
use std::path::PathBuf;

use docklet_control::amount::VnodeSize;
use docklet_control::id::VnodeId;
use docklet_control::model::ImageRun;
use serde::{Deserialize, Serialize};

use crate::fault::AgentFault;
use crate::vnode_dir::{StateDir, remove_file};

/// Home of the first process, and of whoever else is root.
const HOME: &str = "/root";

/// Those of one vnode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Surroundings {
    /// `NAME=VALUE`; of two that have one name, the later one counts.
    environment: Vec<String>,
    /// What the image says, if it does.
    directory: Option<String>,
    /// Whether the image says which variables there are. A login shell would set some of them otherwise.
    told: bool,
}

impl Surroundings {
    /// Those of a vnode of this size whose image is run so.
    pub(crate) fn new(size: &VnodeSize, run: Option<&ImageRun>) -> Self {
        let of_image = run.map(|run| run.environment.clone()).unwrap_or_default();
        let directory = run.map(|run| run.directory.clone());
        Self {
            told: !of_image.is_empty(),
            environment: usual(size).into_iter().chain(of_image).collect(),
            directory: directory.filter(|directory| !directory.is_empty()),
        }
    }

    /// Those with which the vnode was started: the usual ones if none are noted.
    pub(crate) fn of(state: &StateDir, id: VnodeId) -> Self {
        let noted = fs::read(path(state, id)).ok();
        let noted = noted.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        noted.unwrap_or_else(|| {
            let size = state.placed(id).map(|placed| placed.size);
            Self::new(&size.unwrap_or_default(), None)
        })
    }

    /// Notes them, unless they are the usual ones: then none are noted.
    pub(crate) fn note(&self, state: &StateDir, id: VnodeId) -> Result<(), AgentFault> {
        if !self.told && self.directory.is_none() {
            return remove_file(&path(state, id));
        }
        let bytes = serde_json::to_vec(self)?;
        docklet_link::credentials::write_private(&path(state, id), &bytes)?;
        Ok(())
    }

    /// `NAME=VALUE` of whatever starts in the vnode.
    pub(crate) fn environment(&self) -> Vec<String> {
        self.environment.clone()
    }

    /// Where the first process starts, if the image says so.
    pub(crate) fn directory(&self) -> Option<String> {
        self.directory.clone()
    }

    /// Where a program starts that is run in it: there too, or at home.
    pub(crate) fn directory_of_programs(&self) -> String {
        let mut later_first = self.environment.iter().rev();
        let home = later_first.find_map(|variable| variable.strip_prefix("HOME="));
        let home = home.unwrap_or(HOME).to_owned();
        self.directory().unwrap_or(home)
    }

    /// The line of shell that becomes the shell of a terminal: only the container knows which there is. What a profile
    /// would set anew is as the image says where it says so; elsewhere a login makes it.
    pub(crate) fn shell(&self) -> &'static str {
        if self.told {
            "if [ -x /bin/bash ]; then SHELL=/bin/bash exec /bin/bash; else SHELL=/bin/sh exec /bin/sh; fi"
        } else {
            "if [ -x /bin/bash ]; then SHELL=/bin/bash exec /bin/bash -l; else SHELL=/bin/sh exec /bin/sh -l; fi"
        }
    }
}

fn path(state: &StateDir, id: VnodeId) -> PathBuf {
    state.vnode(id).join("surroundings.json")
}

/// Variables of everything that starts in a vnode. Programs that make a thread for each core would otherwise count the
/// worker's: `nproc` and numerical libraries look there first.
fn usual(size: &VnodeSize) -> Vec<String> {
    let cores = size.cpu_milli.0.div_ceil(1_000);
    [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG=C.UTF-8",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([format!("HOME={HOME}"), format!("OMP_NUM_THREADS={cores}")])
    .collect()
}
