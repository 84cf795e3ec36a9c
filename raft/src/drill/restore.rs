//! One master tries out a backup beside the cluster: takes it, makes a cluster of it that nobody can reach, and says
//! how long that took and whether it has the same state. No master is hurt, and nothing of it is left.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use docklet_control::drill::command::DrillCommand;
use docklet_control::model::Drill;
use docklet_control::model::drill::{RestoreFigures, RestoreReport};

use super::target;
use crate::master::{Master, STORE_DIR};
use crate::offline::{Leash, Rehearsal, rehearse};
use crate::store::{blocking, rows};

const LEAD: Duration = Duration::from_millis(Drill::LEAD_MS);
/// Where in the data directory it is tried out.
const SCRATCH: &str = "rehearsal";
/// Backup and restored cluster take no more than this many times the state's file, and a log that is made ready.
const SPACE_TIMES: u64 = 3;
const SPACE_BESIDES_BYTES: u64 = 256 << 20;
/// Bytes of a cause that is reported.
const CAUSE_BYTES_MAX: usize = 250;

/// Tries the backup out and says what came of it. Ends early when the drill is aborted.
pub async fn run(master: Master, drill: Drill) {
    let outcome = tokio::select! {
        outcome = carry_out(&master, &drill) => outcome,
        () = target::is_told(&master, &drill) => return,
    };
    tracing::warn!(drill = %drill.id, ?outcome, "a backup was tried out");
    let report = RestoreReport {
        master: master.id(),
        outcome: outcome.map_err(|cause| brief(&cause)),
    };
    let drill = drill.id;
    let command = DrillCommand::ReportRestore { drill, report };
    master.report_drill(command).await;
}

/// Removes what a master that was killed in the middle of it has left.
pub fn remove_leftovers(data_dir: &Path) {
    match fs::remove_dir_all(data_dir.join(SCRATCH)) {
        Ok(()) => tracing::warn!("removed what was left of a backup that was tried out"),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, "cannot remove what is left of a rehearsal"),
    }
}

async fn carry_out(master: &Master, drill: &Drill) -> Result<RestoreFigures, String> {
    let desk = &master.inner.desk;
    let begun = drill.begun.as_ref().ok_or("it has not begun")?.at;
    if begun <= desk.started_at {
        return Err("this master was started after the order".to_owned());
    }
    let means = desk.means.as_ref().ok_or("this master has no directory")?;
    let turn = desk.rehearsing.clone().try_lock_owned();
    let turn = turn.map_err(|_| "an earlier one has not ended yet")?;
    let dir = means.dir.clone();
    let checking = blocking(move || Ok(refuse_little_space(&dir))).await;
    checking.map_err(|fault| fault.to_string())??;
    tokio::time::sleep(LEAD).await;
    let (leash, scratch) = (Leash::default(), means.dir.join(SCRATCH));
    let (alone, end) = (master.clone(), leash.end());
    // It cleans up when it ends, and so it must end by itself, also if this task does not live to see that.
    let rehearsing = tokio::spawn(async move {
        let rehearsed = rehearse(&alone, &scratch, &end).await;
        drop(turn);
        rehearsed
    });
    let within = Duration::from_millis(drill.plan.fault_ms);
    let Ok(ended) = tokio::time::timeout(within, rehearsing).await else {
        return Err(format!("it was not done within {} ms", within.as_millis()));
    };
    let rehearsed = ended.map_err(|error| error.to_string())?;
    Ok(figures(rehearsed.map_err(|fault| told(&fault))?))
}

fn figures(rehearsal: Rehearsal) -> RestoreFigures {
    RestoreFigures {
        index: rehearsal.index,
        bytes: rehearsal.bytes,
        backup_ms: rehearsal.backup_ms,
        restore_ms: rehearsal.restore_ms,
        write_ms: rehearsal.write_ms,
        same_state: rehearsal.same_state,
    }
}

/// A disk that fills up stops its master: a drill must not do that.
fn refuse_little_space(dir: &Path) -> Result<(), String> {
    let state: PathBuf = dir.join(STORE_DIR).join(rows::FILE);
    let state = fs::metadata(&state).map_err(|error| error.to_string())?;
    let needed = state.len().saturating_mul(SPACE_TIMES) + SPACE_BESIDES_BYTES;
    let disk = nix::sys::statvfs::statvfs(dir).map_err(|errno| errno.to_string())?;
    let free = disk.blocks_available().saturating_mul(disk.fragment_size());
    if free >= needed {
        return Ok(());
    }
    Err(format!(
        "it may need {} MiB of disk, and this master has {} MiB free",
        needed >> 20,
        free >> 20
    ))
}

/// The fault with its causes.
fn told(fault: &dyn std::error::Error) -> String {
    let mut text = fault.to_string();
    let mut source = fault.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// As much of it as a report may have.
fn brief(cause: &str) -> String {
    let mut text: String = cause.chars().filter(|c| !c.is_control()).collect();
    while text.len() > CAUSE_BYTES_MAX {
        text.pop();
    }
    text
}
