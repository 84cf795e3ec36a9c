//! When what goes wrong, and when it is over.

use std::collections::BTreeMap;
use std::ops::Range;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::sync::mpsc;

use crate::machine::Machine;
use crate::network::{Conditions, Place};
use crate::operator::Wish;
use crate::profile::Profile;
use crate::trace::Trace;
use crate::ways::Ways;

/// Longer than anybody waits for what changes the members.
const LASTING_REST_MS: u64 = 6_000;

/// What is to happen later.
#[derive(Clone, Copy, Debug)]
pub enum Later {
    Resume(Place),
    Heal,
    Calm,
    DiskFast(Place),
    ClockRight(Place),
}

/// The weather of a run.
pub struct Weather {
    pub(crate) dice: SmallRng,
    pub(crate) profile: Profile,
    pub(crate) ways: Ways,
    pub(crate) trace: Trace,
    pub(crate) wishes: mpsc::UnboundedSender<Wish>,
    /// Which bits were flipped, where they were not found yet.
    pub(crate) flipped: BTreeMap<Place, Flip>,
    next_ms: u64,
    /// Nothing lasting happens before.
    lasting_ms: u64,
    later: BTreeMap<(u64, u64), Later>,
    sequence: u64,
    troubles: u64,
}

/// A bit that flipped.
pub struct Flip {
    pub name: String,
    pub offset: usize,
    pub bit: u8,
}

impl Weather {
    pub fn new(
        dice: SmallRng,
        profile: Profile,
        ways: Ways,
        trace: Trace,
        wishes: mpsc::UnboundedSender<Wish>,
    ) -> Self {
        Self {
            dice,
            profile,
            ways,
            trace,
            wishes,
            flipped: BTreeMap::new(),
            next_ms: 0,
            lasting_ms: 0,
            later: BTreeMap::new(),
            sequence: 0,
            troubles: 0,
        }
    }

    /// How many troubles there were.
    pub fn troubles(&self) -> u64 {
        self.troubles
    }

    pub(crate) fn later(&mut self, wait_ms: Range<u64>, what: Later) {
        let due = self.trace.now_ms() + self.dice.random_range(wait_ms);
        self.sequence += 1;
        self.later.insert((due, self.sequence), what);
    }

    pub(crate) fn one_of<T: Copy>(&mut self, from: &[T]) -> T {
        *from.choose(&mut self.dice).expect("there is one to choose")
    }

    /// One step of bad weather. While the cluster is not whole, nothing is lost for good: a few might be too many.
    pub fn blow(&mut self, machines: &mut [Machine], whole: bool) {
        self.pass(machines);
        let now_ms = self.trace.now_ms();
        if now_ms < self.next_ms {
            return;
        }
        self.next_ms = now_ms + self.dice.random_range(1..=self.profile.between_ms);
        let troubles = self.profile.troubles.clone();
        let trouble = self.one_of(&troubles);
        self.troubles += 1;
        if trouble.is_lasting() {
            if !whole || now_ms < self.lasting_ms {
                return;
            }
            self.lasting_ms = now_ms + LASTING_REST_MS;
        }
        if let Some(place) = self.victim(machines) {
            self.trace.count(&format!("trouble: {trouble:?}"));
            self.make(trouble, place, machines);
        }
    }

    /// Whatever is over by now.
    fn pass(&mut self, machines: &mut [Machine]) {
        let now_ms = self.trace.now_ms();
        while let Some(first) = self
            .later
            .first_entry()
            .filter(|first| first.key().0 <= now_ms)
        {
            match first.remove() {
                Later::Resume(place) if machines[place].is_paused() => {
                    machines[place].tell("goes on");
                    machines[place].resume();
                }
                Later::Resume(_) => {}
                Later::Heal => self.ways.heal(),
                Later::Calm => self.ways.set_conditions(self.profile.conditions),
                Later::DiskFast(place) => {
                    machines[place].disk.set_latency(self.profile.latency_ms);
                }
                Later::ClockRight(place) => machines[place].set_skew_ms(0),
            }
        }
    }

    /// All trouble is over: everything runs, all ways are open, clocks are right.
    pub fn clear(&mut self, machines: &mut [Machine]) {
        self.later.clear();
        self.ways.heal();
        self.ways.set_conditions(Conditions {
            delay_ms: (1, 2),
            ..Conditions::default()
        });
        for machine in machines {
            machine.resume();
            machine.disk.set_latency((0, 1));
            machine.set_skew_ms(0);
            if !machine.disk.has_failed() {
                machine.disk.repair();
            }
        }
    }

    /// Whom it hits. The leader is the most interesting.
    fn victim(&mut self, machines: &[Machine]) -> Option<Place> {
        let on = machines.iter().filter(|machine| machine.is_on());
        let on: Vec<Place> = on.map(|machine| machine.place).collect();
        let leads = |place: &&Place| {
            let master = machines[**place].master();
            master.is_some_and(|master| master.is_leader())
        };
        let leader = on.iter().find(leads).copied();
        leader
            .filter(|_| self.dice.random_bool(0.4))
            .or_else(|| on.choose(&mut self.dice).copied())
    }
}

/// A generator of its own for somebody.
pub fn fork(dice: &mut SmallRng) -> SmallRng {
    SmallRng::seed_from_u64(dice.random())
}
