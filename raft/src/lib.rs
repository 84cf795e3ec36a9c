//! Makes the state durable and shared: openraft, redb, peers over mutual TLS, membership, follow, and the runner
//! of the leader's duties. It knows no rule: entries go through [`docklet_control::apply`], whatever they say.
//!
//! [`Master`] is the whole face of this room. openraft's types do not leave it.

mod agreement;
pub mod backup;
mod client;
mod client_door;
pub mod disk;
mod drill;
mod duties;
mod failure;
mod fault;
mod follow;
mod forward;
mod history;
mod join;
mod lease;
mod line;
mod links;
mod master;
mod membership;
pub mod offline;
mod peer;
mod rebuild;
mod retire;
mod settings;
mod snapshot;
mod standing;
mod status;
mod store;
pub mod trail;
mod types;
mod version;
mod wire;
mod world;

pub use agreement::Divergence;
pub use client::StoreClient;
pub use drill::{DrillNow, drill_helper};
pub use fault::{ProposeFault, RaftFault};
pub use follow::{FollowEnd, Followed, Follower, OnGap};
pub use join::{JoinAnswer, JoinKind, JoinRequest, join};
pub use master::{Master, MasterConfig};
pub use settings::{Settings, Sizes, Timing};
pub use standing::Standing;
pub use status::{MemberStatus, RaftStatus};
pub use store::Frozen;
pub use store::rows::HistoryLimits;
pub use world::{Asking, Clock, Dial, Dialling, World, machine_clock};

/// What of the parts inside this room is worth a line in the log. Which master does not answer is told once, not at each
/// heartbeat.
pub const LOG_DIRECTIVES: &str = "openraft=warn,openraft::core::heartbeat=error";

/// What of this room tells which rare paths were taken, for whoever counts them.
pub const PATHS_DIRECTIVES: &str =
    "docklet_raft=debug,openraft::engine=info,openraft::progress::entry::update=warn";
