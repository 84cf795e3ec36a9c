//! What a master answers the others about a drill.

use std::sync::Arc;
use std::time::Duration;

use docklet_control::Event;
use docklet_control::drill::event::DrillEvent;
use docklet_control::event::Change;
use docklet_control::id::{DrillId, LogIndex};
use docklet_control::model::Drill;
use docklet_control::model::drill::{DrillStage, MasterFound, Prober};
use docklet_control::model::runs::Runs;
use docklet_control::rows::StateHash;

use crate::fault::RaftFault;
use crate::master::Master;
use crate::store::blocking;
use crate::wire::{self, decode, encode};

/// A master that lags is waited for so long.
const CATCH_UP: Duration = Duration::from_secs(2);

/// Answers one call.
pub async fn answer(master: &Master, method: u8, body: &[u8]) -> Result<Vec<u8>, String> {
    match method {
        wire::DRILL_GROUP if master.is_leader() => encode(&wire::DrillGroup(master.group_here())),
        wire::DRILL_GROUP => Err("this master does not lead".to_owned()),
        wire::DRILL_PULSE => encode(&pulse(master, decode(body)?)),
        wire::DRILL_CHECK => encode(&check(master, &decode(body)?).await?),
        unknown => Err(format!("no call about drills has the number {unknown}")),
    }
}

/// Whether the drill may go on, as far as this master can tell.
pub fn pulse(master: &Master, wire::DrillAbout(id): wire::DrillAbout) -> wire::DrillPulse {
    let drill = master.drill(id);
    let desk = &master.inner.desk;
    let worst_gap_ms = desk.worst_gap_ms(id).unwrap_or(0);
    wire::DrillPulse {
        follows: drill.as_ref().is_some_and(|drill| desk.follows(drill)),
        stop: why_stop(master, drill.as_ref(), worst_gap_ms),
        worst_gap_ms,
    }
}

/// Why not. A master that has not come as far as the order has nothing against it.
fn why_stop(master: &Master, drill: Option<&Drill>, worst_gap_ms: u64) -> Option<String> {
    let drill = drill?;
    let goes_on = matches!(drill.stage, DrillStage::Announced | DrillStage::Fault);
    if !goes_on || master.inner.desk.is_unwanted(drill.id) {
        return Some("the drill was aborted".to_owned());
    }
    let accepted_ms = drill.plan.gap_max_ms;
    (worst_gap_ms > accepted_ms)
        .then(|| format!("no write was acknowledged for more than {accepted_ms} ms"))
}

/// What this master has of what was acknowledged.
///
/// # Errors
/// It has not come so far, or its disk failed.
pub async fn check(master: &Master, ask: &wire::DrillCheck) -> Result<MasterFound, String> {
    look(master, ask).await.map_err(|fault| fault.to_string())
}

async fn look(master: &Master, ask: &wire::DrillCheck) -> Result<MasterFound, RaftFault> {
    let frozen = master.wait_applied(ask.at, CATCH_UP).await?;
    let drill = frozen.state.drills.get(&ask.drill);
    let in_state = |prober: Prober| {
        let recorded = drill.and_then(|drill| drill.probes_of(prober));
        recorded.cloned().unwrap_or_default()
    };
    let history = probes_in_history(master, ask.drill, ask.at).await?;
    let in_history = |prober: Prober| {
        let probes = history.iter().flatten();
        let own = probes.filter(|(by, _)| *by == prober);
        own.map(|(_, sequence)| *sequence).collect()
    };
    Ok(MasterFound {
        missing_in_state: missing(&ask.acked, in_state),
        missing_in_history: history.is_some().then(|| missing(&ask.acked, in_history)),
        compared: state_hash(master, ask.at).await?.map(|hash| (ask.at, hash)),
    })
}

fn missing(acked: &[(Prober, Runs)], has: impl Fn(Prober) -> Runs) -> u64 {
    let missing = acked
        .iter()
        .map(|(prober, runs)| runs.missing_from(&has(*prober)));
    missing.sum()
}

/// Every probe that the history has; none if it does not reach back to the drill's beginning.
async fn probes_in_history(
    master: &Master,
    drill: DrillId,
    upto: LogIndex,
) -> Result<Option<Vec<(Prober, u32)>>, RaftFault> {
    let mut after = LogIndex(drill.0);
    let mut probes = Vec::new();
    loop {
        let page = master.inner.view.changes(after, upto).await?;
        if after < page.kept_after {
            return Ok(None);
        }
        let changes = page.changes.iter();
        probes.extend(changes.flat_map(|change| probes_of(change, drill)));
        after = page.complete_to;
        if after >= upto {
            return Ok(Some(probes));
        }
    }
}

fn probes_of(change: &Arc<Change>, drill: DrillId) -> Vec<(Prober, u32)> {
    let probe = |event: &Event| {
        if let Event::Drill(DrillEvent::Probed {
            drill: of,
            prober,
            sequence,
        }) = event
            && *of == drill
        {
            return Some((*prober, *sequence));
        }
        None
    };
    change.events.iter().filter_map(probe).collect()
}

/// The hash of the state after an entry, from all its rows.
async fn state_hash(master: &Master, at: LogIndex) -> Result<Option<StateHash>, RaftFault> {
    let Some(state) = master.state_at(at).await? else {
        return Ok(None);
    };
    let hash = blocking(move || Ok(StateHash::of(&state))).await?;
    Ok(Some(hash))
}
