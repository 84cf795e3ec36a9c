//! What came of what somebody asked for: the entry that decided it, and what the cluster has done about the same things since.

use crate::audit;
use crate::event::{Change, Event};
use crate::model::User;
use crate::permit;
use crate::state::State;
use crate::view::happened::{self, Happened, Topic, Wish};

/// Stages that are told: the first ones and the last ones, and how many there were between them.
const FIRST: usize = 7;
const LAST: usize = 5;
/// What comes so long after the stage before has other causes.
const QUIET_MS_MAX: u64 = 300_000;

/// One write of somebody's, and its stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// The entry itself.
    pub asked: Happened,
    first: Vec<Happened>,
    last: Vec<Happened>,
    /// Stages between the first and the last that are not told.
    pub left_out: usize,
    /// Names of the things that it is about, without their kinds.
    names: Vec<String>,
    goes_on: bool,
}

impl Course {
    /// Of an entry that `asker` asked for, with the names of `state`; none of others' entries.
    #[must_use]
    pub fn of(state: &State, asker: &User, change: &Change) -> Option<Self> {
        if change.actor.user() != Some(asker.id) {
            return None;
        }
        let asked = happened::show(state, asker, change, &Wish::default())?;
        let seen = permit::visible_change(asker, change)?;
        let names = seen.events.iter().filter(|event| has_stages(event));
        let names: Vec<String> = names.flat_map(|event| named(state, event)).collect();
        Some(Self {
            asked,
            first: Vec::new(),
            last: Vec::new(),
            left_out: 0,
            goes_on: !names.is_empty(),
            names,
        })
    }

    /// Takes a later entry in; answers whether it is a stage of this.
    pub fn take(&mut self, state: &State, asker: &User, change: &Change) -> bool {
        // What people ask for has a receipt of its own.
        if !self.goes_on || change.actor.user().is_some() {
            return false;
        }
        let Some(seen) = permit::visible_change(asker, change) else {
            return false;
        };
        let events = seen.events.iter().filter(|event| has_stages(event));
        let events = events.filter(|event| self.concerns(state, event)).cloned();
        let events: Vec<Event> = events.collect();
        let before = self.stages().last().map_or(self.asked.at, |stage| stage.at);
        if events.is_empty() {
            return false;
        }
        if change.at.since_ms(before) > QUIET_MS_MAX {
            self.goes_on = false;
            return false;
        }
        let part = Change { events, ..seen };
        let stage = happened::show(state, asker, &part, &Wish::default());
        let fresh = stage.filter(|stage| self.stages().all(|known| known.says != stage.says));
        let Some(stage) = fresh else {
            return false;
        };
        self.add(stage);
        true
    }

    /// In the order in which they came; `left_out` others were between the first and the last.
    pub fn stages(&self) -> impl Iterator<Item = &Happened> {
        self.first.iter().chain(&self.last)
    }

    /// The stages before those that are left out.
    #[must_use]
    pub fn first(&self) -> &[Happened] {
        &self.first
    }

    /// The stages after them.
    #[must_use]
    pub fn last(&self) -> &[Happened] {
        &self.last
    }

    fn add(&mut self, stage: Happened) {
        if self.first.len() < FIRST {
            self.first.push(stage);
            return;
        }
        self.last.push(stage);
        if self.last.len() > LAST {
            self.last.remove(0);
            self.left_out += 1;
        }
    }

    /// Whether an event is about one of the things, or about a part of one.
    fn concerns(&self, state: &State, event: &Event) -> bool {
        let is_part = |name: &String, of: &String| {
            let rest = name.strip_prefix(of.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '@']))
        };
        let mut names = named(state, event).into_iter();
        names.any(|name| self.names.iter().any(|of| is_part(&name, of)))
    }
}

/// Names of things, but for whose they are: all that somebody has would be a part of that.
fn named(state: &State, event: &Event) -> Vec<String> {
    let (_, things) = audit::about(state, event);
    let names = things.iter().filter_map(|thing| thing.split_once(' '));
    let names = names.filter(|(kind, name)| *kind != "user" && !name.is_empty());
    names.map(|(_, name)| name.to_owned()).collect()
}

/// Whether more comes of such an event than the entry that it is of.
fn has_stages(event: &Event) -> bool {
    match Topic::of(event) {
        Topic::Vclusters
        | Topic::Vnodes
        | Topic::Images
        | Topic::Snapshots
        | Topic::Services
        | Topic::Moves
        | Topic::Workers
        | Topic::Masters
        | Topic::Drills => true,
        Topic::People | Topic::Groups | Topic::Beans | Topic::Notices | Topic::Settings => false,
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::command::Actor;
    use crate::id::{LogIndex, NetworkId, UnixMs, UserId, WorkerId};
    use crate::model::{DrainStage, Network, Role, WorkerStatus};
    use crate::name::Name;

    const ASKED: u64 = 1_000;

    fn admin() -> User {
        User {
            id: UserId(1),
            name: Name::parse("user", "ada").expect("a name"),
            role: Role::Admin,
            password_hash: String::new(),
            created_at: UnixMs(0),
        }
    }

    fn change(index: u64, at: u64, actor: Actor, event: Event) -> Change {
        Change {
            index: LogIndex(index),
            at: UnixMs(at),
            actor,
            command: Cow::Borrowed("Drain"),
            events: vec![event],
        }
    }

    fn came(worker: u64, to: DrainStage) -> Event {
        Event::Drain(crate::drain::event::DrainEvent::Came {
            worker: WorkerId(worker),
            to,
        })
    }

    fn marked(status: WorkerStatus) -> Event {
        Event::WorkerMarked {
            worker: WorkerId(4),
            status,
        }
    }

    fn asked() -> (State, User, Course) {
        let (state, ada) = (State::default(), admin());
        let own = change(
            9,
            ASKED,
            Actor::User(UserId(1)),
            came(4, DrainStage::Restoring),
        );
        let course = Course::of(&state, &ada, &own).expect("it is her own");
        (state, ada, course)
    }

    #[test]
    fn what_the_cluster_does_about_the_same_thing_is_a_stage() {
        let (state, ada, mut course) = asked();
        let mut take = |change: &Change| course.take(&state, &ada, change);
        let done = came(4, DrainStage::Restored);
        assert!(take(&change(11, ASKED + 50, Actor::Duty, done.clone())));
        // Another worker, somebody's own wish, and the same once more are none.
        assert!(!take(&change(
            12,
            ASKED + 60,
            Actor::Duty,
            came(5, DrainStage::Restored)
        )));
        assert!(!take(&change(
            13,
            ASKED + 70,
            Actor::User(UserId(1)),
            marked(WorkerStatus::Up)
        )));
        assert!(!take(&change(14, ASKED + 80, Actor::Duty, done)));
        let stages: Vec<_> = course.stages().map(|stage| stage.index.0).collect();
        assert_eq!(stages, [11]);
        assert!(
            course
                .stages()
                .all(|stage| stage.says[0].ends_with("has back what was moved away."))
        );
    }

    #[test]
    fn what_comes_long_after_is_none() {
        let (state, ada, mut course) = asked();
        let late = ASKED + QUIET_MS_MAX + 1;
        let mut take =
            |at, status| course.take(&state, &ada, &change(20, at, Actor::Duty, marked(status)));
        assert!(!take(late, WorkerStatus::Down));
        assert!(!take(ASKED + 1, WorkerStatus::Up), "it is over");
    }

    #[test]
    fn nobody_has_a_receipt_of_what_somebody_else_asked_for() {
        let state = State::default();
        let theirs = change(9, ASKED, Actor::User(UserId(2)), marked(WorkerStatus::Up));
        assert_eq!(Course::of(&state, &admin(), &theirs), None);
    }

    #[test]
    fn what_else_the_same_person_has_is_no_part_of_it() {
        let (state, ada) = (State::default(), admin());
        let network = || Event::NetworkCreated {
            network: Network {
                id: NetworkId(1),
                owner: ada.id,
                subnet: "10.64.0.0/22".parse().expect("a network"),
                addresses: Default::default(),
            },
        };
        let own = Change {
            events: vec![network(), came(4, DrainStage::Restoring)],
            ..change(9, ASKED, Actor::User(ada.id), network())
        };
        let mut course = Course::of(&state, &ada, &own).expect("it is her own");
        assert!(!course.take(&state, &ada, &change(10, ASKED, Actor::Duty, network())));
        let done = came(4, DrainStage::Restored);
        assert!(course.take(&state, &ada, &change(11, ASKED, Actor::Duty, done)));
    }

    #[test]
    fn the_first_and_the_last_stages_are_kept() {
        let (state, ada, mut course) = asked();
        for number in 0..40_u64 {
            let labels = [(
                Name::parse("label", "disk").expect("a name"),
                number.to_string(),
            )];
            let traits = crate::model::WorkerTraits {
                worker: WorkerId(4),
                labels: labels.into_iter().collect(),
                cordon: None,
            };
            let event = crate::schedule::event::ScheduleEvent::WorkerDescribed { traits };
            let at = ASKED + number;
            assert!(course.take(
                &state,
                &ada,
                &change(20 + number, at, Actor::Duty, Event::Schedule(event))
            ));
        }
        assert_eq!((course.first().len(), course.last().len()), (FIRST, LAST));
        assert_eq!(course.left_out, 40 - FIRST - LAST);
        assert_eq!(
            course.last().last().map(|stage| stage.index),
            Some(LogIndex(59))
        );
    }
}
