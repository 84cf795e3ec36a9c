//! What the scheduler goes by beyond sizes: what a worker is like, whether it takes anything new, and where an owner
//! wants the vnodes of a vcluster.

use std::sync::LazyLock;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::ClusterVersion;
use crate::id::{LogIndex, UnixMs, UserId, VclusterId, WorkerId};
use crate::name::Name;

/// What an admin said of a worker. Without a row it has no labels and takes vnodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerTraits {
    pub worker: WorkerId,
    /// Freely chosen, as `disk = ssd`. `zone` is where it stands: what fails together.
    pub labels: OrdMap<Name, String>,
    /// Whether nothing new comes to it. What is there stays and runs.
    pub cordon: Option<Cordon>,
}

/// Who keeps a worker free of anything new, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cordon {
    pub by: UserId,
    pub at: UnixMs,
    /// For people; may be empty.
    pub reason: String,
}

impl WorkerTraits {
    /// Since when they are kept.
    pub const SINCE: ClusterVersion = ClusterVersion(3);
    /// The label that says where a worker stands.
    pub const ZONE: &'static str = "zone";
    /// Labels of one worker, and those that one vcluster may ask for.
    pub const LABELS_MAX: usize = 32;
    /// Longest value of a label, and longest reason of a cordon, in bytes.
    pub const TEXT_BYTES_MAX: usize = 200;

    /// Of whom nothing was said.
    #[must_use]
    pub fn none(worker: WorkerId) -> Self {
        Self {
            worker,
            labels: OrdMap::new(),
            cordon: None,
        }
    }

    /// Whether there is nothing to keep.
    #[must_use]
    pub fn says_nothing(&self) -> bool {
        self.labels.is_empty() && self.cordon.is_none()
    }

    /// The value of a label.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        let mut labels = self.labels.iter();
        let found = labels.find(|(name, _)| name.as_str() == key)?;
        Some(found.1.as_str())
    }
}

/// How the vnodes of one vcluster lie to each other. A wish: room comes first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Spread {
    /// Few on each worker, and then few in each zone.
    #[default]
    Workers,
    /// Few in each zone, and then few on each worker.
    Zones,
    /// Many on one worker: they talk to each other without a network between.
    Together,
}

impl Spread {
    /// The word by which people and programs mean it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Workers => "workers",
            Self::Zones => "zones",
            Self::Together => "together",
        }
    }
}

/// What becomes of a vnode whose worker is lost.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum OnLost {
    /// It waits for its worker, and has its disk again when that comes back. It may well be running all the while.
    #[default]
    Wait,
    /// It begins anew on another worker, once the lost one has certainly ended it. What was on its disk is lost.
    Restart,
}

impl OnLost {
    /// The word by which people and programs mean it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Restart => "restart",
        }
    }
}

/// What an owner wants of the workers of a vcluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    pub spread: Spread,
    /// A worker never has more of its vnodes; none if there is no such bound.
    pub per_worker_max: Option<u32>,
    /// What a worker must be labelled.
    #[schemars(with = "std::collections::BTreeMap<Name, String>")]
    pub labels: OrdMap<Name, String>,
    /// What it had better be labelled: a wish that comes before the spread, and after room.
    #[schemars(with = "std::collections::BTreeMap<Name, String>")]
    pub prefers: OrdMap<Name, String>,
    pub on_lost: OnLost,
}

/// What whoever wants nothing gets.
static USUAL: LazyLock<Rules> = LazyLock::new(Rules::default);

impl Rules {
    /// What whoever wants nothing gets.
    #[must_use]
    pub fn usual() -> &'static Self {
        &USUAL
    }
}

/// The rules of one vcluster. Without a row they are the usual ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VclusterRules {
    pub vcluster: VclusterId,
    pub rules: Rules,
    /// The entry since which `rules.on_lost` holds.
    pub on_lost_since: LogIndex,
}
