//! Wakes those whom a change concerns, agents' connections, open pages and streams of events, and nobody else. It hands
//! out no data: whoever is woken looks at the state of that moment. So nothing queues up for a slow one, and what it
//! missed meanwhile costs nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use docklet_control::State;
use docklet_control::id::{LogIndex, WorkerId};
use docklet_control::model::User;
use docklet_control::touched::{Touched, touched};
use docklet_raft::{Frozen, Master};
use futures_util::FutureExt;
use tokio::sync::{Notify, watch};

/// The dispatcher of one master; clones are the same one.
#[derive(Clone)]
pub struct Dispatcher {
    shared: Arc<Shared>,
}

struct Shared {
    followers: Mutex<Followers>,
    /// Everybody whom a change up to this entry concerns has been woken.
    dispatched: AtomicU64,
}

#[derive(Default)]
struct Followers {
    workers: HashMap<WorkerId, Vec<Arc<Notify>>>,
    people: Vec<(User, Arc<Notify>)>,
}

impl Dispatcher {
    /// Starts to look at what changes at this master.
    #[must_use]
    pub fn start(master: &Master) -> Self {
        let mut states = master.watch();
        let first = states.borrow_and_update().clone();
        let shared = Arc::new(Shared {
            followers: Mutex::default(),
            dispatched: AtomicU64::new(first.index.0),
        });
        tokio::spawn(run(shared.clone(), first, states));
        Self { shared }
    }

    /// Wakes whenever the worker's assignment may have changed from now on.
    pub(crate) fn worker(&self, worker: WorkerId) -> Waking {
        let notify = Arc::new(Notify::new());
        let mut followers = self.shared.followers();
        let connections = followers.workers.entry(worker).or_default();
        connections.push(notify.clone());
        self.waking(Whom::Worker(worker), notify)
    }

    /// Wakes whenever what the person may see may have changed from now on.
    pub(crate) fn person(&self, person: &User) -> Waking {
        let notify = Arc::new(Notify::new());
        let mut followers = self.shared.followers();
        followers.people.push((person.clone(), notify.clone()));
        self.waking(Whom::Person, notify)
    }

    fn waking(&self, whom: Whom, notify: Arc<Notify>) -> Waking {
        Waking {
            shared: self.shared.clone(),
            whom,
            notify,
        }
    }
}

impl Shared {
    fn followers(&self) -> MutexGuard<'_, Followers> {
        self.followers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compares each state with the one before, or with a later one if several came meanwhile, until the master is gone.
async fn run(shared: Arc<Shared>, mut before: Frozen, mut states: watch::Receiver<Frozen>) {
    while states.changed().await.is_ok() {
        let after = states.borrow_and_update().clone();
        let touched = touched(&before.state, &after.state);
        shared.followers().wake(&touched, &after.state);
        shared.dispatched.store(after.index.0, Ordering::Release);
        before = after;
    }
}

impl Followers {
    /// Whom it concerns is decided by what people are now, whatever they were when they came.
    fn wake(&self, touched: &Touched, state: &State) {
        if touched.is_nobody() {
            return;
        }
        let wake = |connections: &Vec<Arc<Notify>>| {
            connections.iter().for_each(|notify| notify.notify_one());
        };
        if touched.all_workers {
            self.workers.values().for_each(wake);
        } else {
            let found = touched.workers.iter();
            found.filter_map(|id| self.workers.get(id)).for_each(wake);
        }
        let concerned = |(person, _): &&(User, Arc<Notify>)| {
            let now = state.users.get(&person.id).unwrap_or(person);
            touched.concerns(now) || touched.concerns(person)
        };
        for (_, notify) in self.people.iter().filter(concerned) {
            notify.notify_one();
        }
    }

    fn forget(&mut self, whom: Whom, gone: &Arc<Notify>) {
        match whom {
            Whom::Person => self.people.retain(|(_, other)| !Arc::ptr_eq(other, gone)),
            Whom::Worker(worker) => {
                if let Some(connections) = self.workers.get_mut(&worker) {
                    connections.retain(|other| !Arc::ptr_eq(other, gone));
                    if connections.is_empty() {
                        self.workers.remove(&worker);
                    }
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Whom {
    Worker(WorkerId),
    Person,
}

/// One follower's place; it is given up when dropped.
pub(crate) struct Waking {
    shared: Arc<Shared>,
    whom: Whom,
    notify: Arc<Notify>,
}

impl Waking {
    /// Comes back when the follower is concerned, at once if it was since it last looked.
    pub(crate) async fn woken(&self) {
        self.notify.notified().await;
    }

    /// An entry up to which nothing concerns the follower that it was not woken for; none if it is to be woken now.
    pub(crate) fn quiet_until(&self) -> Option<LogIndex> {
        let dispatched = self.shared.dispatched.load(Ordering::Acquire);
        match self.notify.notified().now_or_never() {
            None => Some(LogIndex(dispatched)),
            Some(()) => {
                self.notify.notify_one();
                None
            }
        }
    }
}

impl Drop for Waking {
    fn drop(&mut self) {
        self.shared.followers().forget(self.whom, &self.notify);
    }
}
