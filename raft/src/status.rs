//! How this master and its group are doing, for people.

use docklet_control::id::{LogIndex, MasterId};
use serde::{Deserialize, Serialize};

/// One member of the group, as the asked master knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MemberStatus {
    pub id: MasterId,
    /// Cluster listener.
    pub cluster_addr: String,
    /// Whether it counts for the quorum.
    pub voter: bool,
    /// Last entry that the leader knows to be on its disk; known on the leader only.
    pub matched: Option<LogIndex>,
    /// Milliseconds since it last answered the leader; known on the leader only.
    pub heard_ms_ago: Option<u64>,
}

/// One master's view of the group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RaftStatus {
    /// The asked master.
    pub id: MasterId,
    /// `leader`, `follower`, `candidate`, `learner` or `shutdown`.
    pub role: String,
    pub term: u64,
    /// The leader it follows; none while there is an election.
    pub leader: Option<MasterId>,
    pub members: Vec<MemberStatus>,
    /// Whether votes are being given or taken: until that is done a majority of the old voters counts too.
    pub changing: bool,
    /// Last entry on its disk.
    pub last_log: LogIndex,
    /// Last entry in its state.
    pub applied: LogIndex,
    /// Fingerprint of its state at `applied`; empty if it was not asked for.
    pub state_hash: String,
}
