//! What happened: the only thing that changes the state, and what everybody follows.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::account::event::AccountEvent;
use crate::acme::event::AcmeEvent;
use crate::audit::event::AuditEvent;
use crate::bean::event::BeanEvent;
use crate::certificate::event::CertificateEvent;
use crate::command::Actor;
use crate::drain::event::DrainEvent;
use crate::drill::event::DrillEvent;
use crate::group::event::GroupEvent;
use crate::id::{
    Digest, LogIndex, MasterId, SecretHash, UnixMs, UserId, VclusterId, VnodeId, WorkerId,
};
use crate::identity::event::IdentityEvent;
use crate::idle::event::IdleEvent;
use crate::image::event::ImageEvent;
use crate::limit::event::LimitEvent;
use crate::model::{
    Autopilot, Bandwidth, ClusterVersion, Counters, DiskOvercommit, Image, JoinToken, LastBackup,
    Lineage, Master, Network, Placement, Port, Program, PublicPort, Replacement, Role, Session,
    Settings, User, Vcluster, VclusterWanted, Vnode, VnodeSeen, VnodeWanted, Wishes, Worker,
    WorkerFacts, WorkerStatus,
};
use crate::moves::event::MoveEvent;
use crate::name::Name;
use crate::notice::event::NoticeEvent;
use crate::place::Obstacle;
use crate::quota::event::QuotaEvent;
use crate::rebalance::event::RebalanceEvent;
use crate::schedule::event::ScheduleEvent;
use crate::service::event::ServiceEvent;
use crate::snapshot::event::SnapshotEvent;
use crate::template::event::TemplateEvent;
use crate::terminal::event::TerminalEvent;
use crate::trash::event::TrashEvent;

/// One fact. It carries every chosen value, so that replay never chooses again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    ClusterInitialised {
        settings: Settings,
    },
    MasterJoined {
        master: Master,
    },
    JoinTokenCreated {
        token: JoinToken,
    },
    JoinTokenSpent {
        id: SecretHash,
        uses_left: u32,
    },
    JoinTokenForgotten {
        id: SecretHash,
    },
    WorkerJoined {
        worker: Worker,
    },
    WorkerDescribed {
        worker: WorkerId,
        facts: WorkerFacts,
    },
    WorkerMarked {
        worker: WorkerId,
        status: WorkerStatus,
    },
    UserCreated {
        user: User,
    },
    PasswordChanged {
        user: UserId,
        password_hash: String,
    },
    SessionOpened {
        session: Session,
    },
    SessionClosed {
        id: SecretHash,
        user: UserId,
    },
    ImageRegistered {
        image: Image,
    },
    ImageHeld {
        digest: Digest,
        worker: WorkerId,
    },
    ImageLost {
        digest: Digest,
        worker: WorkerId,
    },
    NetworkCreated {
        network: Network,
    },
    VclusterCreated {
        vcluster: Vcluster,
    },
    VclusterWantedChanged {
        about: VclusterRef,
        wanted: VclusterWanted,
    },
    VclusterDeleted {
        about: VclusterRef,
    },
    VnodeCreated {
        vnode: Vnode,
    },
    VnodeWantedChanged {
        about: VnodeRef,
        wanted: VnodeWanted,
    },
    VnodePlaced {
        about: VnodeRef,
        placement: Placement,
    },
    VnodeUnplaceable {
        about: VnodeRef,
        obstacles: Vec<Obstacle>,
    },
    VnodeSeen {
        about: VnodeRef,
        seen: VnodeSeen,
    },
    VnodeRemoved {
        about: VnodeRef,
    },
    MasterRemoved {
        master: MasterId,
        name: Name,
    },
    MasterReplacementWanted {
        replacement: Replacement,
    },
    MasterReplacementJoined {
        old: MasterId,
        new: MasterId,
    },
    /// It is done, or will not come.
    MasterReplacementForgotten {
        old: MasterId,
    },
    AutopilotSet {
        autopilot: Autopilot,
    },
    Drill(DrillEvent),
    /// Most masters have another state than this one after an entry. It takes its state anew from them.
    MasterDiverged {
        master: MasterId,
        after: LogIndex,
    },
    /// A new cluster goes on from a backup of another.
    ClusterRestored {
        lineage: Lineage,
        settings: Settings,
        counters: Counters,
    },
    /// One master goes on alone; what the others had and it had not is lost.
    ClusterRecovered {
        lineage: Lineage,
        master: MasterId,
        counters: Counters,
    },
    ProgramReported {
        program: Program,
    },
    VersionRaised {
        version: ClusterVersion,
    },
    BackupTaken {
        backup: LastBackup,
    },
    PortAdded {
        port: Port,
    },
    PortRemoved {
        about: VnodeRef,
        public: PublicPort,
    },
    BandwidthLimited {
        bandwidth: Bandwidth,
    },
    Image(ImageEvent),
    /// What vnodes that are added to it want beyond their size.
    VclusterWished {
        about: VclusterRef,
        wishes: Wishes,
    },
    VnodeWished {
        about: VnodeRef,
        wishes: Wishes,
    },
    /// Unique names of GPUs that are the vnode's own from now on.
    GpusGiven {
        about: VnodeRef,
        gpus: Vec<String>,
    },
    DiskOvercommitSet {
        overcommit: DiskOvercommit,
    },
    Snapshot(SnapshotEvent),
    Limit(LimitEvent),
    Group(GroupEvent),
    Schedule(ScheduleEvent),
    Moved(MoveEvent),
    Drain(DrainEvent),
    Rebalance(RebalanceEvent),
    Quota(QuotaEvent),
    RoleSet {
        user: UserId,
        role: Role,
    },
    Account(AccountEvent),
    Template(TemplateEvent),
    Audit(AuditEvent),
    Trash(TrashEvent),
    Idle(IdleEvent),
    Notice(NoticeEvent),
    Bean(BeanEvent),
    Service(ServiceEvent),
    Terminal(TerminalEvent),
    Identity(IdentityEvent),
    Acme(AcmeEvent),
    Certificate(CertificateEvent),
}

/// Which vcluster an event is about, and whose it is: enough to show it to the right people after it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VclusterRef {
    pub vcluster: VclusterId,
    pub owner: UserId,
}

/// Which vnode an event is about, in which vcluster, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VnodeRef {
    pub vnode: VnodeId,
    pub vcluster: VclusterId,
    pub owner: UserId,
}

impl From<&Vcluster> for VclusterRef {
    fn from(vcluster: &Vcluster) -> Self {
        Self {
            vcluster: vcluster.id,
            owner: vcluster.owner,
        }
    }
}

impl From<&Vnode> for VnodeRef {
    fn from(vnode: &Vnode) -> Self {
        Self {
            vnode: vnode.id,
            vcluster: vnode.vcluster,
            owner: vnode.owner,
        }
    }
}

/// All that one entry of the log changed, in order: one frame of the stream that everybody follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The entry.
    pub index: LogIndex,
    /// When the leader stamped it.
    pub at: UnixMs,
    /// Who asked.
    pub actor: Actor,
    /// Name of the command.
    pub command: Cow<'static, str>,
    /// What happened.
    pub events: Vec<Event>,
}
