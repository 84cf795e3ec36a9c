//! A worker that joins again, with its vnodes' files still here: its cluster was restored from a backup elsewhere, or its
//! certificate has ended or was revoked.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use docklet_control::id::WorkerId;
use docklet_link::credentials::write_private;
use docklet_link::{Credentials, JoinSecret};
use docklet_raft::{JoinAnswer, JoinKind, join};

use super::config::{self, AgentFile};
use super::master::failure;
use crate::client::output::remark;
use crate::exit::{Class, Failure};

/// Where the new credentials wait until they are all there.
const STAGED: &str = "again";
/// The last file to be staged, and the first to be used.
const CONFIGURATION: &str = "agent.toml";

/// Redeems the token for the worker that this directory is of. What an attempt before has staged is used first: its
/// token is spent.
pub async fn join_again(
    token: &JoinSecret,
    kind: JoinKind,
    dir: &Path,
    mut file: AgentFile,
) -> anyhow::Result<WorkerId> {
    let old = Credentials::load(dir).map_err(|fault| {
        let text = format!(
            "{} holds no agent ({fault}): join without --again",
            dir.display()
        );
        Failure::new(Class::NotFound, text)
    })?;
    refuse_running(&file)?;
    let staged = dir.join(STAGED);
    if !staged.join(CONFIGURATION).exists() {
        let answer = join(token, kind, &staged).await.map_err(failure)?;
        refuse_another(&answer, old.identity.id, &staged)?;
        file.masters = answer.masters;
        config::write(&staged.join(CONFIGURATION), &file)?;
    }
    let same_cluster = Credentials::load(&staged)?.identity.cluster == old.identity.cluster;
    if !same_cluster {
        // The old cluster's assignment must not be followed any more.
        forget_assignment(dir)?;
    }
    take_up(&staged, dir)?;
    if !same_cluster {
        warn_of_strangers(dir)?;
    }
    Ok(WorkerId(old.identity.id))
}

/// The agent holds its data port for as long as it runs.
fn refuse_running(file: &AgentFile) -> anyhow::Result<()> {
    match TcpListener::bind(file.data_listen) {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = format!(
                "the data port {} cannot be had ({error}): stop this machine's agent first",
                file.data_listen
            );
            Err(Failure::new(Class::Conflict, text).into())
        }
    }
}

fn refuse_another(answer: &JoinAnswer, id: u64, staged: &Path) -> anyhow::Result<()> {
    if answer.id == id {
        return Ok(());
    }
    fs::remove_dir_all(staged).with_context(|| format!("remove {}", staged.display()))?;
    let text = format!(
        "the cluster knows no worker {id} of that name that must join again, and took this for a new worker {}: give \
         the name that it had; nothing was changed here",
        answer.id
    );
    Err(Failure::new(Class::Conflict, text).into())
}

fn forget_assignment(dir: &Path) -> anyhow::Result<()> {
    let assignment = dir.join("state").join("assignment.json");
    match fs::remove_file(&assignment) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", assignment.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Puts what is staged in the place of what was.
fn take_up(staged: &Path, dir: &Path) -> anyhow::Result<()> {
    for name in ["ca.pem", "own.pem", "own.key", CONFIGURATION] {
        let from = staged.join(name);
        let content = fs::read(&from).with_context(|| format!("read {}", from.display()))?;
        write_private(&dir.join(name), &content)?;
    }
    fs::remove_dir_all(staged).with_context(|| format!("remove {}", staged.display()))
}

/// What was made after the backup is unknown to the cluster, and the agent removes what it is not told to keep.
fn warn_of_strangers(dir: &Path) -> anyhow::Result<()> {
    let vnodes: PathBuf = dir.join("state").join("vnodes");
    let Ok(entries) = fs::read_dir(&vnodes) else {
        return Ok(());
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    if !names.is_empty() {
        remark(&format!(
            "Files of {} vnodes are in {} ({}). When the agent runs, it removes those that the backup does not know: \
             copy away first what was made after it and is still needed.",
            names.len(),
            vnodes.display(),
            names.join(", ")
        ));
    }
    Ok(())
}
