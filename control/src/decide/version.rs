//! Masters that say what program they run, the cluster's version, and the record of backups, which came with version 2.

use super::{Decision, Ground, plain_text};
use crate::event::Event;
use crate::model::{ClusterVersion, LastBackup, Program};
use crate::permit;
use crate::refusal::Refusal;
use crate::version;

/// A program's version for people is short.
const NAME_LEN_MAX: usize = 100;

pub(super) fn report_program(ground: Ground<'_>, program: &Program) -> Result<Decision, Refusal> {
    let state = ground.state;
    if !state.masters.contains_key(&program.master) {
        return Err(Refusal::not_found("master", program.master));
    }
    plain_text("a program's version", &program.name, NAME_LEN_MAX)?;
    if program.knows < ClusterVersion::FIRST {
        return Err(Refusal::Malformed {
            what: "a cluster version".to_owned(),
            cause: "they are counted from 1".to_owned(),
        });
    }
    version::admit(state, program.knows)?;
    if state.programs.get(&program.master) == Some(program) {
        return Ok(Decision::quiet(Vec::new()));
    }
    let program = program.clone();
    Ok(Decision::quiet(vec![Event::ProgramReported { program }]))
}

pub(super) fn raise(ground: Ground<'_>, to: ClusterVersion) -> Result<Decision, Refusal> {
    if to <= ground.state.version() {
        return Ok(Decision::quiet(Vec::new()));
    }
    version::check_rise(ground.state, to)?;
    let raised = Event::VersionRaised { version: to };
    Ok(Decision::quiet(vec![raised]))
}

pub(super) fn record_backup(ground: Ground<'_>) -> Result<Decision, Refusal> {
    let by = permit::person(ground.state, ground.entry.actor)?.id;
    let backup = LastBackup {
        index: ground.index,
        at: ground.entry.at,
        by,
    };
    Ok(Decision::quiet(vec![Event::BackupTaken { backup }]))
}
