//! The gate: when the cluster's version may rise, who holds it back, and what needs a newer one.
//!
//! Whoever adds a command, or makes decide, evolve or a row come out otherwise, raises [`ClusterVersion::CURRENT`] and
//! asks for that version: of a command here, of anything else with [`State::version`] where it differs. Until every
//! master knows it, all do as the version before did.

use crate::command::Command;
use crate::drill::command::DrillCommand;
use crate::model::drill::DrillKind;
use crate::model::{ClusterVersion, Master, Program, Role};
use crate::refusal::Refusal;
use crate::state::State;

/// The version from which on a command may be asked for: before, some master could not read what comes of it.
#[must_use]
pub fn needed(command: &Command) -> ClusterVersion {
    match command {
        Command::Image(_)
        | Command::Snapshot(_)
        | Command::Limit(_)
        | Command::Group(_)
        | Command::Schedule(_)
        | Command::Move(_)
        | Command::Drain(_)
        | Command::Rebalance(_)
        | Command::Quota(_)
        | Command::SetRole { .. }
        | Command::Account(_)
        | Command::Template(_)
        | Command::Audit(_)
        | Command::Setting(_)
        | Command::Trash(_)
        | Command::Idle(_)
        | Command::Notice(_)
        | Command::Bean(_)
        | Command::Service(_)
        | Command::Terminal(_)
        | Command::Identity(_)
        | Command::Acme(_)
        | Command::Certificate(_) => ClusterVersion(3),
        Command::CreateUser {
            role: Role::Operator,
            ..
        } => ClusterVersion(3),
        Command::Drill(command) => needed_for_drill(command),
        Command::RecordBackup => ClusterVersion(2),
        Command::AddPort { .. }
        | Command::RemovePort { .. }
        | Command::LimitBandwidth { .. }
        | Command::CreateVclusterWith(_)
        | Command::ResizeVcluster { .. }
        | Command::SetDiskOvercommit { .. } => ClusterVersion(3),
        Command::InitCluster(_)
        | Command::CreateJoinToken { .. }
        | Command::JoinMaster { .. }
        | Command::JoinWorker { .. }
        | Command::DescribeWorker { .. }
        | Command::MarkWorker { .. }
        | Command::CreateUser { .. }
        | Command::ChangePassword { .. }
        | Command::OpenSession { .. }
        | Command::CloseSession { .. }
        | Command::ForgetExpired
        | Command::RegisterImage { .. }
        | Command::ReportImage { .. }
        | Command::CreateVcluster { .. }
        | Command::StartVcluster { .. }
        | Command::StopVcluster { .. }
        | Command::ScaleVcluster { .. }
        | Command::DeleteVcluster { .. }
        | Command::PlaceVnodes { .. }
        | Command::ReportVnodes { .. }
        | Command::RemoveMaster { .. }
        | Command::ReplaceMaster { .. }
        | Command::SetAutopilot { .. }
        | Command::ReportDivergence { .. }
        | Command::RestoreCluster { .. }
        | Command::RecoverCluster { .. }
        | Command::ReportProgram { .. }
        | Command::RaiseVersion { .. } => ClusterVersion::FIRST,
    }
}

fn needed_for_drill(command: &DrillCommand) -> ClusterVersion {
    match command {
        DrillCommand::Start { ask, .. } if ask.kind == DrillKind::WorkerLoss => ClusterVersion(3),
        DrillCommand::NoteLoss { .. }
        | DrillCommand::ReportLoss { .. }
        | DrillCommand::ReportService { .. } => ClusterVersion(3),
        DrillCommand::Start { .. }
        | DrillCommand::Begin { .. }
        | DrillCommand::TakeOver { .. }
        | DrillCommand::Probe { .. }
        | DrillCommand::ReportFault { .. }
        | DrillCommand::ReportRestore { .. }
        | DrillCommand::Abort { .. }
        | DrillCommand::Check { .. }
        | DrillCommand::ReportProbes { .. }
        | DrillCommand::Finish { .. } => ClusterVersion::FIRST,
    }
}

/// Refuses what the cluster has not come to yet.
///
/// # Errors
/// `VersionTooLow`.
pub fn check(state: &State, command: &Command) -> Result<(), Refusal> {
    let (needs, has) = (needed(command), state.version());
    if needs <= has {
        return Ok(());
    }
    Err(Refusal::VersionTooLow {
        action: command.name().to_owned(),
        needs: needs.0,
        has: has.0,
    })
}

/// Refuses a master whose program does not know what the cluster has agreed on.
///
/// # Errors
/// `ProgramTooOld`.
pub fn admit(state: &State, knows: ClusterVersion) -> Result<(), Refusal> {
    let agreed = state.version();
    if knows >= agreed {
        return Ok(());
    }
    Err(Refusal::ProgramTooOld {
        knows: knows.0,
        agreed: agreed.0,
    })
}

/// What a master's program knows. Whoever has not said so yet knows the first version.
#[must_use]
pub fn known_by(state: &State, master: &Master) -> ClusterVersion {
    let program = state.programs.get(&master.id);
    program.map_or(ClusterVersion::FIRST, |program| program.knows)
}

/// What a master should say of itself; none if the state has it already.
#[must_use]
pub fn to_report(state: &State, program: &Program) -> Option<Command> {
    let said = state.programs.get(&program.master);
    let news = match said {
        None => program.knows > ClusterVersion::FIRST,
        Some(said) => said != program,
    };
    let here = state.masters.contains_key(&program.master);
    (news && here).then(|| Command::ReportProgram {
        program: program.clone(),
    })
}

/// The next step that every master is ready for.
#[must_use]
pub fn due(state: &State) -> Option<Command> {
    let known = state.masters.values().map(|master| known_by(state, master));
    let to = known.min().unwrap_or(ClusterVersion::FIRST);
    (to > state.version()).then_some(Command::RaiseVersion { to })
}

/// Refuses a rise that some master is not ready for.
///
/// # Errors
/// `VersionHeldBack`.
pub(crate) fn check_rise(state: &State, to: ClusterVersion) -> Result<(), Refusal> {
    let by = behind(state, to);
    if by.is_empty() {
        return Ok(());
    }
    Err(Refusal::VersionHeldBack {
        to: to.0,
        by: by.join(", "),
    })
}

fn behind(state: &State, version: ClusterVersion) -> Vec<String> {
    let masters = state.masters.values();
    let behind = masters.filter(|master| known_by(state, master) < version);
    behind.map(|master| master.name.to_string()).collect()
}

/// The newest version that some master knows, and the names of those that do not; none if there is no such version.
#[must_use]
pub fn held_back(state: &State) -> Option<(ClusterVersion, Vec<String>)> {
    let known = state.masters.values().map(|master| known_by(state, master));
    let newest = known.max()?;
    let by = behind(state, newest);
    (!by.is_empty()).then_some((newest, by))
}

/// The same in a sentence for admins.
#[must_use]
pub fn warning(state: &State) -> Option<String> {
    let (newest, by) = held_back(state)?;
    Some(format!(
        "The cluster's version stays {} until {} run a Docklet that knows {newest}, as the others do: upgrade or remove them.",
        state.version(),
        by.join(", "),
    ))
}
