//! What a token of a program may do of what its person may: the one table that decides it for every door. It only narrows;
//! what the person may do says [`crate::permit`].

use std::net::IpAddr;

use crate::account::command::AccountCommand;
use crate::account::refusal::AccountRefusal;
use crate::acme::command::AcmeCommand;
use crate::audit::command::AuditCommand;
use crate::bean::command::BeanCommand;
use crate::certificate::command::CertificateCommand;
use crate::command::{Actor, Command};
use crate::drill::command::DrillCommand;
use crate::id::{LogIndex, SecretHash, UnixMs, UserId};
use crate::identity::command::IdentityCommand;
use crate::image::command::ImageCommand;
use crate::limit::command::LimitCommand;
use crate::model::account::{ApiToken, Login, Scope};
use crate::model::kept::KeptKind;
use crate::model::{SessionKind, User};
use crate::moves::command::MoveCommand;
use crate::notice::bug::BugCommand;
use crate::notice::command::NoticeCommand;
use crate::notice::mail::MailCommand;
use crate::permit;
use crate::refusal::Refusal;
use crate::schedule::command::ScheduleCommand;
use crate::service::command::ServiceCommand;
use crate::snapshot::command::SnapshotCommand;
use crate::state::State;
use crate::terminal::command::TerminalCommand;
use crate::trash::command::TrashCommand;

/// What a token must have for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Scope(Scope),
    /// No token ever: what gives access to accounts needs a password.
    Login,
    /// It is not for people at all.
    Machine,
}

/// The table.
#[must_use]
pub fn takes(command: &Command) -> Takes {
    match command {
        Command::InitCluster(_)
        | Command::JoinMaster { .. }
        | Command::JoinWorker { .. }
        | Command::DescribeWorker { .. }
        | Command::MarkWorker { .. }
        | Command::OpenSession { .. }
        | Command::ForgetExpired
        | Command::ReportImage { .. }
        | Command::PlaceVnodes { .. }
        | Command::ReportVnodes { .. }
        | Command::ReportDivergence { .. }
        | Command::RestoreCluster { .. }
        | Command::RecoverCluster { .. }
        | Command::ReportProgram { .. }
        | Command::RaiseVersion { .. } => Takes::Machine,
        Command::CreateUser { .. }
        | Command::ChangePassword { .. }
        | Command::CloseSession { .. }
        | Command::SetRole { .. } => Takes::Login,
        Command::CreateJoinToken { .. }
        | Command::RemoveMaster { .. }
        | Command::ReplaceMaster { .. }
        | Command::SetAutopilot { .. }
        | Command::RecordBackup
        | Command::LimitBandwidth { .. }
        | Command::SetDiskOvercommit { .. }
        | Command::Group(_)
        | Command::Drain(_)
        | Command::Rebalance(_)
        | Command::Quota(_) => Takes::Scope(Scope::Admin),
        Command::RegisterImage { .. } => Takes::Scope(Scope::Images),
        Command::CreateVcluster { .. }
        | Command::CreateVclusterWith(_)
        | Command::StartVcluster { .. }
        | Command::StopVcluster { .. }
        | Command::ScaleVcluster { .. }
        | Command::ResizeVcluster { .. }
        | Command::DeleteVcluster { .. }
        | Command::AddPort { .. }
        | Command::RemovePort { .. }
        | Command::Template(_) => Takes::Scope(Scope::Vclusters),
        Command::Setting(_) => Takes::Scope(Scope::Admin),
        Command::Acme(command) => of_certificates(command),
        Command::Certificate(command) => of_workers(command),
        Command::Trash(command) => of_trash(command),
        Command::Idle(_) => Takes::Machine,
        Command::Audit(command) => of_trail(command),
        Command::Drill(command) => of_drills(command),
        Command::Image(command) => of_images(command),
        Command::Snapshot(command) => of_snapshots(command),
        Command::Limit(command) => of_limits(command),
        Command::Schedule(command) => of_scheduling(command),
        Command::Move(command) => of_moves(command),
        Command::Account(command) => of_accounts(command),
        Command::Notice(command) => of_notices(command),
        Command::Bean(command) => of_beans(command),
        Command::Service(command) => of_services(command),
        Command::Terminal(command) => of_terminals(command),
        Command::Identity(command) => of_identities(command),
    }
}

/// Whoever opens one goes into a vnode.
fn of_services(command: &ServiceCommand) -> Takes {
    match command {
        ServiceCommand::Add(_) | ServiceCommand::Remove { .. } | ServiceCommand::Share { .. } => {
            Takes::Scope(Scope::Vclusters)
        }
        ServiceCommand::Open { .. } => Takes::Scope(Scope::Terminals),
        ServiceCommand::Enter { .. } => Takes::Machine,
    }
}

/// What is shared, and looked at by a link, is a terminal.
fn of_terminals(command: &TerminalCommand) -> Takes {
    match command {
        TerminalCommand::Share { .. }
        | TerminalCommand::Unshare { .. }
        | TerminalCommand::Join { .. } => Takes::Scope(Scope::Terminals),
        TerminalCommand::Forget => Takes::Machine,
    }
}

fn of_certificates(command: &AcmeCommand) -> Takes {
    match command {
        AcmeCommand::Set { .. } | AcmeCommand::Off | AcmeCommand::Renew => {
            Takes::Scope(Scope::Admin)
        }
        AcmeCommand::Begin { .. }
        | AcmeCommand::ForgetKeys { .. }
        | AcmeCommand::Place { .. }
        | AcmeCommand::Issue { .. }
        | AcmeCommand::Fail { .. } => Takes::Machine,
    }
}

fn of_workers(command: &CertificateCommand) -> Takes {
    match command {
        CertificateCommand::Readmit { .. } => Takes::Scope(Scope::Admin),
        CertificateCommand::Issue { .. } | CertificateCommand::Report { .. } => Takes::Machine,
    }
}

fn of_beans(command: &BeanCommand) -> Takes {
    match command {
        BeanCommand::Set(_)
        | BeanCommand::SetRates(_)
        | BeanCommand::Grant { .. }
        | BeanCommand::Approve { .. }
        | BeanCommand::Decline { .. }
        | BeanCommand::TakeBack { .. }
        | BeanCommand::SetAll { .. } => Takes::Scope(Scope::Admin),
        BeanCommand::Request { .. } | BeanCommand::Withdraw { .. } => {
            Takes::Scope(Scope::Vclusters)
        }
        BeanCommand::Meter { .. } | BeanCommand::OpenPurses | BeanCommand::Stop { .. } => {
            Takes::Machine
        }
    }
}

fn of_accounts(command: &AccountCommand) -> Takes {
    match command {
        AccountCommand::Apply { .. }
        | AccountCommand::OpenLogin(_)
        | AccountCommand::NoteUse { .. }
        | AccountCommand::UpgradeHash { .. }
        | AccountCommand::ForgetDeclined
        | AccountCommand::FinishDeletion { .. } => Takes::Machine,
        AccountCommand::SetRegistration { .. }
        | AccountCommand::Approve { .. }
        | AccountCommand::Decline { .. }
        | AccountCommand::SetProfile { .. }
        | AccountCommand::Lock { .. }
        | AccountCommand::Unlock { .. }
        | AccountCommand::Delete { .. }
        | AccountCommand::EndLogin { .. }
        | AccountCommand::EndOtherLogins { .. }
        | AccountCommand::CreateToken { .. }
        | AccountCommand::BeginFactor { .. }
        | AccountCommand::ConfirmFactor { .. }
        | AccountCommand::RemoveFactor { .. } => Takes::Login,
    }
}

/// Whoever may run programs in vnodes is not for that reason let through the door of files.
fn of_trail(command: &AuditCommand) -> Takes {
    Takes::Scope(match command {
        AuditCommand::OpenTerminal { .. }
        | AuditCommand::RunProgram { .. }
        | AuditCommand::ForwardPort { .. } => Scope::Terminals,
        AuditCommand::ReadFiles { .. } => Scope::ReadFiles,
        AuditCommand::WriteFiles { .. }
        | AuditCommand::DeleteFiles { .. }
        | AuditCommand::MoveFiles { .. } => Scope::WriteFiles,
        AuditCommand::TransferLeadership { .. } | AuditCommand::DrainMaster { .. } => Scope::Admin,
        AuditCommand::NoteRefused(_) => return Takes::Machine,
    })
}

fn of_identities(command: &IdentityCommand) -> Takes {
    match command {
        IdentityCommand::SetProvider { .. }
        | IdentityCommand::SetPam { .. }
        | IdentityCommand::SetWay { .. }
        | IdentityCommand::Connect { .. }
        | IdentityCommand::Disconnect { .. } => Takes::Login,
        IdentityCommand::Welcome { .. } | IdentityCommand::OpenLogin { .. } => Takes::Machine,
    }
}

fn of_trash(command: &TrashCommand) -> Takes {
    match command {
        TrashCommand::Discard { .. }
        | TrashCommand::Undelete { .. }
        | TrashCommand::Purge { .. } => Takes::Scope(Scope::Vclusters),
        TrashCommand::Keep { thing } => of_kept(thing.kind()),
        TrashCommand::Recover { kind, .. } | TrashCommand::Drop { kind, .. } => of_kept(*kind),
        TrashCommand::SetPolicy { .. } => Takes::Scope(Scope::Admin),
        TrashCommand::Empty | TrashCommand::Warn { .. } | TrashCommand::Release { .. } => {
            Takes::Machine
        }
    }
}

/// As deleting them for good does.
fn of_kept(kind: KeptKind) -> Takes {
    match kind {
        KeptKind::Image | KeptKind::ImageVersion => Takes::Scope(Scope::Images),
        KeptKind::Snapshot | KeptKind::Template => Takes::Scope(Scope::Vclusters),
        KeptKind::Group | KeptKind::Notice => Takes::Scope(Scope::Admin),
        KeptKind::Account => Takes::Login,
    }
}

/// What was looked at, was read. The secret of the mail server is none for programs.
fn of_notices(command: &NoticeCommand) -> Takes {
    match command {
        NoticeCommand::Read { .. } | NoticeCommand::ReadAll { .. } => Takes::Scope(Scope::Read),
        NoticeCommand::Announce(_)
        | NoticeCommand::Withdraw { .. }
        | NoticeCommand::Bug(BugCommand::Answer { .. } | BugCommand::Forget { .. })
        | NoticeCommand::Mail(MailCommand::Test | MailCommand::Resend { .. }) => {
            Takes::Scope(Scope::Admin)
        }
        NoticeCommand::SetWish { .. }
        | NoticeCommand::Bug(BugCommand::Report { .. })
        | NoticeCommand::Mail(MailCommand::SetServer { .. }) => Takes::Login,
        NoticeCommand::ForgetOld
        | NoticeCommand::Mail(
            MailCommand::Begin { .. }
            | MailCommand::Sent { .. }
            | MailCommand::Failed { .. }
            | MailCommand::Doubt { .. }
            | MailCommand::DoubtSilent,
        ) => Takes::Machine,
    }
}

fn of_drills(command: &DrillCommand) -> Takes {
    match command {
        DrillCommand::Start { .. }
        | DrillCommand::Abort { .. }
        | DrillCommand::Probe { .. }
        | DrillCommand::ReportProbes { .. } => Takes::Scope(Scope::Admin),
        DrillCommand::Begin { .. }
        | DrillCommand::TakeOver { .. }
        | DrillCommand::ReportFault { .. }
        | DrillCommand::ReportRestore { .. }
        | DrillCommand::ReportService { .. }
        | DrillCommand::ReportLoss { .. }
        | DrillCommand::Check { .. }
        | DrillCommand::NoteLoss { .. }
        | DrillCommand::Finish { .. } => Takes::Machine,
    }
}

fn of_images(command: &ImageCommand) -> Takes {
    match command {
        ImageCommand::Add(_)
        | ImageCommand::Describe { .. }
        | ImageCommand::Share { .. }
        | ImageCommand::Unshare { .. }
        | ImageCommand::SetVisibility { .. }
        | ImageCommand::Rename { .. }
        | ImageCommand::RollBack { .. }
        | ImageCommand::Save { .. }
        | ImageCommand::CancelSave { .. }
        | ImageCommand::ShareWithGroup { .. }
        | ImageCommand::UnshareFromGroup { .. }
        | ImageCommand::DeleteVersion { .. }
        | ImageCommand::Delete { .. } => Takes::Scope(Scope::Images),
        ImageCommand::Pull { .. }
        | ImageCommand::SetQuota { .. }
        | ImageCommand::SetQuotaOf { .. } => Takes::Scope(Scope::Admin),
        ImageCommand::ReportSave { .. }
        | ImageCommand::PlaceCopies { .. }
        | ImageCommand::NameOld
        | ImageCommand::Forget { .. } => Takes::Machine,
    }
}

fn of_snapshots(command: &SnapshotCommand) -> Takes {
    match command {
        SnapshotCommand::Take { .. }
        | SnapshotCommand::Delete { .. }
        | SnapshotCommand::Restore { .. }
        | SnapshotCommand::CreateVcluster { .. }
        | SnapshotCommand::SetSchedule { .. } => Takes::Scope(Scope::Vclusters),
        SnapshotCommand::Save { .. } => Takes::Scope(Scope::Images),
        SnapshotCommand::TakeScheduled { .. }
        | SnapshotCommand::Expire
        | SnapshotCommand::Report { .. } => Takes::Machine,
    }
}

fn of_limits(command: &LimitCommand) -> Takes {
    match command {
        LimitCommand::Resize { .. } => Takes::Scope(Scope::Vclusters),
        LimitCommand::SetBandwidthCeiling { .. }
        | LimitCommand::SetUsualHome { .. }
        | LimitCommand::SetHome { .. } => Takes::Scope(Scope::Admin),
        LimitCommand::Report { .. } => Takes::Machine,
    }
}

fn of_scheduling(command: &ScheduleCommand) -> Takes {
    match command {
        ScheduleCommand::SetRules { .. } => Takes::Scope(Scope::Vclusters),
        ScheduleCommand::Label { .. }
        | ScheduleCommand::Cordon { .. }
        | ScheduleCommand::Uncordon { .. } => Takes::Scope(Scope::Admin),
        ScheduleCommand::ReportFences { .. } | ScheduleCommand::RestartLost { .. } => {
            Takes::Machine
        }
    }
}

fn of_moves(command: &MoveCommand) -> Takes {
    match command {
        MoveCommand::Begin { .. } | MoveCommand::Cancel { .. } => Takes::Scope(Scope::Vclusters),
        MoveCommand::BeginAll { .. }
        | MoveCommand::Expire
        | MoveCommand::Report { .. }
        | MoveCommand::ReportCheckpointing { .. } => Takes::Machine,
    }
}

/// Refuses what the scopes of a token do not say. Whoever comes without one is not narrowed.
///
/// # Errors
/// `ScopeMissing`, `LoginNeeded`, or `NotLoggedIn` if the token has ended.
pub fn check(state: &State, actor: Actor, command: &Command) -> Result<(), Refusal> {
    let Some(token) = narrowing(state, actor)? else {
        return Ok(());
    };
    match takes(command) {
        Takes::Scope(scope) => demand(token, scope, command.name()),
        Takes::Login => Err(AccountRefusal::LoginNeeded {
            action: command.name().to_owned(),
        }
        .into()),
        // Permit says that it is not for people.
        Takes::Machine => Ok(()),
    }
}

/// Refuses a look, or a way into a vnode, that the scopes of a token do not say.
///
/// # Errors
/// The same.
pub fn check_look(state: &State, actor: Actor, scope: Scope, what: &str) -> Result<(), Refusal> {
    match narrowing(state, actor)? {
        Some(token) => demand(token, scope, what),
        None => Ok(()),
    }
}

/// Whoever may read `/metrics`: an admin, also by a token that has the scope for it and no other.
///
/// # Errors
/// `NotPermitted` or `ScopeMissing`.
pub fn check_scrape(state: &State, actor: Actor, what: &str) -> Result<(), Refusal> {
    check_look(state, actor, Scope::Metrics, what)?;
    let whole = match actor {
        Actor::Login { user, .. } => Actor::User(user),
        Actor::User(_) | Actor::Worker(_) | Actor::Door(_) | Actor::Duty => actor,
    };
    permit::admin(state, whole, what).map(|_| ())
}

/// Who acts with a secret: as whom, and what they are then.
///
/// # Errors
/// `NotLoggedIn` if it has ended or is good for nothing yet, or why the account may not be used.
pub fn bearer(
    state: &State,
    id: SecretHash,
    from: IpAddr,
    now: UnixMs,
) -> Result<(Actor, &User), Refusal> {
    let session = state.sessions.get(&id);
    let session = session.filter(|session| session.expires_at > now);
    let session = session.ok_or(Refusal::NotLoggedIn)?;
    let user = session.user;
    let login = state.logins.get(&id).map(|login| Actor::Login {
        user,
        number: login.number,
        from,
    });
    let actor = match session.kind {
        // One that was opened before more than its secret was kept.
        SessionKind::Browser | SessionKind::Token => login.unwrap_or(Actor::User(user)),
        SessionKind::Api => login.ok_or(Refusal::NotLoggedIn)?,
        SessionKind::Unproven => return Err(Refusal::NotLoggedIn),
    };
    Ok((actor, permit::person(state, actor)?))
}

fn demand(token: &ApiToken, scope: Scope, action: &str) -> Result<(), Refusal> {
    if token.scopes.contains(&scope) {
        return Ok(());
    }
    Err(AccountRefusal::ScopeMissing {
        action: action.to_owned(),
        needed: scope.word().to_owned(),
    }
    .into())
}

/// The token by which somebody acts, if it is by one.
fn narrowing(state: &State, actor: Actor) -> Result<Option<&ApiToken>, Refusal> {
    match actor {
        Actor::Login { user, number, .. } => {
            let login = login(state, user, number).ok_or(Refusal::NotLoggedIn)?;
            Ok(login.token.as_ref())
        }
        Actor::User(_) | Actor::Worker(_) | Actor::Door(_) | Actor::Duty => Ok(None),
    }
}

/// The login or token of that number, if it is this person's.
#[must_use]
pub fn login(state: &State, user: UserId, number: LogIndex) -> Option<&Login> {
    let login = state.login_numbered(number);
    login.filter(|login| login.user == user)
}
