//! What must never be, looked for after each step. The oracle keeps the one history of changes that all masters must
//! tell alike, who led when, each state's hash, and what clients were promised.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use docklet_control::event::{Change, Event};
use docklet_control::evolve::evolve_all;
use docklet_control::rows::StateHash;
use docklet_control::{State, invariants};
use docklet_raft::{Frozen, Master};

use crate::machine::Machine;
use crate::network::Place;
use crate::observe::{Observation, Observations, Seen};
use crate::violation::{Law, Violation};

/// What clients were promised; clones are the same one.
#[derive(Clone, Default)]
pub struct Promises {
    inner: Arc<Mutex<Promised>>,
}

#[derive(Default)]
struct Promised {
    /// Entry that a client was told of, by what only it can have done.
    accepted: BTreeMap<String, u64>,
    wrong: Option<String>,
}

impl Promises {
    fn lock(&self) -> std::sync::MutexGuard<'_, Promised> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client was told that the entry at `index` did this.
    pub fn accept(&self, mark: String, index: u64) {
        self.lock().accepted.insert(mark, index);
    }

    /// A client was told something that cannot be.
    pub fn wrong(&self, what: String) {
        self.lock().wrong.get_or_insert(what);
    }

    pub fn count(&self) -> usize {
        self.lock().accepted.len()
    }
}

/// The judge of safety.
pub struct Oracle {
    observations: Observations,
    promises: Promises,
    /// What happened, by entry.
    changes: BTreeMap<u64, Arc<Change>>,
    /// Nothing happened between this entry and the change, somebody was told.
    nothing_since: BTreeMap<u64, u64>,
    /// The entry that left a mark.
    marks: BTreeMap<String, u64>,
    hashes: BTreeMap<u64, (Place, StateHash)>,
    /// Terms and who led in them.
    reigns: BTreeSet<(u64, u64)>,
    /// The newest state that was looked at.
    newest: Frozen,
    looked_at: BTreeMap<Place, u64>,
}

impl Oracle {
    pub fn new(observations: Observations, promises: Promises) -> Self {
        Self {
            observations,
            promises,
            changes: BTreeMap::new(),
            nothing_since: BTreeMap::new(),
            marks: BTreeMap::new(),
            hashes: BTreeMap::new(),
            reigns: BTreeSet::new(),
            newest: Frozen::default(),
            looked_at: BTreeMap::new(),
        }
    }

    /// The last entry that changed anything.
    pub fn last_change(&self) -> u64 {
        self.changes.keys().next_back().copied().unwrap_or(0)
    }

    /// The newest state of any master.
    pub fn newest(&self) -> Frozen {
        self.newest.clone()
    }

    /// How often somebody came to lead.
    pub fn reigns(&self) -> usize {
        self.reigns.len()
    }

    /// Looks at everything once. Answers who has come to lead, in which term.
    ///
    /// # Errors
    /// What must never be.
    pub fn look(&mut self, machines: &[Machine]) -> Result<Option<(Place, u64)>, Violation> {
        if let Some(wrong) = self.promises.lock().wrong.take() {
            return Err(Violation::of(Law::Answers, wrong));
        }
        for seen in self.observations.take() {
            self.take(seen)?;
        }
        let mut news = None;
        for machine in machines {
            let Some(master) = machine.master() else {
                self.looked_at.remove(&machine.place);
                continue;
            };
            if master.is_leader() && self.leads(machine, &master)? {
                news = Some((machine.place, master.brief_status().term));
            }
            self.compare(machine, &master)?;
        }
        Ok(news)
    }

    /// Whether it has come to lead. Whoever leads has everything that was ever committed. Terms are openraft's: in
    /// one term a master with a higher number may take over from one with a lower.
    fn leads(&mut self, machine: &Machine, master: &Master) -> Result<bool, Violation> {
        let status = master.brief_status();
        let reign = (status.term, status.id.0);
        if status.role != "leader" || self.reigns.contains(&reign) {
            return Ok(false);
        }
        let newest = self.reigns.last().is_none_or(|last| *last < reign);
        let lacks = status.last_log.0 < self.last_change();
        self.reigns.insert(reign);
        if newest && lacks {
            return Err(Violation::of(
                Law::LeadersHaveAll,
                format!(
                    "{} leads in term {} with entries up to {}, and {} was committed",
                    machine.name,
                    status.term,
                    status.last_log,
                    self.last_change()
                ),
            ));
        }
        Ok(true)
    }

    /// Equal states at equal entries, and each of them sound.
    fn compare(&mut self, machine: &Machine, master: &Master) -> Result<(), Violation> {
        let frozen = master.local();
        let index = frozen.index.0;
        if self.looked_at.insert(machine.place, index) == Some(index) {
            return Ok(());
        }
        self.hash(machine.place, &frozen)?;
        if index > self.newest.index.0 {
            let mut broken = invariants::broken(&frozen.state);
            broken.extend(invariants::broken_by(&self.newest.state, &frozen.state));
            if let Some(broken) = broken.first() {
                let what = format!("after entry {index} {broken}");
                return Err(Violation::of(Law::Rules, what));
            }
            self.newest = frozen;
        }
        Ok(())
    }

    /// States are the same at the same entry, whoever has them.
    fn hash(&mut self, place: Place, frozen: &Frozen) -> Result<(), Violation> {
        let (index, hash) = (frozen.index.0, frozen.hash());
        let (first, known) = self.hashes.entry(index).or_insert((place, hash));
        if *known == hash {
            return Ok(());
        }
        let what = format!(
            "after entry {index} m{} has state {hash}, m{} had {known}",
            place + 1,
            *first + 1
        );
        Err(Violation::of(Law::EqualStates, what))
    }

    /// One step of a follower.
    fn take(&mut self, seen: Observation) -> Result<(), Violation> {
        match seen.what {
            Seen::Change { after, change } => {
                let broken = |what| Violation::of(Law::OneHistory, what);
                let who = format!("m{}", seen.place + 1);
                self.told(&who, after, &change).map_err(broken)?;
                if self.changes.contains_key(&change.index.0) {
                    return Ok(());
                }
                self.add(change)
            }
            Seen::Snapshot(frozen) => self.hash(seen.place, &frozen),
        }
    }

    /// What a follower is told fits what others were told.
    fn told(&mut self, who: &str, after: u64, change: &Change) -> Result<(), String> {
        let index = change.index.0;
        let left_out = self.changes.range(after + 1..index).next();
        if let Some((left_out, _)) = left_out {
            return Err(format!(
                "{who} told a follower at {after} of entry {index} next, and not of {left_out}"
            ));
        }
        let since = self.nothing_since.entry(index).or_insert(after);
        *since = after.min(*since);
        if let Some(known) = self.changes.get(&index) {
            return if **known == *change {
                Ok(())
            } else {
                Err(format!(
                    "entry {index} is {known:?} to others, and to {who} {change:?}"
                ))
            };
        }
        if let Some((next, since)) = self.nothing_since.range(index + 1..).next()
            && *since < index
        {
            return Err(format!(
                "{who} tells of entry {index}, and others were told that nothing happened between {since} and {next}"
            ));
        }
        Ok(())
    }

    fn add(&mut self, change: Arc<Change>) -> Result<(), Violation> {
        let index = change.index.0;
        for mark in change.events.iter().filter_map(mark) {
            if let Some(before) = self.marks.insert(mark.clone(), index) {
                let what = format!("{mark} took effect twice: by entries {before} and {index}");
                return Err(Violation::of(Law::OneEffect, what));
            }
        }
        self.changes.insert(index, change);
        Ok(())
    }

    /// When all is calm: what was promised is there, and the state is what all changes make.
    ///
    /// # Errors
    /// It is not.
    pub fn finish(&self) -> Result<(), Violation> {
        for (mark, index) in &self.promises.lock().accepted {
            let found = self.marks.get(mark);
            if found != Some(index) {
                let what = format!(
                    "a client was told that entry {index} did '{mark}'; in the log it is {found:?}"
                );
                return Err(Violation::of(Law::Promises, what));
            }
        }
        let folded = self
            .changes
            .values()
            .fold(State::default(), |state, change| evolve_all(state, change));
        let mut last = State::clone(&self.newest.state);
        last.forget_receipts();
        if folded != last {
            let what = "the changes that followers saw do not make the state";
            return Err(Violation::of(Law::Fold, what));
        }
        Ok(())
    }
}

/// What only one command of one client can have done.
fn mark(event: &Event) -> Option<String> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "clients of the simulation mark only what they do themselves"
    )]
    match event {
        Event::UserCreated { user } => Some(format!("user {}", user.name)),
        Event::PasswordChanged { password_hash, .. } => Some(password_hash.clone()),
        _ => None,
    }
}
