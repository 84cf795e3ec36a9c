//! Live pages: whenever something changes that the viewer may see, the parts of the page that look different now are
//! sent anew.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State as Held};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use docklet_control::State;
use docklet_control::id::{LogIndex, VnodeId};
use docklet_control::model::{Vcluster, Worker, WorkerStatus};
use docklet_control::view::happened::Wish;
use futures_util::Stream;
use maud::Markup;
use serde::Deserialize;

use crate::asker::{Asker, holder};
use crate::audit::{self, Coming};
use crate::bounds::{Lasting, Lease};
use crate::dispatch::Waking;
use crate::happened::Sought;
use crate::meters::{self, Feed};
use crate::pages::files::watched::Watched;
use crate::pages::{
    account, audit as audit_page, bean, bell, bug, drill, explain, files, group, health, home,
    image, machine, mail, master, notice, notices, people, quota, receipt, setting, share,
    template, usage, vcluster, worker, workspace,
};
use crate::part::Asked;
use crate::problem::Problem;
use crate::receipt::Following;
use crate::rows::{Rows, row_event};
use crate::serve::Portal;
use crate::worker::{find_vcluster, find_watched};

/// Changes that come within this time are shown together.
const GATHER: Duration = Duration::from_millis(40);
/// What is no part of the state, as who leads, is looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(700);
/// A quiet stream says so often that its master lives: pages go to another that has been silent for longer (`live.js`).
const PULSE_EVERY: Duration = Duration::from_secs(2);

/// One open page.
struct Viewer {
    portal: Portal,
    asker: Asker,
    page: String,
    which: Which,
    touched: Waking,
    /// Whether parts may look different now.
    stale: bool,
    /// What was sent last, by the part's id.
    sent: HashMap<String, String>,
    queue: Vec<Event>,
    greeted: Option<String>,
    /// What the workers of the shown vnodes tell, as long as somebody looks.
    feeds: Vec<Arc<Feed>>,
    used: String,
    /// What happened since the page came, if it shows that.
    told: Option<Rows>,
    /// The same of the audit trail.
    records: Option<Coming>,
    /// The directory that the page shows, if it shows one.
    watched: Option<Watched>,
    /// What comes of what was asked for, if the page has a receipt.
    receipt: Option<Following>,
    _lease: Lease,
}

/// Which part of a page.
struct Which {
    /// Of a long list.
    asked: Asked,
    beans: bean::page::Wanted,
}

/// The parts of a page, by the id of the element that they replace.
async fn fragments(
    portal: &Portal,
    asker: &Asker,
    page: &str,
    which: &Which,
) -> Vec<(String, Markup)> {
    let mut parts = match page {
        "quotas" => quota::fragments(asker, &which.asked).await,
        _ => parts(portal, asker, page, which),
    };
    parts.push(("notice".to_owned(), notice::banner(asker)));
    parts.push((bell::ID.to_owned(), bell::bell(asker)));
    parts
}

fn parts(portal: &Portal, asker: &Asker, page: &str, which: &Which) -> Vec<(String, Markup)> {
    let asked = &which.asked;
    match page.split('/').collect::<Vec<_>>()[..] {
        ["home"] => home::fragments(asker),
        ["vclusters"] => vcluster::list_fragments(asker, asked),
        ["vclusters", name] => vcluster::show_fragments(portal, asker, name, asked),
        ["vclusters", name, "vnodes", vnode, "explain"] => explain::fragments(asker, name, vnode),
        ["workspace"] => workspace::fragments(portal, asker),
        ["masters"] => master::fragments(portal, asker),
        ["health"] => health::fragments(portal, asker),
        ["drills"] => drill::list_fragments(portal, asker),
        ["drills", id] => drill::show_fragments(portal, asker, id),
        ["workers"] => worker::fragments(asker, asked),
        ["workers", name] => machine::fragments(asker, name),
        ["groups"] => group::list_fragments(asker),
        ["groups", name] => group::show_fragments(asker, name),
        ["people"] => people::fragments(asker),
        ["images"] => image::fragments(asker),
        ["images", owner, name] => image::show_fragments(asker, owner, name),
        ["templates"] => template::fragments(asker),
        ["beans"] => bean::page::fragments(asker, &which.beans, asked),
        ["settings"] => setting::fragments(portal, asker),
        ["account"] => account::fragments(asker),
        ["terminal", vcluster, vnode, "share"] => share::fragments(asker, vcluster, vnode),
        ["notices"] => notices::fragments(asker),
        ["bugs"] => bug::fragments(asker),
        ["mail"] => mail::fragments(asker, asked),
        _ => Vec::new(),
    }
}

/// What else a stream is told of its page.
#[derive(Deserialize)]
pub(crate) struct Of {
    /// The entry that the page has a receipt of.
    receipt: Option<LogIndex>,
    /// The newest record of the audit trail that the page knows.
    head: Option<u64>,
}

pub(crate) async fn stream(
    Held(portal): Held<Portal>,
    asker: Asker,
    Path(page): Path<String>,
    (Query(asked), Query(sought), Query(of)): (Query<Asked>, Query<Sought>, Query<Of>),
    (Query(beans), Query(trail), Query(shown)): (
        Query<bean::page::Wanted>,
        Query<audit::Sought>,
        Query<files::Shown>,
    ),
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let lease = asker.hold(&portal, Lasting::Stream)?;
    let wish = wish_of(&asker, &page, &sought);
    let told = wish.map(|wish| Rows::after(&portal, &sought, wish, &headers));
    let watched = Watched::of(&portal, &asker, &page, (shown, sought.after))?;
    let head = of.head.filter(|_| page == "audit");
    let viewer = Viewer {
        told,
        watched,
        records: head.map(|head| Coming::after(head, trail)),
        receipt: of.receipt.map(|index| Following::of(&portal, index)),
        touched: portal.dispatcher.person(&asker.user),
        portal,
        asker,
        page,
        which: Which { asked, beans },
        stale: true,
        sent: HashMap::new(),
        queue: Vec::new(),
        greeted: None,
        feeds: Vec::new(),
        used: String::new(),
        _lease: lease,
    };
    let events = futures_util::stream::unfold(viewer, |mut viewer| async move {
        let event = viewer.next().await?;
        Some((Ok(event), viewer))
    });
    let pulse = Event::default().event("pulse").data("");
    let pulse = KeepAlive::new().interval(PULSE_EVERY).event(pulse);
    Ok(Sse::new(events).keep_alive(pulse))
}

/// What of all that happens a page shows in rows, if it shows any.
fn wish_of(asker: &Asker, page: &str, sought: &Sought) -> Option<Wish> {
    if page == "events" {
        return Some(sought.wish());
    }
    let state = &asker.frozen.state;
    let shown = find_watched(state, &asker.user, page.strip_prefix("vclusters/")?).ok()?;
    let owner = &state.users.get(&shown.owner)?.name;
    Some(Wish::of_vcluster(owner.as_str(), shown.name.as_str()))
}

impl Viewer {
    /// The next part that looks different; none when the login has ended.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.queue.pop() {
                return Some(event);
            }
            if self.greeted.is_some() {
                self.wait().await;
            }
            let frozen = self.portal.master.local();
            self.asker.user = holder(&frozen.state, self.asker.session)?.clone();
            self.asker.frozen = frozen;
            if std::mem::take(&mut self.stale) {
                self.look().await;
                self.follow_workers();
            }
            self.tell_usage();
            self.tell_files().await;
            self.tell_rows().await;
            self.greet();
        }
    }

    /// Waits until there may be something new.
    async fn wait(&mut self) {
        if tokio::time::timeout(LOOK_EVERY, self.touched.woken())
            .await
            .is_ok()
        {
            self.stale = true;
            tokio::time::sleep(GATHER).await;
        }
        // How the group is doing, and how a drill, is no part of the state.
        self.stale |=
            self.page == "masters" || self.page == "health" || self.page.starts_with("drills");
    }

    async fn look(&mut self) {
        let index = self.asker.frozen.index;
        let mut parts = fragments(&self.portal, &self.asker, &self.page, &self.which).await;
        if let Some(following) = &mut self.receipt {
            let (state, user) = (&self.asker.frozen.state, &self.asker.user);
            let course = following.look(state, user).await;
            parts.extend(
                course.map(|course| (receipt::STAGES.to_owned(), receipt::stages(&course))),
            );
        }
        for (id, markup) in parts {
            self.push(index, id, markup.into_string());
        }
    }

    /// The vcluster that the page shows, if it shows one.
    fn vcluster(&self) -> Option<&Vcluster> {
        let name = self.page.strip_prefix("vclusters/")?;
        find_vcluster(&self.asker.frozen.state, &self.asker.user, name).ok()
    }

    fn follow_workers(&mut self) {
        let state = &self.asker.frozen.state;
        let workers = match self.vcluster() {
            Some(shown) => meters::workers_of(state, shown),
            None if self.worker().is_some() => self.worker().into_iter().collect(),
            None if self.page == "health" && self.asker.user.operates() => up(state),
            None => Vec::new(),
        };
        let workers = workers.into_iter();
        let follow = |worker: &Worker| self.portal.meters.follow(&self.portal, worker.id);
        self.feeds = workers.map(follow).collect();
    }

    /// The worker that the page shows, if it shows one and the asker may look at it.
    fn worker(&self) -> Option<&Worker> {
        let name = self.page.strip_prefix("workers/")?;
        let state = &self.asker.frozen.state;
        let found = meters::worker_named(state, name).ok();
        found.filter(|_| self.asker.user.operates())
    }

    /// Sends what each vnode uses now, if it reads differently.
    fn tell_usage(&mut self) {
        let state = &self.asker.frozen.state;
        let live = self.feeds.iter();
        let live = live.filter_map(|feed| Some((feed.worker, feed.now()?)));
        let live = live.collect();
        let words: BTreeMap<VnodeId, String> = match (self.vcluster(), self.worker()) {
            (Some(shown), _) => meters::usage(state, shown, &live)
                .into_iter()
                .filter_map(|vnode| Some((vnode.id, usage::words(&vnode.usage?, vnode.size))))
                .collect(),
            (None, Some(worker)) => meters::at_worker(state, worker, &live)
                .map(|(vnode, used)| (vnode.id, usage::words(&used, vnode.size)))
                .collect(),
            (None, None) => return,
        };
        let data = serde_json::json!(words).to_string();
        if data != self.used {
            let event = Event::default().event("usage").data(data.clone());
            self.queue.push(event);
            self.used = data;
        }
    }

    async fn tell_files(&mut self) {
        let Some(watched) = &mut self.watched else {
            return;
        };
        if let Some(listing) = watched.next(&self.portal, &self.asker).await {
            let index = self.asker.frozen.index;
            self.push(index, files::LISTING.to_owned(), listing.into_string());
        }
    }

    /// Sends a part if it looks different from the last that was sent.
    fn push(&mut self, index: LogIndex, id: String, html: String) {
        if self.sent.get(&id) != Some(&html) {
            let data = serde_json::json!({"id": id, "html": html});
            let event = Event::default().event("fragment").id(index.to_string());
            self.queue.push(event.data(data.to_string()));
            self.sent.insert(id, html);
        }
    }

    /// Sends what happened, a row for each entry, the oldest first: the last of the queue goes first.
    async fn tell_rows(&mut self) {
        if let Some(told) = &mut self.told {
            let rows = told.next(&self.asker).await;
            self.queue.extend(rows.into_iter().rev());
        }
        if let Some(coming) = &mut self.records {
            let records = coming.next(&self.portal, &self.asker.user).await;
            let rows = records.iter().map(|record| {
                let row = audit_page::row(record);
                row_event(record.index, audit_page::ROWS, &row)
            });
            self.queue.extend(rows.rev());
        }
    }

    fn greet(&mut self) {
        let hello = hello(&self.portal);
        if self.greeted.as_ref() != Some(&hello) {
            self.queue
                .push(Event::default().event("hello").data(hello.clone()));
            self.greeted = Some(hello);
        }
    }
}

fn up(state: &State) -> Vec<&Worker> {
    let workers = state.workers.values();
    let up = workers.filter(|worker| worker.status == WorkerStatus::Up);
    up.collect()
}

/// Which master serves this page and which one leads, so that the page can say what happened.
fn hello(portal: &Portal) -> String {
    let status = portal.master.brief_status();
    let state = portal.master.local().state;
    let leader = status.leader.and_then(|id| state.masters.get(&id));
    serde_json::json!({
        "master": &*portal.name,
        "leader": leader.map(|master| master.name.to_string()),
        "term": status.term,
    })
    .to_string()
}
