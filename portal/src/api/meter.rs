//! What vnodes and workers use, now and over time.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use docklet_control::meter::{History, Measure, Span, Subject, Usage, VnodeUsage, WorkerGpus};
use docklet_control::model::{Worker, WorkerStatus};
use docklet_control::permit;
use serde::Deserialize;

use crate::accounts;
use crate::asker::Asker;
use crate::meters;
use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker::{find_vcluster, find_vnode};

/// What is wanted of the past.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    #[serde(default = "ten_minutes")]
    span: Span,
    /// Names of measures with commas between; all if absent.
    #[serde(default)]
    measures: String,
}

fn ten_minutes() -> Span {
    Span::TenMinutes
}

impl Wanted {
    fn measures(&self) -> Result<Vec<Measure>, Problem> {
        if self.measures.is_empty() {
            return Ok(Measure::ALL.to_vec());
        }
        let named = |word: &str| {
            let known = || Measure::ALL.map(Measure::word).join(", ");
            let unknown = || format!("\"{}\" is none of {}", word.escape_debug(), known());
            Measure::named(word).ok_or_else(|| Problem::malformed("measures", unknown()))
        };
        self.measures.split(',').map(named).collect()
    }
}

pub(crate) async fn vcluster_usage(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
) -> Result<Json<Vec<VnodeUsage>>, Problem> {
    let state = &asker.frozen.state;
    let found = find_vcluster(state, &asker.user, &name)?;
    let workers = meters::workers_of(state, found);
    let live = meters::now_of_all(&portal, workers.into_iter()).await;
    Ok(Json(meters::usage(state, found, &live)))
}

pub(crate) async fn vcluster_history(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<History>, Problem> {
    let state = &asker.frozen.state;
    let found = find_vcluster(state, &asker.user, &name)?;
    let measures = wanted.measures()?;
    let vnodes = state.live_vnodes_of(found.id).into_iter();
    let history = meters::history(&portal, state, vnodes, wanted.span, &measures).await;
    Ok(Json(history))
}

pub(crate) async fn vnode_history(
    State(portal): State<Portal>,
    asker: Asker,
    Path((name, hostname)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<History>, Problem> {
    let state = &asker.frozen.state;
    let vnode = find_vnode(state, &asker.user, &name, &hostname)?;
    let measures = wanted.measures()?;
    let vnodes = std::iter::once(vnode);
    let history = meters::history(&portal, state, vnodes, wanted.span, &measures).await;
    Ok(Json(history))
}

/// All that one person's vnodes use together: for themselves, and for admins.
pub(crate) async fn person_history(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<History>, Problem> {
    let state = &asker.frozen.state;
    let person = accounts::find(&asker, &name)?;
    let measures = wanted.measures()?;
    let vnodes = state.vnodes_of_person(person.id);
    let history = meters::history(&portal, state, vnodes, wanted.span, &measures).await;
    Ok(Json(history))
}

/// Workers that answer, by name.
pub(crate) async fn workers_usage(
    State(portal): State<Portal>,
    asker: Asker,
) -> Result<Json<BTreeMap<String, Usage>>, Problem> {
    let state = &asker.frozen.state;
    permit::operator(state, asker.actor(), "see what workers use")?;
    let workers = state.workers.values();
    let up = workers.filter(|worker| worker.status == WorkerStatus::Up);
    let live = meters::now_of_all(&portal, up).await;
    let named = live.iter().filter_map(|(id, live)| {
        let worker = state.workers.get(id)?;
        Some((worker.name.to_string(), live.worker))
    });
    Ok(Json(named.collect()))
}

/// All GPUs, and who has them.
pub(crate) async fn workers_gpus(
    State(portal): State<Portal>,
    asker: Asker,
) -> Result<Json<Vec<WorkerGpus>>, Problem> {
    let state = &asker.frozen.state;
    permit::operator(state, asker.actor(), "see GPUs")?;
    let up = |worker: &&Worker| worker.status == WorkerStatus::Up;
    let live = meters::now_of_all(&portal, state.workers.values().filter(up)).await;
    let of = |worker: &Worker| match live.get(&worker.id) {
        Some(live) => WorkerGpus {
            worker: worker.name.to_string(),
            problem: live.gpu_problem.clone(),
            gpus: live
                .gpus
                .iter()
                .map(|now| meters::held(state, now))
                .collect(),
        },
        None => WorkerGpus {
            worker: worker.name.to_string(),
            problem: Some("the worker does not answer".to_owned()),
            gpus: Vec::new(),
        },
    };
    Ok(Json(state.workers.values().map(of).collect()))
}

pub(crate) async fn worker_history(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<History>, Problem> {
    let state = &asker.frozen.state;
    permit::operator(state, asker.actor(), "see what workers use")?;
    let worker = meters::worker_named(state, &name)?;
    let measures = wanted.measures()?;
    let series =
        meters::history_at(&portal, worker, Subject::Worker, wanted.span, &measures).await?;
    Ok(Json(History {
        series,
        unanswered: Vec::new(),
    }))
}
