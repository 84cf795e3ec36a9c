//! Drills, for admins. What everybody is told of one is part of `/status` and of every page.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use docklet_control::drill::command::{DrillAsk, DrillCommand};
use docklet_control::evolve::evolve;
use docklet_control::id::DrillId;
use docklet_control::model::Drill;
use docklet_control::model::Receipt;
use docklet_control::model::drill::{DrillAbort, ProbeReport, Prober};
use docklet_control::view::DrillView;
use docklet_control::{Command, Refusal, permit, view};
use docklet_raft::DrillNow;
use serde::{Deserialize, Serialize};

use super::Body;
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;

/// The leader is asked for so long how the group is.
const GROUP_DEADLINE: Duration = Duration::from_secs(3);

pub(crate) async fn list(asker: Asker) -> Result<Json<Vec<DrillView>>, Problem> {
    let state = &asker.frozen.state;
    permit::operator(state, asker.actor(), "list drills")?;
    Ok(Json(view::drill::list(state)))
}

/// A drill, and what this master sees of it at this moment.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "ShownDrill")]
pub(crate) struct Shown {
    #[serde(flatten)]
    drill: DrillView,
    now: Option<DrillNow>,
}

pub(crate) async fn show(
    State(portal): State<Portal>,
    asker: Asker,
    Path(id): Path<String>,
) -> Result<Json<Shown>, Problem> {
    let drill = find(&asker, &id)?;
    Ok(Json(Shown {
        drill: view::drill::show(&asker.frozen.state, drill),
        now: portal.master.drill_now(drill.id).filter(|_| drill.runs()),
    }))
}

/// The drill, if the asker may see drills and there is such a one.
pub(crate) fn find<'a>(asker: &'a Asker, id: &str) -> Result<&'a Drill, Problem> {
    let state = &asker.frozen.state;
    permit::operator(state, asker.actor(), "look at drills")?;
    let known = id
        .parse()
        .ok()
        .and_then(|id| state.drills.get(&DrillId(id)));
    Ok(known.ok_or_else(|| Refusal::not_found("drill", id.escape_debug()))?)
}

/// The command that announces a drill, with the group as its leader sees it now.
pub(crate) async fn start_command(portal: &Portal, ask: DrillAsk) -> Result<Command, Problem> {
    let group = portal.master.group(GROUP_DEADLINE).await?;
    Ok(Command::Drill(DrillCommand::Start { ask, group }))
}

pub(crate) async fn start(
    State(portal): State<Portal>,
    asker: Asker,
    Body(ask): Body<DrillAsk>,
) -> Result<Json<Receipt>, Problem> {
    permit::operator(&asker.frozen.state, asker.actor(), "order a drill")?;
    let command = start_command(&portal, ask).await?;
    Ok(Json(propose(&portal, &asker, command).await?))
}

/// What would be announced, without announcing it: as the cluster is, and not as a master that lags behind has it.
pub(crate) async fn forecast(
    State(portal): State<Portal>,
    asker: Asker,
    Body(ask): Body<DrillAsk>,
) -> Result<Json<DrillView>, Problem> {
    permit::operator(&asker.frozen.state, asker.actor(), "order a drill")?;
    let command = start_command(&portal, ask).await?;
    let current = portal.master.read(GROUP_DEADLINE).await?;
    let state = &current.state;
    let decided = portal.master.what_if(&current, asker.actor(), command)?;
    let (now, announced) = (portal.master.now(), decided.events.iter());
    let announced = announced.fold(docklet_control::State::clone(state), |state, event| {
        evolve(state, now, event)
    });
    let drill = announced.running_drill();
    let drill = drill.ok_or_else(|| Refusal::not_found("drill", "forecast"))?;
    Ok(Json(view::drill::show(&announced, drill)))
}

/// The targets that ask this master hear of it at once; the record does when there is a quorum.
pub(crate) async fn stop(portal: &Portal, asker: &Asker, id: &str) -> Result<Receipt, Problem> {
    let drill = find(asker, id)?.id;
    portal.master.drill_is_unwanted(drill);
    let user = asker.user.id;
    let reason = DrillAbort::Asked { user };
    let command = Command::Drill(DrillCommand::Abort { drill, reason });
    propose(portal, asker, command).await
}

pub(crate) async fn abort(
    State(portal): State<Portal>,
    asker: Asker,
    Path(id): Path<String>,
) -> Result<Json<Receipt>, Problem> {
    Ok(Json(stop(&portal, &asker, &id).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probe {
    sequence: u32,
}

/// A write of the command line that measures.
pub(crate) async fn probe(
    State(portal): State<Portal>,
    asker: Asker,
    Path(id): Path<String>,
    Body(body): Body<Probe>,
) -> Result<Json<Receipt>, Problem> {
    let command = Command::Drill(DrillCommand::Probe {
        drill: find(&asker, &id)?.id,
        prober: Prober::Client,
        sequence: body.sequence,
    });
    Ok(Json(propose(&portal, &asker, command).await?))
}

/// What the command line measured.
pub(crate) async fn report(
    State(portal): State<Portal>,
    asker: Asker,
    Path(id): Path<String>,
    Body(report): Body<ProbeReport>,
) -> Result<Json<Receipt>, Problem> {
    let drill = find(&asker, &id)?.id;
    let report = ProbeReport {
        prober: Prober::Client,
        ..report
    };
    let command = Command::Drill(DrillCommand::ReportProbes { drill, report });
    Ok(Json(propose(&portal, &asker, command).await?))
}
