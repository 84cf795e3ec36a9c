//! What the scheduler goes by, why vnodes are where they are, and what would come of something.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use docklet_control::id::WorkerId;
use docklet_control::model::{Receipt, Rules};
use docklet_control::quota::command::QuotaCommand;
use docklet_control::schedule::command::ScheduleCommand;
use docklet_control::view::{Explanation, explain};
use docklet_control::what_if::{self, Outlook, Supposed};
use docklet_control::{Command, permit};
use serde::Deserialize;

use super::Body;
use super::vcluster::NewVcluster;
use crate::asker::{Asker, propose};
use crate::meters::worker_named;
use crate::past::aside;
use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker::{find_vcluster, find_watched, find_watched_vnode};

/// The worker of this name; admins alone learn whether there is one.
pub(crate) fn find_worker(asker: &Asker, action: &str, name: &str) -> Result<WorkerId, Problem> {
    let state = &asker.frozen.state;
    permit::operator(state, asker.actor(), action)?;
    Ok(worker_named(state, name)?.id)
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CordonReason")]
pub(crate) struct Reason {
    #[serde(default)]
    reason: String,
}

pub(crate) async fn cordon(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Body(body): Body<Reason>,
) -> Result<Json<Receipt>, Problem> {
    let worker = find_worker(&asker, "cordon workers", &name)?;
    let reason = body.reason;
    let command = Command::Schedule(ScheduleCommand::Cordon { worker, reason });
    Ok(Json(propose(&portal, &asker, command).await?))
}

pub(crate) async fn uncordon(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
) -> Result<Json<Receipt>, Problem> {
    let worker = find_worker(&asker, "uncordon workers", &name)?;
    let command = Command::Schedule(ScheduleCommand::Uncordon { worker });
    Ok(Json(propose(&portal, &asker, command).await?))
}

/// Labels by their names; null takes one away.
pub(crate) async fn label(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Body(labels): Body<BTreeMap<String, Option<String>>>,
) -> Result<Json<Receipt>, Problem> {
    let worker = find_worker(&asker, "label workers", &name)?;
    let command = Command::Schedule(ScheduleCommand::Label { worker, labels });
    Ok(Json(propose(&portal, &asker, command).await?))
}

pub(crate) async fn rules(asker: Asker, Path(name): Path<String>) -> Result<Json<Rules>, Problem> {
    let state = &asker.frozen.state;
    let vcluster = find_watched(state, &asker.user, &name)?;
    Ok(Json(state.rules_of(vcluster.id).clone()))
}

pub(crate) async fn set_rules(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Body(rules): Body<Rules>,
) -> Result<Json<Receipt>, Problem> {
    let vcluster = find_vcluster(&asker.frozen.state, &asker.user, &name)?.id;
    let command = Command::Schedule(ScheduleCommand::SetRules { vcluster, rules });
    Ok(Json(propose(&portal, &asker, command).await?))
}

/// All vnodes of a vcluster.
pub(crate) async fn explain_all(
    asker: Asker,
    Path(name): Path<String>,
) -> Result<Json<Vec<Explanation>>, Problem> {
    let vcluster = find_watched(&asker.frozen.state, &asker.user, &name)?.id;
    let explained = aside(move || {
        let state = &asker.frozen.state;
        explain::vnodes(state, &asker.user, &state.live_vnodes_of(vcluster))
    });
    Ok(Json(explained.await?))
}

pub(crate) async fn explain_one(
    asker: Asker,
    Path((name, hostname)): Path<(String, String)>,
) -> Result<Json<Explanation>, Problem> {
    let state = &asker.frozen.state;
    let vnode = find_watched_vnode(state, &asker.user, &name, &hostname)?;
    Ok(Json(explain::vnode(state, &asker.user, vnode)))
}

/// One supposition; workers by name.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Question {
    Drain(String),
    Loss(String),
    Create(Box<NewVcluster>),
    Quota(QuotaCommand),
}

/// Changes nothing: the answer is of the state that this master has.
pub(crate) async fn ask(
    asker: Asker,
    Body(question): Body<Question>,
) -> Result<Json<Outlook>, Problem> {
    let supposed = match question {
        Question::Drain(name) => Supposed::Drain(find_worker(&asker, "look at drains", &name)?),
        Question::Loss(name) => Supposed::Loss(find_worker(&asker, "look at losses", &name)?),
        Question::Create(new) => Supposed::Create(new.of_image()?),
        Question::Quota(command) => Supposed::Quota(command),
    };
    let outlook = move || what_if::outlook(&asker.frozen.state, &asker.user, &supposed);
    Ok(Json(aside(outlook).await??))
}
