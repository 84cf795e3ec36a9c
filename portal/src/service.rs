//! Watches the vnodes of a worker that looks lost for a drill by the way that people's terminals go: each is asked again and
//! again to run a program, wherever it is by now. What this master saw goes into the drill's record.

use std::time::{Duration, Instant};

use docklet_control::drill::command::DrillCommand;
use docklet_control::drill::loss::watched;
use docklet_control::id::{DrillId, RequestId, VnodeId};
use docklet_control::model::VnodeService;
use docklet_control::{Actor, Command};
use docklet_raft::Frozen;
use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::serve::Portal;
use crate::worker;

/// Each vnode is asked this often.
const EVERY: Duration = Duration::from_millis(500);
/// An answer that takes longer is none.
const ANSWER_DEADLINE: Duration = Duration::from_secs(1);
/// What is reported has to find a quorum in this time.
const REPORT_DEADLINE: Duration = Duration::from_secs(3);

/// Watches one drill after the other, until dropped.
pub(crate) async fn run(portal: Portal) {
    let mut states = portal.master.watch();
    loop {
        let me = portal.master.id();
        let asked = |frozen: &Frozen| {
            watched(&frozen.state).is_some_and(|(drill, _)| drill.plan.probers.contains(&me))
        };
        let found = match states.wait_for(asked).await {
            Ok(frozen) => watched(&frozen.state).map(|(drill, loss)| (drill.id, loss.clone())),
            Err(_) => return,
        };
        let Some((drill, loss)) = found else { continue };
        let vnodes = loss.vnodes.keys().copied().take(VnodeService::VNODES_MAX);
        let watching = vnodes.map(|vnode| watch(&portal, drill, vnode));
        let seen = join_all(watching).await;
        let command = Command::Drill(DrillCommand::ReportService {
            drill,
            master: me,
            seen,
        });
        let request = RequestId::issued(portal.master.local().index, rand::random());
        let reported = portal
            .master
            .propose(Actor::Door(me), request, command, REPORT_DEADLINE)
            .await;
        if let Err(fault) = reported {
            tracing::warn!(%drill, %fault, "what was seen of vnodes is not in the drill's record");
        }
    }
}

/// Asks one vnode until the drill is that far.
async fn watch(portal: &Portal, drill: DrillId, vnode: VnodeId) -> (VnodeId, VnodeService) {
    let mut seen = VnodeService::default();
    let mut answered = Instant::now();
    let gap_ms = |since: Instant| u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
    let over = |frozen: &Frozen| watched(&frozen.state).is_none_or(|(now, _)| now.id != drill);
    let mut states = portal.master.watch();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = states.wait_for(over) => break,
            _ = ticks.tick() => {}
        }
        seen.asked += 1;
        if timeout(ANSWER_DEADLINE, ask(portal, vnode)).await == Ok(Some(())) {
            seen.answered += 1;
            seen.gap_ms = seen.gap_ms.max(gap_ms(answered));
            answered = Instant::now();
        }
    }
    seen.gap_ms = seen.gap_ms.max(gap_ms(answered));
    (vnode, seen)
}

/// Whether a program that the vnode was asked to run has run: which end it came to is no matter.
async fn ask(portal: &Portal, vnode: VnodeId) -> Option<()> {
    let state = portal.master.local().state;
    let placed = state.vnodes.get(&vnode)?.placement?;
    let there = state.workers.get(&placed.worker)?;
    let mut socket = worker::open(portal, there, "/exec").await.ok()?;
    let run = serde_json::json!({ "vnode": vnode, "epoch": placed.epoch, "argv": ["true"] });
    socket.send(Message::text(run.to_string())).await.ok()?;
    while let Some(message) = socket.next().await {
        if let Message::Text(text) = message.ok()? {
            let told: serde_json::Value = serde_json::from_str(&text).ok()?;
            return told.get("exit").map(|_| ());
        }
    }
    None
}
