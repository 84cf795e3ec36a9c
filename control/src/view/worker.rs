//! Workers as an admin sees them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::gpus;
use crate::id::{UnixMs, WorkerId};
use crate::model::{Worker, WorkerFacts, WorkerStatus};
use crate::place;
use crate::state::State;
use crate::view::certificate::{self, CertificateView};
use crate::view::part::{Part, Wanted};

/// One worker as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct WorkerView {
    pub id: WorkerId,
    pub name: String,
    pub status: WorkerStatus,
    pub status_since: UnixMs,
    pub data_addr: String,
    pub underlay: IpAddr,
    pub facts: WorkerFacts,
    /// Thousandths of a core promised to vnodes, and what may be.
    pub cpu_milli_promised: u64,
    pub cpu_milli_max: u64,
    /// MiB promised to vnodes, and what may be.
    pub memory_mib_promised: u64,
    pub memory_mib_max: u64,
    /// MiB of disk promised to vnodes, and what may be.
    #[serde(default)]
    pub disk_mib_promised: u64,
    #[serde(default)]
    pub disk_mib_max: u64,
    /// GPUs of it that are some vnode's.
    #[serde(default)]
    pub gpus_given: u32,
    /// Vnodes placed on it.
    pub vnodes: u32,
    /// What an admin said of it.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Why it takes nothing new; none while it does.
    #[serde(default)]
    pub cordon: Option<String>,
    /// By which it proves to masters who it is; none while that is not known.
    #[serde(default)]
    pub certificate: Option<CertificateView>,
    /// A token lets it join again.
    #[serde(default)]
    pub awaited: bool,
}

/// Part of the workers, in the order in which they joined.
#[must_use]
pub fn part(state: &State, wanted: &Wanted) -> Part<WorkerView> {
    let workers = state.workers.values();
    let rows = workers.filter(|worker| wanted.finds(worker.name.as_str()));
    let rows = rows.map(|worker| (worker.id, worker));
    let read = |text: &str| text.parse().ok().map(WorkerId);
    wanted.of(rows.collect(), read, WorkerId::to_string, |worker| {
        show(state, worker)
    })
}

/// One worker.
#[must_use]
pub fn one(state: &State, worker: &Worker) -> WorkerView {
    show(state, worker)
}

fn show(state: &State, worker: &Worker) -> WorkerView {
    let load = place::load(state, worker);
    let traits = state.worker_traits.get(&worker.id);
    let labels = traits.into_iter().flat_map(|traits| traits.labels.iter());
    let cordon = traits.and_then(|traits| traits.cordon.as_ref());
    WorkerView {
        id: worker.id,
        name: worker.name.to_string(),
        status: worker.status,
        status_since: worker.status_since,
        data_addr: worker.data_addr.clone(),
        underlay: worker.underlay,
        facts: worker.facts.clone(),
        cpu_milli_promised: load.cpu_milli,
        cpu_milli_max: load.cpu_milli_max,
        memory_mib_promised: load.memory_mib,
        memory_mib_max: load.memory_mib_max,
        disk_mib_promised: load.disk_mib,
        disk_mib_max: load.disk_mib_max,
        gpus_given: gpus::given(state, worker),
        labels: labels
            .map(|(key, value)| (key.to_string(), value.clone()))
            .collect(),
        cordon: cordon.map(|cordon| cordon.reason.clone()),
        certificate: certificate::of_worker(state, worker),
        awaited: certificate::is_awaited(state, worker),
        vnodes: u32::try_from(state.vnodes_on(worker.id).count()).unwrap_or(u32::MAX),
    }
}
