//! The whole group for people: what the leader observes of the members, and what each tells of itself.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use docklet_control::id::{MasterId, UnixMs};
use docklet_control::view::health::MachineSeen;
use docklet_control::view::master::{MasterFacts, Observed};
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::master::Master;
use crate::wire;

/// A master that is slower than this to tell of itself is shown without.
const TELL_DEADLINE: Duration = Duration::from_millis(300);
/// The leader collects what all tell within this.
const COLLECT_DEADLINE: Duration = Duration::from_secs(1);
/// While somebody looks, a new view is made this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Somebody who has not looked for so long has gone.
const LOOKERS_STAY: Duration = Duration::from_secs(5);

/// The last view, for pages that are looked at again and again.
#[derive(Default)]
pub struct LastView(Mutex<View>);

#[derive(Default)]
struct View {
    observed: Observed,
    machines: BTreeMap<MasterId, MachineSeen>,
    looked_at: Option<Instant>,
}

impl LastView {
    fn lock(&self) -> MutexGuard<'_, View> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn keep_machines(&self, machines: BTreeMap<MasterId, MachineSeen>) {
        self.lock().machines = machines;
    }

    fn is_wanted(&self) -> bool {
        let looked_at = self.lock().looked_at;
        looked_at.is_some_and(|at| at.elapsed() < LOOKERS_STAY)
    }
}

impl Master {
    /// The group as its leader sees it now; what this master knows alone, if no leader answers.
    pub async fn observe(&self) -> Observed {
        let observed = if self.is_leader() {
            self.observe_here().await
        } else {
            let asked = self.call_leader(wire::GROUP, &(), COLLECT_DEADLINE).await;
            asked.unwrap_or_else(|_| self.alone())
        };
        self.inner.last_view.lock().observed = observed.clone();
        observed
    }

    /// The group as it was seen last, a second ago or so as long as somebody asks.
    #[must_use]
    pub fn observed_last(&self) -> Observed {
        let mut view = self.inner.last_view.lock();
        view.looked_at = Some(Instant::now());
        view.observed.clone()
    }

    /// The same of the machines.
    #[must_use]
    pub fn machines_last(&self) -> BTreeMap<MasterId, MachineSeen> {
        self.inner.last_view.lock().machines.clone()
    }

    /// On the leader: collects what all tell.
    pub(crate) async fn observe_here(&self) -> Observed {
        let links = &self.inner.links;
        let told = self.other_members().into_iter().map(async |(id, address)| {
            let lines = links.to(id, &address);
            let facts = lines.calls.call(wire::FACTS, &(), TELL_DEADLINE).await;
            Some((MasterId(id), facts.ok()?))
        });
        let told = join_all(told).await.into_iter().flatten();
        let facts: BTreeMap<MasterId, MasterFacts> = told.collect();
        Observed {
            seats: self.seats(),
            state_agrees: self.inner.agreement.with_own(self.inner.id),
            facts: facts.into_iter().chain(self.alone().facts).collect(),
            ..self.alone()
        }
    }

    fn alone(&self) -> Observed {
        let status = self.brief_status();
        Observed {
            term: status.term,
            leader: status.leader,
            last_log: status.last_log,
            facts: BTreeMap::from([(self.inner.id, self.facts())]),
            ..Observed::default()
        }
    }

    /// What this master tells of itself.
    pub(crate) fn facts(&self) -> MasterFacts {
        let proof = self.inner.own.get().and_then(|own| own.proof().ok());
        MasterFacts {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            certificate_expires_at: proof.map(|proof| UnixMs(proof.ends_ms)),
            applied: self.local().index,
        }
    }
}

/// Makes new views as long as somebody looks, until aborted.
pub async fn keep_view(master: Master) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if master.inner.last_view.is_wanted() {
            tokio::join!(master.observe(), master.machines());
        }
    }
}
