//! How the cluster is: what this master knows, what the others and the workers say of themselves. And for load balancers,
//! whether this master lives and keeps up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use docklet_control::id::WorkerId;
use docklet_control::meter::{Live, Measure};
use docklet_control::model::WorkerStatus;
use docklet_control::view::health::{self, CertificateSeen, HealthView, Seen, WorkerSeen};
use docklet_raft::Frozen;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::asker::now;
use crate::meters;
use crate::serve::Portal;

/// A master that takes longer to come as far as the leader is not ready.
const READY_DEADLINE: Duration = Duration::from_secs(1);
/// What was found holds so long, however many ask.
const READY_HOLDS: Duration = Duration::from_millis(500);

/// Asks everybody.
pub(crate) async fn look(portal: &Portal, frozen: &Frozen) -> HealthView {
    let up = frozen.state.workers.values();
    let up = up.filter(|worker| worker.status == WorkerStatus::Up);
    let (group, machines, live) = tokio::join!(
        portal.master.observe(),
        portal.master.machines(),
        meters::now_of_all(portal, up),
    );
    let seen = Seen {
        group,
        machines,
        workers: workers(&live),
        ..here(portal, frozen)
    };
    health::show(&frozen.state, &seen)
}

/// The same of what was heard last, for pages that look again and again.
pub(crate) fn last(portal: &Portal, frozen: &Frozen) -> HealthView {
    let ids = frozen.state.workers.keys();
    let live = ids.filter_map(|id| Some((*id, portal.meters.followed(*id)?)));
    let live: BTreeMap<WorkerId, Arc<Live>> = live.collect();
    let seen = Seen {
        group: portal.master.observed_last(),
        machines: portal.master.machines_last(),
        workers: workers(&live),
        ..here(portal, frozen)
    };
    health::show(&frozen.state, &seen)
}

fn here(portal: &Portal, frozen: &Frozen) -> Seen {
    let shown = portal.public.view(&portal.name, None).certificates;
    let certificates = shown.into_iter().map(|it| CertificateSeen {
        renews: it.renewed_at.is_some(),
        source: it.source,
        until: it.until,
        fault: it.fault,
    });
    Seen {
        now: now(),
        index: frozen.index,
        asked_workers: true,
        certificates: certificates.collect(),
        ..Seen::default()
    }
}

fn workers(live: &BTreeMap<WorkerId, Arc<Live>>) -> BTreeMap<WorkerId, WorkerSeen> {
    let seen = |live: &Live| WorkerSeen {
        at: live.at,
        disk_used_bytes: live.worker.values.get(Measure::DiskBytes).map(whole),
        gpu_problem: live.gpu_problem.clone(),
        lxcfs: live.lxcfs,
    };
    live.iter().map(|(id, live)| (*id, seen(live))).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bytes of a disk are never negative, and far below 2^64"
)]
fn whole(value: f32) -> u64 {
    value.round() as u64
}

/// Whether this master was ready, and when that was found.
#[derive(Clone, Default)]
pub(crate) struct Ready(Arc<Mutex<Option<(bool, Instant)>>>);

impl Ready {
    async fn look(&self, portal: &Portal) -> bool {
        let mut found = self.0.lock().await;
        if let Some((ready, at)) = *found
            && at.elapsed() < READY_HOLDS
        {
            return ready;
        }
        let ready = portal.master.read(READY_DEADLINE).await.is_ok();
        *found = Some((ready, Instant::now()));
        ready
    }
}

/// It lives.
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// A leader answers, and this master has come as far as that one had.
pub(crate) async fn ready(State(portal): State<Portal>) -> (StatusCode, &'static str) {
    if portal.ready.look(&portal).await {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}
