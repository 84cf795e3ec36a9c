//! Backups, for admins: the state after one entry, streamed while the cluster goes on.

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use docklet_control::id::UnixMs;
use docklet_control::{Command, Refusal, permit, version};
use docklet_raft::backup;

use crate::asker::{self, Asker, WRITE_DEADLINE};
use crate::problem::Problem;
use crate::serve::Portal;

/// Leaves in the state that a backup was taken. Where the cluster has not come to that yet, it is taken all the same.
async fn record(portal: &Portal, asker: &Asker) -> Result<(), Problem> {
    let needed = version::check(&asker.frozen.state, &Command::RecordBackup);
    if needed.is_ok() {
        asker::propose(portal, asker, Command::RecordBackup).await?;
    }
    Ok(())
}

/// A backup of a state at least as new as every write acknowledged before the request.
pub(crate) async fn take(State(portal): State<Portal>, asker: Asker) -> Result<Response, Problem> {
    permit::admin(&asker.frozen.state, asker.actor(), "take a backup")?;
    record(&portal, &asker).await?;
    let frozen = portal.master.read(WRITE_DEADLINE).await?;
    // What holds by now, should this master have lagged behind.
    permit::admin(&frozen.state, asker.actor(), "take a backup")?;
    let index = frozen.index;
    let at = UnixMs(u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0));
    let parts = backup::stream(frozen, at).map_err(|_| Refusal::ClusterMissing)?;
    let parts = parts.ok_or_else(Problem::backups_under_way)?;
    tracing::info!(user = %asker.user.name, %index, "backup asked for");
    let name = format!("attachment; filename=\"docklet-{index}.backup\"");
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, Body::from_stream(parts)).into_response())
}
