//! What can be asked of the cluster, and the entry in which the leader puts it into the log.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::account::command::AccountCommand;
use crate::acme::command::AcmeCommand;
use crate::amount::{DiskMib, VnodeSize};
use crate::audit::command::AuditCommand;
use crate::bean::command::BeanCommand;
use crate::certificate::command::CertificateCommand;
use crate::drain::command::DrainCommand;
use crate::drill::command::DrillCommand;
use crate::group::command::GroupCommand;
use crate::id::{
    Digest, LogIndex, MasterId, RequestId, SecretHash, UnixMs, UserId, VclusterId, VnodeId,
    WorkerId,
};
use crate::identity::command::IdentityCommand;
use crate::idle::command::IdleCommand;
use crate::image::command::ImageCommand;
use crate::limit::command::LimitCommand;
use crate::model::{
    Autopilot, Bandwidth, ClusterId, ClusterVersion, DiskOvercommit, ImageSpec, JoinRole, KbitPerS,
    PortNumber, Program, Protocol, PublicPort, Role, Rules, SessionKind, Wishes, WorkerCapacity,
    WorkerFacts, WorkerStatus,
};
use crate::moves::command::MoveCommand;
use crate::notice::command::NoticeCommand;
use crate::place::Obstacle;
use crate::quorum::Seat;
use crate::quota::command::QuotaCommand;
use crate::rebalance::command::RebalanceCommand;
use crate::report::VnodeReport;
use crate::schedule::command::ScheduleCommand;
use crate::service::command::ServiceCommand;
use crate::setting::command::SettingCommand;
use crate::snapshot::command::SnapshotCommand;
use crate::template::command::TemplateCommand;
use crate::terminal::command::TerminalCommand;
use crate::trash::command::TrashCommand;

/// Version of the entries of a cluster whose version has not risen yet; entries of all versions decode for ever.
pub const ENTRY_VERSION: u16 = ClusterVersion::FIRST.0;

/// Who asks. Doors establish it; the fold trusts it and asks [`crate::permit`] what it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Actor {
    /// A person with a valid session.
    User(UserId),
    /// A worker's agent, by its certificate.
    Worker(WorkerId),
    /// A door of a master, on behalf of somebody who has no session yet: login, joining.
    Door(MasterId),
    /// The leader's duties.
    Duty,
    /// A person by a login of that number, or a program of theirs by a token of that number. Since version 3.
    Login {
        user: UserId,
        number: LogIndex,
        /// The client's address, as the door saw it.
        from: IpAddr,
    },
}

impl Actor {
    /// The person, if it is one or a program of one.
    #[must_use]
    pub fn user(self) -> Option<UserId> {
        match self {
            Self::User(user) | Self::Login { user, .. } => Some(user),
            Self::Worker(_) | Self::Door(_) | Self::Duty => None,
        }
    }

    /// The same without where from and by which login: what others may know.
    #[must_use]
    pub fn in_public(self) -> Self {
        self.user().map_or(self, Self::User)
    }
}

/// One proposal as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The cluster's version when it was stamped, for programs that are too old to read the rest.
    pub version: u16,
    /// Same request, same effect, once.
    pub request: RequestId,
    /// Stamped by the leader.
    pub at: UnixMs,
    /// Who asks.
    pub actor: Actor,
    /// What for.
    pub command: Command,
}

/// Everything that can change the state. Texts are unchecked: decide checks them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// The very first entry.
    InitCluster(InitCluster),
    /// Makes an invitation for machines.
    CreateJoinToken {
        secret_hash: SecretHash,
        role: JoinRole,
        ttl_ms: u64,
        uses: u32,
    },
    /// A master comes in; its id is this entry's index.
    JoinMaster {
        secret_hash: SecretHash,
        name: String,
        cluster_addr: String,
        public_addr: String,
    },
    /// A worker comes in; its id is this entry's index.
    JoinWorker {
        secret_hash: SecretHash,
        name: String,
        data_addr: String,
        underlay: IpAddr,
        capacity: WorkerCapacity,
    },
    /// A worker says what it is.
    DescribeWorker {
        worker: WorkerId,
        facts: WorkerFacts,
    },
    /// The leader's view of workers' leases changed.
    MarkWorker {
        worker: WorkerId,
        status: WorkerStatus,
    },
    CreateUser {
        name: String,
        role: Role,
        password_hash: String,
    },
    ChangePassword {
        user: UserId,
        password_hash: String,
    },
    OpenSession {
        user: UserId,
        id: SecretHash,
        kind: SessionKind,
        ttl_ms: u64,
    },
    CloseSession {
        id: SecretHash,
    },
    /// Sessions and join tokens whose time is over.
    ForgetExpired,
    RegisterImage {
        name: String,
        digest: Digest,
        blob_bytes: u64,
        spec: ImageSpec,
        description: String,
        /// The worker to which the door has brought the blob.
        held_by: WorkerId,
    },
    /// A worker has verified an image's blob, or lost it.
    ReportImage {
        worker: WorkerId,
        digest: Digest,
        held: bool,
    },
    CreateVcluster {
        name: String,
        image: String,
        vnodes: u32,
        size: VnodeSize,
    },
    StartVcluster {
        vcluster: VclusterId,
    },
    StopVcluster {
        vcluster: VclusterId,
    },
    ScaleVcluster {
        vcluster: VclusterId,
        vnodes: u32,
    },
    DeleteVcluster {
        vcluster: VclusterId,
    },
    /// The scheduler's answer for vnodes without a worker.
    PlaceVnodes {
        placed: Vec<(VnodeId, WorkerId)>,
        unplaced: Vec<(VnodeId, Vec<Obstacle>)>,
    },
    /// What a worker observed.
    ReportVnodes {
        worker: WorkerId,
        reports: Vec<VnodeReport>,
    },
    /// A master goes for ever. The leader stamps what it observes of the group, so that the fold can tell whether
    /// those left would have a quorum.
    RemoveMaster {
        master: MasterId,
        force: bool,
        seats: Vec<Seat>,
    },
    /// Makes an invitation for a master that takes the place of this one as soon as it has caught up.
    ReplaceMaster {
        master: MasterId,
        secret_hash: SecretHash,
        ttl_ms: u64,
    },
    /// How the leader shall look after the masters by itself.
    SetAutopilot {
        autopilot: Autopilot,
    },
    /// About drills.
    Drill(DrillCommand),
    /// The leader found that most masters have another state than this one after an entry.
    ReportDivergence {
        master: MasterId,
        after: LogIndex,
    },
    /// One master goes on as a new cluster with the state of a backup, which was of the entry `last`. The master's id
    /// is this entry's index. Made by `docklet restore`; no log holds it.
    RestoreCluster {
        cluster: ClusterId,
        last: LogIndex,
        master_name: String,
        cluster_addr: String,
        public_addr: String,
    },
    /// One master goes on alone, because the others are lost for ever; what it has ends with the entry `last`. Made by
    /// `docklet master recover`; no log holds it.
    RecoverCluster {
        master: MasterId,
        last: LogIndex,
    },
    /// A master says what program it runs.
    ReportProgram {
        program: Program,
    },
    /// Every master knows this version of the cluster.
    RaiseVersion {
        to: ClusterVersion,
    },
    /// A backup is taken by whoever asks. Since version 2.
    RecordBackup,
    /// Opens a port of a vnode to the outside: under this public port, or under one that is free. Since version 3.
    AddPort {
        vnode: VnodeId,
        protocol: Protocol,
        number: PortNumber,
        public: Option<PortNumber>,
    },
    /// Closes a public port. Since version 3.
    RemovePort {
        public: PublicPort,
    },
    /// Limits what each vnode may send and receive. Since version 3.
    LimitBandwidth {
        bandwidth: Bandwidth,
    },
    /// About names of images, and who holds them. Since version 3.
    Image(ImageCommand),
    /// A vcluster of which something beyond its size is wanted. Since version 3.
    CreateVclusterWith(NewVcluster),
    /// Lets the disks of all its vnodes grow. Since version 3.
    ResizeVcluster {
        vcluster: VclusterId,
        disk_mib: DiskMib,
    },
    /// How much disk may be promised on each worker. Since version 3.
    SetDiskOvercommit {
        overcommit: DiskOvercommit,
    },
    /// About snapshots of vnodes. Since version 3.
    Snapshot(SnapshotCommand),
    /// About limits that change while vnodes run. Since version 3.
    Limit(LimitCommand),
    /// About groups of people. Since version 3.
    Group(GroupCommand),
    /// About what the scheduler goes by. Since version 3.
    Schedule(ScheduleCommand),
    /// About moves of vnodes. Since version 3.
    Move(MoveCommand),
    /// About emptying workers. Since version 3.
    Drain(DrainCommand),
    /// About evening out how workers are loaded. Since version 3.
    Rebalance(RebalanceCommand),
    Quota(QuotaCommand),
    SetRole {
        user: String,
        role: Role,
    },
    /// About accounts, logins and tokens. Since version 3.
    Account(AccountCommand),
    Template(TemplateCommand),
    /// What only the audit trail is to have. Since version 3.
    Audit(AuditCommand),
    /// About settings as such. Since version 3.
    Setting(SettingCommand),
    /// About what was deleted and can be had back. Since version 3.
    Trash(TrashCommand),
    /// About vnodes that do nothing. Since version 3.
    Idle(IdleCommand),
    /// About notices, mails and bug reports. Since version 3.
    Notice(NoticeCommand),
    /// About what vnodes cost. Since version 3.
    Bean(BeanCommand),
    /// About services of vnodes, and opening them. Since version 3.
    Service(ServiceCommand),
    /// About terminals that are shared by a link. Since version 3.
    Terminal(TerminalCommand),
    /// About who else says who people are. Since version 3.
    Identity(IdentityCommand),
    /// About public certificates that the cluster gets itself. Since version 3.
    Acme(AcmeCommand),
    /// About certificates between masters and workers. Since version 3.
    Certificate(CertificateCommand),
}

/// What is wanted of a new vcluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "VclusterOfImage")]
pub struct NewVcluster {
    pub name: String,
    pub image: String,
    pub vnodes: u32,
    pub size: VnodeSize,
    pub wishes: Wishes,
    /// The site's setting if none.
    #[serde(default)]
    pub bandwidth: Option<KbitPerS>,
    #[serde(default)]
    pub rules: Rules,
}

/// What the first master knows when it makes a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitCluster {
    pub cluster: ClusterId,
    pub cluster_name: String,
    pub cluster_net: ipnetwork::Ipv4Network,
    pub user_prefix: u8,
    pub cpu_overcommit_percent: u32,
    pub memory_overcommit_percent: u32,
    pub worker_timeout_ms: u64,
    pub admin_name: String,
    pub admin_password_hash: String,
    pub master: MasterId,
    pub master_name: String,
    pub cluster_addr: String,
    pub public_addr: String,
}

impl Command {
    /// What makes a vcluster; whoever wishes the usual can be understood by every version.
    #[must_use]
    pub fn create_vcluster(new: NewVcluster) -> Self {
        let usual = NewVcluster {
            wishes: Wishes::default(),
            bandwidth: None,
            rules: Rules::default(),
            ..new.clone()
        };
        if new != usual {
            return Self::CreateVclusterWith(new);
        }
        Self::CreateVcluster {
            name: new.name,
            image: new.image,
            vnodes: new.vnodes,
            size: new.size,
        }
    }

    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::InitCluster(_) => "InitCluster",
            Self::CreateJoinToken { .. } => "CreateJoinToken",
            Self::JoinMaster { .. } => "JoinMaster",
            Self::JoinWorker { .. } => "JoinWorker",
            Self::DescribeWorker { .. } => "DescribeWorker",
            Self::MarkWorker { .. } => "MarkWorker",
            Self::CreateUser { .. } => "CreateUser",
            Self::ChangePassword { .. } => "ChangePassword",
            Self::OpenSession { .. } => "OpenSession",
            Self::CloseSession { .. } => "CloseSession",
            Self::ForgetExpired => "ForgetExpired",
            Self::RegisterImage { .. } => "RegisterImage",
            Self::ReportImage { .. } => "ReportImage",
            Self::CreateVcluster { .. } => "CreateVcluster",
            Self::StartVcluster { .. } => "StartVcluster",
            Self::StopVcluster { .. } => "StopVcluster",
            Self::ScaleVcluster { .. } => "ScaleVcluster",
            Self::DeleteVcluster { .. } => "DeleteVcluster",
            Self::PlaceVnodes { .. } => "PlaceVnodes",
            Self::ReportVnodes { .. } => "ReportVnodes",
            Self::RemoveMaster { .. } => "RemoveMaster",
            Self::ReplaceMaster { .. } => "ReplaceMaster",
            Self::SetAutopilot { .. } => "SetAutopilot",
            Self::Drill(command) => command.name(),
            Self::ReportDivergence { .. } => "ReportDivergence",
            Self::RestoreCluster { .. } => "RestoreCluster",
            Self::RecoverCluster { .. } => "RecoverCluster",
            Self::ReportProgram { .. } => "ReportProgram",
            Self::RaiseVersion { .. } => "RaiseVersion",
            Self::RecordBackup => "RecordBackup",
            Self::AddPort { .. } => "AddPort",
            Self::RemovePort { .. } => "RemovePort",
            Self::LimitBandwidth { .. } => "LimitBandwidth",
            Self::Image(command) => command.name(),
            Self::CreateVclusterWith(_) => "CreateVclusterWith",
            Self::ResizeVcluster { .. } => "ResizeVcluster",
            Self::SetDiskOvercommit { .. } => "SetDiskOvercommit",
            Self::Snapshot(command) => command.name(),
            Self::Limit(command) => command.name(),
            Self::Group(command) => command.name(),
            Self::Schedule(command) => command.name(),
            Self::Move(command) => command.name(),
            Self::Drain(command) => command.name(),
            Self::Rebalance(command) => command.name(),
            Self::Quota(command) => command.name(),
            Self::SetRole { .. } => "SetRole",
            Self::Account(command) => command.name(),
            Self::Template(command) => command.name(),
            Self::Audit(command) => command.name(),
            Self::Setting(command) => command.name(),
            Self::Trash(command) => command.name(),
            Self::Idle(command) => command.name(),
            Self::Notice(command) => command.name(),
            Self::Bean(command) => command.name(),
            Self::Service(command) => command.name(),
            Self::Terminal(command) => command.name(),
            Self::Identity(command) => command.name(),
            Self::Acme(command) => command.name(),
            Self::Certificate(command) => command.name(),
        }
    }

    /// Whether a receipt of it is kept, so that the same request has no second effect. What keeps its own account of
    /// that needs none.
    #[must_use]
    pub fn leaves_receipt(&self) -> bool {
        let drill = matches!(self, Self::Drill(command) if !command.leaves_receipt());
        let bean = matches!(self, Self::Bean(command) if !command.leaves_receipt());
        !drill && !bean
    }
}
