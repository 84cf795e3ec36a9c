//! Whether followers were told the truth: their records are held against the whole log of a master that keeps all of
//! its history, and against the states that come of folding that log from its beginning.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use docklet_control::assignment::assignment;
use docklet_control::evolve::evolve_all;
use docklet_control::id::{LogIndex, UserId};
use docklet_control::model::{ClusterVersion, User};
use docklet_control::view::state::{StateView, show};
use docklet_control::{Change, State, permit};
use docklet_link::{Credentials, frame};
use docklet_raft::{Followed, HistoryLimits, Master, MasterConfig, OnGap, Timing};
use serde::Serialize;

use super::agents::AgentRecord;
use super::viewers::{Step, ViewerRecord};
use super::{Print, print_of};

/// To read a store again that a master has closed in order.
const PATIENCE: Duration = Duration::from_secs(20);

/// The log, as its viewer, the first admin, may see it, and the state after each entry.
pub struct Truth {
    admin: User,
    /// Entries that changed something that the viewer may see: what it is told of each.
    changes: BTreeMap<LogIndex, Print>,
    states: BTreeMap<LogIndex, State>,
    last: LogIndex,
}

/// What a record held, for people.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub changes: usize,
    pub snapshots: usize,
    pub bookmarks: usize,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            changes: self.changes + other.changes,
            snapshots: self.snapshots + other.snapshots,
            bookmarks: self.bookmarks + other.bookmarks,
        }
    }
}

/// A snapshot in the form in which viewers get it.
#[derive(Serialize)]
struct Snapshot {
    index: LogIndex,
    skipped_from: LogIndex,
    state: StateView,
}

impl Truth {
    /// Reads all that the master in this directory has, which must have stopped in order at `upto` or later, and must
    /// never have dropped any of its history.
    ///
    /// # Errors
    /// Something is missing, or the changes do not come to the state.
    pub async fn read(dir: &Path, upto: LogIndex) -> anyhow::Result<Self> {
        let master = open(dir, upto).await?;
        let mut follower = master.follower(LogIndex(0), OnGap::Skip);
        let mut all = Vec::new();
        loop {
            match follower.next().await? {
                Some(Followed::Change(change)) => all.push(change),
                Some(gap) => bail!("the history is not whole: {gap:?}"),
                None => break,
            }
        }
        let kept = master.local();
        master.shutdown().await;
        let admin = kept.state.users.get(&UserId(1));
        let mut truth = Self {
            admin: admin.context("no admin")?.clone(),
            changes: BTreeMap::new(),
            states: BTreeMap::from([(LogIndex(0), State::default())]),
            last: kept.index,
        };
        for change in all {
            truth.append(&change)?;
        }
        let folded = show(truth.state_at(truth.last), &truth.admin);
        let same = folded == show(&kept.state, &truth.admin);
        ensure!(same, "the changes do not come to the state");
        Ok(truth)
    }

    fn append(&mut self, change: &Change) -> anyhow::Result<()> {
        let state = evolve_all(self.state_at(change.index).clone(), change);
        self.states.insert(change.index, state);
        if let Some(visible) = permit::visible_change(&self.admin, change) {
            let text = serde_json::to_vec(&visible)?;
            self.changes.insert(change.index, print_of(&text));
        }
        Ok(())
    }

    /// The state after the entry at `index`.
    fn state_at(&self, index: LogIndex) -> &State {
        let newest = self.states.range(..=index).next_back();
        newest.map(|(_, state)| state).expect("the first is there")
    }

    /// How many entries there are that a viewer is told of.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.changes.len()
    }

    /// Holds a viewer's record against the log.
    ///
    /// # Errors
    /// It was told something that is not so, something twice, or not of something.
    pub fn check_viewer(&self, record: &ViewerRecord) -> anyhow::Result<Tally> {
        let mut tally = Tally::default();
        let mut at = record.began_after;
        for step in &record.steps {
            let index = step.index();
            ensure!(index > at, "{step:?} came after entry {at}: again, or back");
            ensure!(index <= self.last, "{step:?} is past the end of the log");
            match *step {
                Step::Change(_, print) => {
                    let known = self.changes.get(&index);
                    ensure!(
                        known == Some(&print),
                        "{step:?} is not what entry {index} changed"
                    );
                    self.nothing_between(at, LogIndex(index.0 - 1))?;
                    tally.changes += 1;
                }
                Step::Bookmark(_) => {
                    self.nothing_between(at, index)?;
                    tally.bookmarks += 1;
                }
                Step::Snapshot(_, print) => {
                    let known = self.snapshot(at, index)?;
                    ensure!(
                        known == print,
                        "{step:?} after {at} is not the state of then"
                    );
                    tally.snapshots += 1;
                }
            }
            at = index;
        }
        Ok(tally)
    }

    /// After `after` and up to `upto` nothing happened that a viewer is told of.
    fn nothing_between(&self, after: LogIndex, upto: LogIndex) -> anyhow::Result<()> {
        let next = self.changes.range(LogIndex(after.0 + 1)..).next();
        if let Some((missed, _)) = next.filter(|(missed, _)| **missed <= upto) {
            bail!("of entry {missed} it was not told, between {after} and {upto}");
        }
        Ok(())
    }

    fn snapshot(&self, told: LogIndex, index: LogIndex) -> anyhow::Result<Print> {
        let snapshot = Snapshot {
            index,
            skipped_from: LogIndex(told.0 + 1),
            state: show(self.state_at(index), &self.admin),
        };
        Ok(print_of(&serde_json::to_vec(&snapshot)?))
    }

    /// Holds an agent's record against the log; answers how many assignments it was sent.
    ///
    /// # Errors
    /// An assignment was not that of its entry, or an older one came later, or the last change never came.
    pub fn check_agent(&self, record: &AgentRecord) -> anyhow::Result<usize> {
        let worker = record.worker;
        let print = |state: &State, index| {
            let bytes = frame::encode(&assignment(state, worker, index))?;
            anyhow::Ok(print_of(&bytes))
        };
        let mut at = LogIndex(0);
        for (index, told) in &record.assignments {
            ensure!(*index >= at, "worker {worker}: {index} came after {at}");
            ensure!(
                *index <= self.last,
                "worker {worker}: {index} is past the end of the log"
            );
            let truth = print(self.state_at(*index), *index)?;
            ensure!(
                *told == truth,
                "worker {worker}: not its assignment after entry {index}"
            );
            at = *index;
        }
        let (_, told) = record.assignments.last().context("it was sent nothing")?;
        let truth = print(self.state_at(self.last), at)?;
        ensure!(
            *told == truth,
            "worker {worker}: a change after {at} never came"
        );
        Ok(record.assignments.len())
    }
}

/// Takes a stopped master's store up. Nobody answers it, so it applies nothing more.
async fn open(dir: &Path, upto: LogIndex) -> anyhow::Result<Master> {
    let config = MasterConfig {
        data_dir: dir.to_owned(),
        credentials: Credentials::load(dir)?.into(),
        timing: Timing::default(),
        history: HistoryLimits::default(),
        knows: ClusterVersion::CURRENT,
    };
    let master = Master::start(config).await?;
    let begun = Instant::now();
    while master.local().index < upto {
        if begun.elapsed() > PATIENCE {
            bail!(
                "its store reaches {} only, not {upto}",
                master.local().index
            );
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(master)
}

#[cfg(test)]
mod tests {
    use docklet_control::Event;
    use docklet_control::evolve::evolve;
    use docklet_control::id::UnixMs;
    use docklet_control::model::Role;

    use super::*;

    /// Entries 2, 5 and 7 changed something that a viewer is told of.
    fn truth() -> Truth {
        let admin = User {
            id: UserId(1),
            name: docklet_control::name::Name::parse("user", "admin").expect("a name"),
            role: Role::Admin,
            password_hash: String::new(),
            created_at: UnixMs::default(),
        };
        let created = Event::UserCreated {
            user: admin.clone(),
        };
        let state = evolve(State::default(), UnixMs::default(), &created);
        Truth {
            admin,
            changes: [2, 5, 7].map(|index| (LogIndex(index), index)).into(),
            states: BTreeMap::from([(LogIndex(0), State::default()), (LogIndex(5), state)]),
            last: LogIndex(8),
        }
    }

    fn change(index: u64) -> Step {
        Step::Change(LogIndex(index), index)
    }

    fn checked(steps: &[Step]) -> Result<Tally, String> {
        let record = ViewerRecord {
            steps: steps.to_vec(),
            ..ViewerRecord::default()
        };
        truth()
            .check_viewer(&record)
            .map_err(|wrong| wrong.to_string())
    }

    #[track_caller]
    fn found(steps: &[Step], what: &str) {
        let wrong = checked(steps).expect_err(what);
        assert!(wrong.contains(what), "{wrong}");
    }

    #[test]
    fn a_true_record_passes() {
        let snapshot = truth().snapshot(LogIndex(2), LogIndex(6)).expect("bytes");
        let steps = [
            change(2),
            Step::Bookmark(LogIndex(4)),
            change(5),
            change(7),
            Step::Bookmark(LogIndex(8)),
        ];
        let tally = checked(&steps).expect("true");
        assert_eq!((tally.changes, tally.bookmarks), (3, 2));
        let over = [change(2), Step::Snapshot(LogIndex(6), snapshot), change(7)];
        assert_eq!(checked(&over).expect("true").snapshots, 1);
    }

    #[test]
    fn each_kind_of_lie_is_found() {
        let bookmark = |index| Step::Bookmark(LogIndex(index));
        let snapshot = truth().snapshot(LogIndex(2), LogIndex(6)).expect("bytes");
        found(&[change(2), change(7)], "of entry 5 it was not told");
        found(&[change(2), bookmark(5)], "of entry 5 it was not told");
        found(&[change(2), change(2)], "again, or back");
        found(&[change(5)], "of entry 2 it was not told");
        found(&[change(2), change(5), change(2)], "again, or back");
        found(&[change(2), change(3)], "is not what entry 3 changed");
        let other = Step::Change(LogIndex(5), 6);
        found(&[change(2), other], "is not what entry 5 changed");
        found(&[change(2), bookmark(4), bookmark(4)], "again, or back");
        let early = Step::Snapshot(LogIndex(4), snapshot);
        found(&[change(2), early], "is not the state of then");
        let from_elsewhere = Step::Snapshot(LogIndex(6), snapshot);
        found(&[from_elsewhere], "is not the state of then");
        found(
            &[change(2), change(5), change(7), bookmark(9)],
            "past the end",
        );
    }
}
