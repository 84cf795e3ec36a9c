//! Live pages: whenever something changes that the viewer may see, the parts of the page that look different now are
//! sent anew.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use docklet_control::id::VnodeId;
use docklet_control::model::{Vcluster, Worker};
use futures_util::Stream;
use maud::Markup;

use crate::asker::{Asker, holder};
use crate::dispatch::Waking;
use crate::meters::{self, Feed};
use crate::pages::{
    bell, bug, drill, explain, home, image, mail, master, notice, notices, people, usage, vcluster,
    worker,
};
use crate::serve::Portal;
use crate::worker::find_vcluster;

/// Changes that come within this time are shown together.
const GATHER: Duration = Duration::from_millis(40);
/// What is no part of the state, as who leads, is looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(700);

/// One open page.
struct Viewer {
    portal: Portal,
    asker: Asker,
    page: String,
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
}

/// The parts of a page, by the id of the element that they replace.
fn fragments(portal: &Portal, asker: &Asker, page: &str) -> Vec<(String, Markup)> {
    let mut parts = parts(portal, asker, page);
    parts.push(("notice".to_owned(), notice::banner(asker)));
    parts.push((bell::ID.to_owned(), bell::bell(asker)));
    parts
}

fn parts(portal: &Portal, asker: &Asker, page: &str) -> Vec<(String, Markup)> {
    match page.split('/').collect::<Vec<_>>()[..] {
        ["home"] => home::fragments(asker),
        ["vclusters"] => vcluster::list_fragments(asker),
        ["vclusters", name] => vcluster::show_fragments(asker, name),
        ["vclusters", name, "vnodes", vnode, "explain"] => explain::fragments(asker, name, vnode),
        ["masters"] => master::fragments(portal, asker),
        ["drills"] => drill::list_fragments(portal, asker),
        ["drills", id] => drill::show_fragments(portal, asker, id),
        ["workers"] => worker::fragments(asker),
        ["people"] => people::fragments(asker),
        ["images"] => image::fragments(asker),
        ["notices"] => notices::fragments(asker),
        ["bugs"] => bug::fragments(asker),
        ["mail"] => mail::fragments(asker),
        _ => Vec::new(),
    }
}

pub(crate) async fn stream(
    State(portal): State<Portal>,
    asker: Asker,
    Path(page): Path<String>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let viewer = Viewer {
        touched: portal.dispatcher.person(&asker.user),
        portal,
        asker,
        page,
        stale: true,
        sent: HashMap::new(),
        queue: Vec::new(),
        greeted: None,
        feeds: Vec::new(),
        used: String::new(),
    };
    let events = futures_util::stream::unfold(viewer, |mut viewer| async move {
        let event = viewer.next().await?;
        Some((Ok(event), viewer))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(2)))
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
                self.look();
                self.follow_workers();
            }
            self.tell_usage();
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
        self.stale |= self.page == "masters" || self.page.starts_with("drills");
    }

    fn look(&mut self) {
        let index = self.asker.frozen.index.to_string();
        for (id, markup) in fragments(&self.portal, &self.asker, &self.page) {
            let html = markup.into_string();
            if self.sent.get(&id) != Some(&html) {
                let data = serde_json::json!({"id": id, "html": html});
                let event = Event::default().event("fragment").id(index.clone());
                self.queue.push(event.data(data.to_string()));
                self.sent.insert(id, html);
            }
        }
    }

    /// The vcluster that the page shows, if it shows one.
    fn vcluster(&self) -> Option<&Vcluster> {
        let name = self.page.strip_prefix("vclusters/")?;
        find_vcluster(&self.asker.frozen.state, &self.asker.user, name).ok()
    }

    fn follow_workers(&mut self) {
        let state = &self.asker.frozen.state;
        let workers = self
            .vcluster()
            .map(|shown| meters::workers_of(state, shown));
        let workers = workers.unwrap_or_default().into_iter();
        let follow = |worker: &Worker| self.portal.meters.follow(&self.portal, worker.id);
        self.feeds = workers.map(follow).collect();
    }

    /// Sends what each vnode uses now, if it reads differently.
    fn tell_usage(&mut self) {
        let Some(shown) = self.vcluster() else {
            return;
        };
        let live = self.feeds.iter();
        let live = live.filter_map(|feed| Some((feed.worker, feed.now()?)));
        let live = live.collect();
        let words: BTreeMap<VnodeId, String> =
            meters::usage(&self.asker.frozen.state, shown, &live)
                .into_iter()
                .filter_map(|vnode| Some((vnode.id, usage::words(&vnode.usage?, vnode.size))))
                .collect();
        let data = serde_json::json!(words).to_string();
        if data != self.used {
            let event = Event::default().event("usage").data(data.clone());
            self.queue.push(event);
            self.used = data;
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
