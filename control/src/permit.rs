//! Who may ask for what and see what: the one table that every door asks, by way of decide and the views.

mod acme;
mod audit;
mod bean;
mod certificate;
mod events;
mod identity;
mod notices;
pub(crate) mod people;
mod service;
mod template;
mod terminal;
mod trash;

use crate::account::command::AccountCommand;
use crate::account::scope;
use crate::account::standing::admit;
use crate::command::{Actor, Command};
use crate::drain::command::DrainCommand;
use crate::drill::command::DrillCommand;
use crate::event::{Change, Event};
use crate::group::command::GroupCommand;
use crate::id::{UserId, VclusterId, VnodeId};
use crate::idle::command::IdleCommand;
use crate::image::command::ImageCommand;
use crate::limit::command::LimitCommand;
use crate::model::drill::Prober;
use crate::model::{Group, JoinRole, Port, PublicPort, Quota, User, Vcluster, Vnode};
use crate::moves::command::MoveCommand;
use crate::name::Name;
use crate::quota::command::QuotaCommand;
use crate::rebalance::command::RebalanceCommand;
use crate::refusal::Refusal;
use crate::schedule::command::ScheduleCommand;
use crate::snapshot::command::{SnapshotCommand, SnapshotOf};
use crate::state::State;

/// What refusals say of what takes an operator: they are kept, and before there were operators they said something else.
fn operator_role(state: &State) -> &'static str {
    if state.version() < Quota::SINCE {
        return "the role admin";
    }
    "the role operator or admin"
}

/// What an actor must be for a command.
enum Needs<'c> {
    /// A door of a master.
    Door,
    /// The leader's duties.
    Duty,
    /// The worker that the command is about.
    ThisWorker(crate::id::WorkerId),
    /// The master that the command is about.
    ThisMaster(crate::id::MasterId),
    /// Any person.
    Person,
    /// A person who is an admin.
    Admin,
    /// A person who looks after the machines: an operator, or an admin.
    Operator,
    /// The same, or the leader by itself.
    OperatorOrDuty,
    /// A manager of the group of this name, or an admin.
    ManagerOf(&'c str),
    /// That person, or an admin.
    Oneself(UserId),
    /// The owner of the vcluster, or an admin.
    OwnerOf(VclusterId),
    /// The owner of the vnode, or an admin.
    OwnerOfVnode(VnodeId),
    /// The owner of the vnode, an operator, or an admin.
    OwnerOrOperatorOf(VnodeId),
    /// The owner of the vnode to which a public port leads, or an admin.
    OwnerOfPort(PublicPort),
    /// Whose session it is, or an admin.
    HolderOf(crate::id::SecretHash),
}

/// The table.
fn needs(command: &Command) -> Needs<'_> {
    match command {
        Command::InitCluster(_)
        | Command::JoinMaster { .. }
        | Command::JoinWorker { .. }
        | Command::OpenSession { .. }
        | Command::RestoreCluster { .. }
        | Command::RecoverCluster { .. } => Needs::Door,
        Command::MarkWorker { .. } | Command::PlaceVnodes { .. } | Command::ForgetExpired => {
            Needs::Duty
        }
        Command::DescribeWorker { worker, .. }
        | Command::ReportImage { worker, .. }
        | Command::ReportVnodes { worker, .. } => Needs::ThisWorker(*worker),
        Command::ReportProgram { program } => Needs::ThisMaster(program.master),
        Command::RaiseVersion { .. } => Needs::Duty,
        // Whoever makes a master has all that masters have, their authority's key and everybody's hashes.
        Command::CreateJoinToken {
            role: JoinRole::Master,
            ..
        }
        | Command::RecordBackup
        | Command::CreateUser { .. }
        | Command::RegisterImage { .. }
        | Command::ReplaceMaster { .. }
        | Command::SetRole { .. }
        | Command::Setting(_)
        | Command::SetAutopilot { .. } => Needs::Admin,
        Command::CreateJoinToken {
            role: JoinRole::Agent,
            ..
        } => Needs::Operator,
        Command::ReportDivergence { .. } => Needs::Duty,
        // What may lose acknowledged writes is no matter of looking after machines.
        Command::RemoveMaster { force: true, .. } => Needs::Admin,
        Command::RemoveMaster { force: false, .. } => Needs::OperatorOrDuty,
        Command::ChangePassword { user, .. } => Needs::Oneself(*user),
        Command::CloseSession { id } => Needs::HolderOf(*id),
        Command::CreateVcluster { .. } | Command::CreateVclusterWith(_) => Needs::Person,
        Command::StartVcluster { vcluster }
        | Command::StopVcluster { vcluster }
        | Command::ScaleVcluster { vcluster, .. }
        | Command::ResizeVcluster { vcluster, .. }
        | Command::DeleteVcluster { vcluster } => Needs::OwnerOf(*vcluster),
        Command::AddPort { vnode, .. } => Needs::OwnerOfVnode(*vnode),
        Command::RemovePort { public } => Needs::OwnerOfPort(*public),
        Command::LimitBandwidth { .. } | Command::SetDiskOvercommit { .. } => Needs::Admin,
        Command::Group(command) => group_needs(command),
        Command::Acme(command) => acme::needs(command),
        Command::Certificate(command) => certificate::needs(command),
        Command::Template(command) => template::needs(command),
        Command::Notice(command) => notices::needs(command),
        Command::Drill(command) => drill_needs(command),
        Command::Image(command) => image_needs(command),
        Command::Snapshot(command) => snapshot_needs(command),
        Command::Limit(command) => limit_needs(command),
        Command::Schedule(command) => schedule_needs(command),
        Command::Move(command) => move_needs(command),
        Command::Drain(DrainCommand::Settle) => Needs::Duty,
        Command::Drain(
            DrainCommand::Begin { .. } | DrainCommand::Abort { .. } | DrainCommand::Restore { .. },
        ) => Needs::Operator,
        Command::Rebalance(RebalanceCommand::Note) => Needs::Duty,
        Command::Rebalance(RebalanceCommand::SetPolicy { .. } | RebalanceCommand::Apply { .. }) => {
            Needs::Operator
        }
        Command::Quota(command) => quota_needs(command),
        Command::Account(command) => account_needs(command),
        Command::Trash(command) => trash::needs(command),
        Command::Idle(IdleCommand::Report { worker, .. }) => Needs::ThisWorker(*worker),
        Command::Idle(IdleCommand::Stop { .. }) => Needs::Duty,
        Command::Audit(command) => audit::needs(command),
        Command::Bean(command) => bean::needs(command),
        Command::Service(command) => service::needs(command),
        Command::Terminal(command) => terminal::needs(command),
        Command::Identity(command) => identity::needs(command),
    }
}

fn account_needs(command: &AccountCommand) -> Needs<'_> {
    match command {
        AccountCommand::SetRegistration { .. }
        | AccountCommand::Approve { .. }
        | AccountCommand::Decline { .. }
        | AccountCommand::Lock { .. }
        | AccountCommand::Unlock { .. }
        | AccountCommand::Delete { .. } => Needs::Admin,
        AccountCommand::Apply { .. }
        | AccountCommand::OpenLogin(_)
        | AccountCommand::NoteUse { .. }
        | AccountCommand::UpgradeHash { .. } => Needs::Door,
        AccountCommand::ForgetDeclined | AccountCommand::FinishDeletion { .. } => Needs::Duty,
        AccountCommand::SetProfile { user, .. }
        | AccountCommand::EndLogin { user, .. }
        | AccountCommand::EndOtherLogins { user, .. }
        | AccountCommand::RemoveFactor { user, .. } => Needs::Oneself(*user),
        AccountCommand::CreateToken { .. }
        | AccountCommand::BeginFactor { .. }
        | AccountCommand::ConfirmFactor { .. } => Needs::Person,
    }
}

/// Who manages a group is for admins to say: nobody passes on what was given to them.
fn group_needs(command: &GroupCommand) -> Needs<'_> {
    match command {
        GroupCommand::Create { .. }
        | GroupCommand::Delete { .. }
        | GroupCommand::AddManagers { .. }
        | GroupCommand::RemoveManagers { .. } => Needs::Admin,
        GroupCommand::Add { group, .. } | GroupCommand::Remove { group, .. } => {
            Needs::ManagerOf(group)
        }
    }
}

fn quota_needs(command: &QuotaCommand) -> Needs<'_> {
    match command {
        QuotaCommand::SetUsual { .. }
        | QuotaCommand::SetOfUser { .. }
        | QuotaCommand::SetOfGroup { .. } => Needs::Admin,
        QuotaCommand::SetShare { group, .. } => Needs::ManagerOf(group),
    }
}

fn move_needs(command: &MoveCommand) -> Needs<'_> {
    match command {
        MoveCommand::Begin { vnode, .. } | MoveCommand::Cancel { vnode } => {
            Needs::OwnerOrOperatorOf(*vnode)
        }
        MoveCommand::BeginAll { .. } | MoveCommand::Expire => Needs::Duty,
        MoveCommand::Report { worker, .. } => Needs::ThisWorker(*worker),
        MoveCommand::ReportCheckpointing { able } => Needs::ThisWorker(able.worker),
    }
}

fn schedule_needs(command: &ScheduleCommand) -> Needs<'_> {
    match command {
        ScheduleCommand::Label { .. }
        | ScheduleCommand::Cordon { .. }
        | ScheduleCommand::Uncordon { .. } => Needs::Operator,
        ScheduleCommand::SetRules { vcluster, .. } => Needs::OwnerOf(*vcluster),
        ScheduleCommand::ReportFences { worker, .. } => Needs::ThisWorker(*worker),
        ScheduleCommand::RestartLost { .. } => Needs::Duty,
    }
}

fn limit_needs(command: &LimitCommand) -> Needs<'_> {
    match command {
        LimitCommand::Resize { vcluster, .. } => Needs::OwnerOf(*vcluster),
        LimitCommand::SetBandwidthCeiling { .. }
        | LimitCommand::SetUsualHome { .. }
        | LimitCommand::SetHome { .. } => Needs::Admin,
        LimitCommand::Report { worker, .. } => Needs::ThisWorker(*worker),
    }
}

fn snapshot_needs(command: &SnapshotCommand) -> Needs<'_> {
    let owner_of = |of: SnapshotOf| match of {
        SnapshotOf::Vnode(vnode) => Needs::OwnerOfVnode(vnode),
        SnapshotOf::Vcluster(vcluster) => Needs::OwnerOf(vcluster),
    };
    match command {
        SnapshotCommand::Take { of, .. }
        | SnapshotCommand::Delete { of, .. }
        | SnapshotCommand::Restore { of, .. } => owner_of(*of),
        SnapshotCommand::Save { vnode, .. } | SnapshotCommand::CreateVcluster { vnode, .. } => {
            Needs::OwnerOfVnode(*vnode)
        }
        SnapshotCommand::SetSchedule { vcluster, .. } => Needs::OwnerOf(*vcluster),
        SnapshotCommand::TakeScheduled { .. } | SnapshotCommand::Expire => Needs::Duty,
        SnapshotCommand::Report { worker, .. } => Needs::ThisWorker(*worker),
    }
}

/// Whose an image is, decide asks: what the asker may not see must look as if it were not there.
fn image_needs(command: &ImageCommand) -> Needs<'_> {
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
        | ImageCommand::Delete { .. } => Needs::Person,
        ImageCommand::ReportSave { worker, .. } => Needs::ThisWorker(*worker),
        ImageCommand::Pull { .. }
        | ImageCommand::SetQuota { .. }
        | ImageCommand::SetQuotaOf { .. } => Needs::Admin,
        ImageCommand::PlaceCopies { .. } | ImageCommand::NameOld | ImageCommand::Forget { .. } => {
            Needs::Duty
        }
    }
}

fn drill_needs(command: &DrillCommand) -> Needs<'_> {
    let of_prober = |prober: Prober| match prober {
        Prober::Client => Needs::Operator,
        Prober::Master(_) => Needs::Door,
    };
    match command {
        DrillCommand::Start { .. } => Needs::Operator,
        DrillCommand::Abort { .. } => Needs::OperatorOrDuty,
        DrillCommand::Probe { prober, .. } => of_prober(*prober),
        DrillCommand::ReportProbes { report, .. } => of_prober(report.prober),
        DrillCommand::ReportFault { .. }
        | DrillCommand::ReportRestore { .. }
        | DrillCommand::ReportService { .. } => Needs::Door,
        DrillCommand::ReportLoss { worker, .. } => Needs::ThisWorker(*worker),
        DrillCommand::Begin { .. }
        | DrillCommand::TakeOver { .. }
        | DrillCommand::Check { .. }
        | DrillCommand::NoteLoss { .. }
        | DrillCommand::Finish { .. } => Needs::Duty,
    }
}

/// Whether `actor` may ask for `command`.
///
/// # Errors
/// `NotPermitted` where the thing may be known to exist, `NotFound` where not even that.
pub fn check(state: &State, actor: Actor, command: &Command) -> Result<(), Refusal> {
    let refused = |needed: &str| Refusal::NotPermitted {
        action: command.name().to_owned(),
        needed: needed.to_owned(),
    };
    let allowed_if = |allowed: bool, needed: &str| allowed.then_some(()).ok_or(refused(needed));
    scope::check(state, actor, command)?;
    match needs(command) {
        Needs::Door => allowed_if(matches!(actor, Actor::Door(_)), "a master's door"),
        Needs::ThisMaster(master) => allowed_if(actor == Actor::Door(master), "that master"),
        Needs::Duty => allowed_if(actor == Actor::Duty, "the leader's duties"),
        Needs::ThisWorker(worker) => allowed_if(actor == Actor::Worker(worker), "that worker"),
        Needs::Person => person(state, actor).map(|_| ()),
        Needs::Admin => allowed_if(person(state, actor)?.is_admin(), "the role admin"),
        Needs::OperatorOrDuty if actor == Actor::Duty => Ok(()),
        Needs::Operator | Needs::OperatorOrDuty => {
            allowed_if(person(state, actor)?.operates(), operator_role(state))
        }
        Needs::ManagerOf(group) => {
            let asker = person(state, actor)?;
            let group = shown_group(state, asker, group)?;
            allowed_if(
                group.is_managed_by(asker),
                "a manager of the group or the role admin",
            )
        }
        Needs::Oneself(user) => {
            let asker = person(state, actor)?;
            allowed_if(asker.id == user || asker.is_admin(), "the role admin")
        }
        Needs::OwnerOf(vcluster) => visible_vcluster(state, actor, vcluster).map(|_| ()),
        Needs::OwnerOfVnode(vnode) => visible_vnode(state, actor, vnode).map(|_| ()),
        Needs::OwnerOrOperatorOf(vnode) => watched_vnode(state, actor, vnode).map(|_| ()),
        Needs::OwnerOfPort(public) => visible_port(state, actor, public).map(|_| ()),
        Needs::HolderOf(id) => {
            let asker = person(state, actor)?;
            let holds = state.sessions.get(&id).is_none_or(|s| s.user == asker.id);
            allowed_if(holds || asker.is_admin(), "the role admin")
        }
    }
}

/// The account behind an actor.
///
/// # Errors
/// `NotLoggedIn` if it is no person, or one whose account or token is gone; or why the account may not be used.
pub fn person(state: &State, actor: Actor) -> Result<&User, Refusal> {
    let user = match actor {
        Actor::User(id) => state.users.get(&id),
        Actor::Login { user, number, .. } => match scope::login(state, user, number) {
            Some(login) if login.keeps_role() => state.users.get(&user),
            Some(_) => state.user_without_role(user),
            None => None,
        },
        Actor::Worker(_) | Actor::Door(_) | Actor::Duty => None,
    };
    let user = user.ok_or(Refusal::NotLoggedIn)?;
    admit(state, user.id)?;
    Ok(user)
}

/// The account behind an actor, if it is an admin's.
///
/// # Errors
/// `NotLoggedIn`, or `NotPermitted` naming `action`.
pub fn admin<'s>(state: &'s State, actor: Actor, action: &str) -> Result<&'s User, Refusal> {
    ranked(state, actor, action, User::is_admin, "the role admin")
}

/// The account behind an actor, if it is of somebody who looks after the machines.
///
/// # Errors
/// `NotLoggedIn`, or `NotPermitted` naming `action`.
pub fn operator<'s>(state: &'s State, actor: Actor, action: &str) -> Result<&'s User, Refusal> {
    let needed = operator_role(state);
    ranked(state, actor, action, User::operates, needed)
}

fn ranked<'s>(
    state: &'s State,
    actor: Actor,
    action: &str,
    fits: fn(&User) -> bool,
    needed: &str,
) -> Result<&'s User, Refusal> {
    let asker = person(state, actor)?;
    if fits(asker) {
        return Ok(asker);
    }
    Err(Refusal::NotPermitted {
        action: action.to_owned(),
        needed: needed.to_owned(),
    })
}

/// The group of this name, if `asker` may know of it.
///
/// # Errors
/// `NotFound`, whether it does not exist or others are in it.
pub fn shown_group<'s>(state: &'s State, asker: &User, text: &str) -> Result<&'s Group, Refusal> {
    let name = Name::parse("group", text)?;
    let group = state.group_named(&name);
    let group = group.filter(|group| group.is_shown_to(asker));
    group.ok_or_else(|| Refusal::not_found("group", &name))
}

/// The person of this name, if `asker` may know how much they have and may have: themselves, whoever is in a group that
/// they manage, and for admins everybody.
///
/// # Errors
/// `NotFound`, whether it does not exist or is none of theirs.
pub fn looked_after<'s>(state: &'s State, asker: &User, text: &str) -> Result<&'s User, Refusal> {
    let name = Name::parse("user", text)?;
    let user = state.user_named(&name);
    let user = user.filter(|user| looks_after(state, asker, user.id));
    user.ok_or_else(|| Refusal::not_found("user", &name))
}

/// Whether `asker` may know how much a person has and may have.
#[must_use]
pub fn looks_after(state: &State, asker: &User, user: UserId) -> bool {
    let mut groups = state.groups_of(user);
    owns(asker, user) || groups.any(|group| group.is_managed_by(asker))
}

/// The vcluster, if `actor` may see and change it.
///
/// # Errors
/// `NotFound`, whether it does not exist or belongs to somebody else.
pub fn visible_vcluster(state: &State, actor: Actor, id: VclusterId) -> Result<&Vcluster, Refusal> {
    let asker = person(state, actor)?;
    state
        .vclusters
        .get(&id)
        .filter(|vcluster| owns(asker, vcluster.owner) && !state.is_trashed(id))
        .ok_or_else(|| Refusal::not_found("vcluster", id))
}

/// The vnode, if `actor` may see and change it.
///
/// # Errors
/// `NotFound`, whether it does not exist or belongs to somebody else.
pub fn visible_vnode(state: &State, actor: Actor, id: VnodeId) -> Result<&Vnode, Refusal> {
    let asker = person(state, actor)?;
    state
        .vnodes
        .get(&id)
        .filter(|vnode| owns(asker, vnode.owner) && !state.is_trashed(vnode.vcluster))
        .ok_or_else(|| Refusal::not_found("vnode", id))
}

/// The vnode, if `actor` may see where it is and have it moved.
///
/// # Errors
/// `NotFound`, whether it does not exist or is nothing of theirs.
pub fn watched_vnode(state: &State, actor: Actor, id: VnodeId) -> Result<&Vnode, Refusal> {
    let asker = person(state, actor)?;
    let vnode = state.vnodes.get(&id);
    let vnode = vnode.filter(|vnode| watches(asker, vnode.owner));
    let vnode = vnode.filter(|vnode| !state.is_trashed(vnode.vcluster));
    vnode.ok_or_else(|| Refusal::not_found("vnode", id))
}

/// The open port, if `actor` may see and change it.
///
/// # Errors
/// `NotFound`, whether it leads nowhere or to somebody else's vnode.
pub fn visible_port(state: &State, actor: Actor, public: PublicPort) -> Result<&Port, Refusal> {
    let asker = person(state, actor)?;
    state
        .ports
        .get(&public)
        .filter(|port| owns(asker, port.owner))
        .ok_or_else(|| Refusal::not_found("public port", public))
}

/// Whether what belongs to `owner` is for `asker` to see, use and change.
#[must_use]
pub fn owns(asker: &User, owner: UserId) -> bool {
    asker.id == owner || asker.is_admin()
}

/// Whether `asker` may see which vclusters `owner` has and where they are, as it takes to look after machines. What is in
/// them is another matter.
#[must_use]
pub fn watches(asker: &User, owner: UserId) -> bool {
    asker.id == owner || asker.operates()
}

/// The part of a change that `asker` may see, without secrets' hashes; none if there is no such part.
#[must_use]
pub fn visible_change(asker: &User, change: &Change) -> Option<Change> {
    let events: Vec<Event> = change
        .events
        .iter()
        .filter(|event| events::sees(asker, event))
        .cloned()
        .map(events::without_secrets)
        .collect();
    let own = change.actor.user().is_some_and(|user| owns(asker, user));
    let actor = if own {
        change.actor
    } else {
        change.actor.in_public()
    };
    (!events.is_empty()).then(|| Change {
        actor,
        events,
        ..change.clone()
    })
}
