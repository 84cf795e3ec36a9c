//! What the cluster knows: one file for each noun, plain data without rules.

pub mod account;
pub mod acme;
pub mod audit;
pub mod autopilot;
pub mod bandwidth;
pub mod bean;
pub mod bug;
pub mod certificate;
pub mod drain;
pub mod drill;
pub mod group;
pub mod home;
pub mod identity;
pub mod idle;
pub mod image;
pub mod join_token;
pub mod kept;
pub mod limit;
pub mod lineage;
pub mod loss;
pub mod lost;
pub mod mail;
pub mod master;
pub mod moves;
pub mod network;
pub mod notice;
pub mod port;
pub mod quota;
pub mod rebalance;
pub mod receipt;
pub mod replacement;
pub mod runs;
pub mod scheduling;
pub mod service;
pub mod session;
pub mod setting;
pub mod settings;
pub mod snapshot;
pub mod template;
pub mod terminal;
pub mod trash;
pub mod user;
pub mod vcluster;
pub mod version;
pub mod vnode;
pub mod wishes;
pub mod worker;

pub use account::{Account, AccountPolicy, Application, Login};
pub use acme::Acme;
pub use autopilot::Autopilot;
pub use bandwidth::{Bandwidth, KbitPerS};
pub use bean::{
    BeanDay, BeanDays, BeanLine, BeanRequest, BeanSettings, BeanVerdict, Cost, DayOfMonth, LineOf,
    MicroBeans, Month, Purse, PurseOf, Rates, Tally, Used,
};
pub use bug::Bug;
pub use certificate::WorkerCertificate;
pub use drain::{Drain, DrainFailure, DrainStage};
pub use drill::Drill;
pub use group::Group;
pub use home::{HomeUsual, UserHome};
pub use identity::{Identity, LoginDoors};
pub use image::{
    Image, ImageCopies, ImageGroups, ImageQuota, ImageRun, ImageSave, ImageSaveBound, ImageSpec,
    ImageTitle, SaveSeen, UserImageQuota, Visibility,
};
pub use join_token::{JoinRole, JoinToken};
pub use kept::Kept;
pub use limit::{BandwidthWish, SizeChange, VclusterBandwidth, VnodeResize};
pub use lineage::Lineage;
pub use loss::{DrillOrder, LostVnode, VnodeService, WorkerFault, WorkerLoss};
pub use lost::{VnodeFence, VnodeLoss};
pub use mail::{Mail, MailServer};
pub use master::Master;
pub use moves::{Checkpointing, Copied, Move, MoveEnd, MoveStage, MoveTimes, MoveWay, MoveWhy};
pub use network::Network;
pub use notice::{Notice, Reader};
pub use port::{Port, PortNumber, Protocol, PublicPort};
pub use quota::{Bound, GroupQuota, GroupShare, Quota, QuotaChange, QuotaItem, UserQuota};
pub use rebalance::{Rebalance, RebalancePolicy};
pub use receipt::{Outcome, Receipt};
pub use replacement::Replacement;
pub use scheduling::{Cordon, OnLost, Rules, Spread, VclusterRules, WorkerTraits};
pub use service::{Service, Visit};
pub use session::{Session, SessionKind};
pub use settings::{ClusterId, Counters, Settings};
pub use snapshot::{
    RestoreSeen, Snapshot, SnapshotCopy, SnapshotRestore, SnapshotRhythm, SnapshotSave,
    SnapshotSchedule, SnapshotSeen, SnapshotWhy,
};
pub use template::{Recipe, Template};
pub use terminal::Share;
pub use user::{Role, User};
pub use vcluster::{Vcluster, VclusterWanted};
pub use version::{Agreed, ClusterVersion, LastBackup, Program};
pub use vnode::{Placement, Vnode, VnodeSeen, VnodeWanted};
pub use wishes::{DiskOvercommit, GpuWish, VclusterWishes, VnodeWishes, Wishes};
pub use worker::{Gpu, Worker, WorkerCapacity, WorkerFacts, WorkerStatus};
