//! How the cluster is, in short, for everybody who is logged in.

use axum::Json;
use axum::extract::State;
use docklet_control::model::{ClusterVersion, LastBackup, Lineage, WorkerStatus};
use docklet_control::version;
use docklet_control::view::{self, DrillNotice};
use docklet_raft::RaftStatus;
use serde::Serialize;

use crate::asker::Asker;
use crate::between;
use crate::serve::Portal;

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Status {
    cluster: String,
    user: String,
    /// Name of the master that answers.
    master: String,
    /// Name of the master that leads; none while there is an election.
    leader: Option<String>,
    raft: RaftStatus,
    /// Where the cluster comes from if it began anew.
    lineage: Option<Lineage>,
    workers_up: usize,
    workers: usize,
    vclusters: usize,
    vnodes: usize,
    /// The drill that is announced or under way.
    notice: Option<DrillNotice>,
    /// What all masters write.
    cluster_version: ClusterVersion,
    /// Who keeps that from rising, for operators; none if nobody does.
    version_warning: Option<String>,
    /// The last backup that was recorded, for operators.
    last_backup: Option<LastBackup>,
    /// What is not as it should be with certificates between masters and workers, for operators.
    certificate_warnings: Vec<String>,
}

pub(crate) async fn show(State(portal): State<Portal>, asker: Asker) -> Json<Status> {
    let state = &asker.frozen.state;
    let up = state
        .workers
        .values()
        .filter(|w| w.status == WorkerStatus::Up);
    let operates = asker.user.operates();
    let raft = portal.master.status();
    let leader = raft.leader.and_then(|id| state.masters.get(&id));
    Json(Status {
        leader: leader.map(|master| master.name.to_string()),
        cluster: state
            .settings
            .as_ref()
            .map(|s| s.name.to_string())
            .unwrap_or_default(),
        user: asker.user.name.to_string(),
        master: portal.name.to_string(),
        raft,
        lineage: state.lineage,
        workers_up: up.count(),
        workers: state.workers.len(),
        vclusters: state
            .vclusters_of(asker.user.id)
            .filter(|row| !state.is_trashed(row.id))
            .count(),
        vnodes: state
            .vnodes
            .values()
            .filter(|v| v.owner == asker.user.id)
            .count(),
        notice: view::drill::notice(state),
        cluster_version: state.version(),
        version_warning: version::warning(state).filter(|_| operates),
        last_backup: state.last_backup.filter(|_| operates),
        certificate_warnings: if operates {
            between::warnings_here(&portal, state)
        } else {
            Vec::new()
        },
    })
}
