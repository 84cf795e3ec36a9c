//! What vnodes and workers use: asked of the workers that measure it, and kept nowhere here. A worker whose figures are
//! looked at all the time is followed by one socket, however many look.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use docklet_control::id::{VnodeId, WorkerId};
use docklet_control::meter::{
    GpuNow, HeldGpu, History, Live, Measure, MeterQuestion, Series, Span, Subject, Usage,
    VnodeUsage,
};
use docklet_control::model::{Vcluster, Vnode, Worker};
use docklet_control::{Refusal, State};
use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker::{self, WorkerSocket};

/// A worker answers within this, or goes without.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// A worker that does not answer is asked again after this.
const AGAIN: Duration = Duration::from_secs(2);

/// The workers that are followed. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Meters(Arc<Mutex<BTreeMap<WorkerId, Weak<Feed>>>>);

/// The figures of one worker, as long as somebody holds this.
pub(crate) struct Feed {
    pub(crate) worker: WorkerId,
    live: watch::Receiver<Option<Arc<Live>>>,
    task: AbortHandle,
}

impl Feed {
    /// The newest, if the worker answers.
    pub(crate) fn now(&self) -> Option<Arc<Live>> {
        self.live.borrow().clone()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Meters {
    /// Follows a worker, or joins whoever does.
    pub(crate) fn follow(&self, portal: &Portal, id: WorkerId) -> Arc<Feed> {
        let mut feeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = feeds.get(&id).and_then(Weak::upgrade) {
            return feed;
        }
        let (tell, live) = watch::channel(None);
        let task = tokio::spawn(follow_always(portal.clone(), id, tell)).abort_handle();
        let feed = Arc::new(Feed {
            worker: id,
            live,
            task,
        });
        feeds.retain(|_, feed| feed.strong_count() > 0);
        feeds.insert(id, Arc::downgrade(&feed));
        feed
    }

    /// What is followed already.
    pub(crate) fn followed(&self, id: WorkerId) -> Option<Arc<Live>> {
        let feeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        feeds.get(&id).and_then(Weak::upgrade)?.now()
    }
}

async fn follow_always(portal: Portal, id: WorkerId, tell: watch::Sender<Option<Arc<Live>>>) {
    loop {
        // It may be back under another address.
        let worker = portal.master.local().state.workers.get(&id).cloned();
        if let Some(worker) = worker {
            let ended = follow_once(&portal, &worker, &tell).await;
            tracing::debug!(worker = %worker.name, problem = ended.detail, "meters ended");
        }
        tell.send_replace(None);
        tokio::time::sleep(AGAIN).await;
    }
}

async fn follow_once(
    portal: &Portal,
    worker: &Worker,
    tell: &watch::Sender<Option<Arc<Live>>>,
) -> Problem {
    let mut socket = match ask(portal, worker, &MeterQuestion::Live).await {
        Ok(socket) => socket,
        Err(problem) => return problem,
    };
    loop {
        match answer(&mut socket, worker).await {
            Ok(live) => tell.send_replace(Some(Arc::new(live))),
            Err(problem) => return problem,
        };
    }
}

async fn ask(
    portal: &Portal,
    worker: &Worker,
    question: &MeterQuestion,
) -> Result<WorkerSocket, Problem> {
    let mut socket = timeout(ANSWER_MAX, worker::open(portal, worker, "/meters"))
        .await
        .map_err(|_| unanswered(worker))??;
    let text = serde_json::to_string(question).expect("a question is JSON");
    let sent = socket.send(Message::text(text)).await;
    sent.map_err(|_| unanswered(worker))?;
    Ok(socket)
}

async fn answer<T: DeserializeOwned>(
    socket: &mut WorkerSocket,
    worker: &Worker,
) -> Result<T, Problem> {
    loop {
        let message = timeout(ANSWER_MAX, socket.next()).await;
        match message {
            Ok(Some(Ok(Message::Text(text)))) => {
                let read = serde_json::from_str(&text);
                return read.map_err(|_| unanswered(worker));
            }
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
            Ok(Some(Ok(_) | Err(_)) | None) | Err(_) => return Err(unanswered(worker)),
        }
    }
}

fn unanswered(worker: &Worker) -> Problem {
    Problem::worker(format!(
        "worker \"{}\" does not tell what is in use: try again, or look at its agent",
        worker.name
    ))
}

/// What a worker and its vnodes use now.
pub(crate) async fn now(portal: &Portal, worker: &Worker) -> Result<Arc<Live>, Problem> {
    if let Some(live) = portal.meters.followed(worker.id) {
        return Ok(live);
    }
    let mut socket = ask(portal, worker, &MeterQuestion::Live).await?;
    Ok(Arc::new(answer(&mut socket, worker).await?))
}

/// What all of these use now, those left out that do not answer.
pub(crate) async fn now_of_all(
    portal: &Portal,
    workers: impl Iterator<Item = &Worker>,
) -> BTreeMap<WorkerId, Arc<Live>> {
    let asked = workers.map(|worker| async move { (worker.id, now(portal, worker).await.ok()) });
    let answers = join_all(asked).await.into_iter();
    answers.filter_map(|(id, live)| Some((id, live?))).collect()
}

/// Workers that hold vnodes of a vcluster.
pub(crate) fn workers_of<'s>(state: &'s State, vcluster: &Vcluster) -> Vec<&'s Worker> {
    let vnodes = state.live_vnodes_of(vcluster.id).into_iter();
    let mut ids: Vec<WorkerId> = vnodes
        .filter_map(|vnode| Some(vnode.placement?.worker))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids.iter().filter_map(|id| state.workers.get(id)).collect()
}

/// Each vnode of a vcluster with what it uses, of what the workers said.
pub(crate) fn usage(
    state: &State,
    vcluster: &Vcluster,
    live: &BTreeMap<WorkerId, Arc<Live>>,
) -> Vec<VnodeUsage> {
    let of = |vnode: &Vnode| {
        let told = live.get(&vnode.placement?.worker)?;
        let found = told.vnodes.iter().find(|(id, _)| *id == vnode.id);
        found.map(|(_, usage)| *usage)
    };
    let name = |id: WorkerId| state.workers.get(&id).map(|w| w.name.to_string());
    let show = |vnode: &Vnode| VnodeUsage {
        id: vnode.id,
        vnode: vnode.hostname(),
        worker: vnode.placement.and_then(|placed| name(placed.worker)),
        size: vnode.size,
        usage: of(vnode),
    };
    state
        .live_vnodes_of(vcluster.id)
        .into_iter()
        .map(show)
        .collect()
}

/// The vnodes on a worker that it tells of, with what they use.
pub(crate) fn at_worker<'s>(
    state: &'s State,
    worker: &Worker,
    live: &BTreeMap<WorkerId, Arc<Live>>,
) -> impl Iterator<Item = (&'s Vnode, Usage)> {
    let told = live.get(&worker.id).into_iter();
    let told = told.flat_map(|live| live.vnodes.clone());
    told.filter_map(|(id, usage)| Some((state.vnodes.get(&id)?, usage)))
}

/// A GPU with the full name of the vnode that has it.
pub(crate) fn held(state: &State, now: &GpuNow) -> HeldGpu {
    let holder = now.vnode.and_then(|id| state.vnodes.get(&id));
    let named = |vnode: &Vnode| {
        let user = &state.users.get(&vnode.owner)?.name;
        let vcluster = &state.vclusters.get(&vnode.vcluster)?.name;
        Some(format!("{user}/{vcluster}/{}", vnode.hostname()))
    };
    HeldGpu {
        now: now.clone(),
        holder: holder.and_then(named),
    }
}

/// What these vnodes together have used.
pub(crate) async fn history<'v>(
    portal: &Portal,
    state: &State,
    vnodes: impl Iterator<Item = &'v Vnode>,
    span: Span,
    measures: &[Measure],
) -> History {
    let mut by_worker: BTreeMap<WorkerId, Vec<VnodeId>> = BTreeMap::new();
    for vnode in vnodes {
        if let Some(placed) = vnode.placement {
            by_worker.entry(placed.worker).or_default().push(vnode.id);
        }
    }
    let asked = by_worker.into_iter().filter_map(|(id, vnodes)| {
        let worker = state.workers.get(&id)?;
        Some(async move {
            let of = Subject::Vnodes(vnodes);
            let series = history_at(portal, worker, of, span, measures).await;
            series.map_err(|_| worker.name.to_string())
        })
    });
    let mut history = History::default();
    for part in join_all(asked).await {
        match part {
            Ok(series) => history.series = history.series.joined(series),
            Err(name) => history.unanswered.push(name),
        }
    }
    history
}

/// What one worker knows.
pub(crate) async fn history_at(
    portal: &Portal,
    worker: &Worker,
    of: Subject,
    span: Span,
    measures: &[Measure],
) -> Result<Series, Problem> {
    let question = MeterQuestion::History {
        of,
        span,
        measures: measures.to_vec(),
    };
    let mut socket = ask(portal, worker, &question).await?;
    answer(&mut socket, worker).await
}

/// The worker of this name.
pub(crate) fn worker_named<'s>(state: &'s State, name: &str) -> Result<&'s Worker, Refusal> {
    let found = state.workers.values().find(|w| w.name.as_str() == name);
    found.ok_or_else(|| Refusal::not_found("worker", name.escape_debug()))
}
