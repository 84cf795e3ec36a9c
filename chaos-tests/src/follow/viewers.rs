//! Viewers: each reads the stream of events at some master, leaves it for another, comes back with the last id, and
//! notes all that it was told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use docklet_control::id::LogIndex;
use rand::Rng as _;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Print, print_of};
use crate::public::{Public, Told};

/// Between leaving one master and asking the next.
const CHANGE_MS: std::ops::Range<u64> = 5..100;
/// Events after which a viewer goes to another master by itself; a slow one sooner.
const STAY: std::ops::Range<u32> = 20..400;
const STAY_SLOW: std::ops::Range<u32> = 2..25;
/// Bytes that a slow reader takes in ahead.
const NARROW: u32 = 16 << 10;
const WIDE: u32 = 256 << 10;

/// How a viewer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As fast as it can.
    Quick,
    /// So long for each event, so that it falls behind.
    Slow(Duration),
}

/// One thing that a viewer was told, in place of which its fingerprint is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Change(LogIndex, Print),
    Snapshot(LogIndex, Print),
    Bookmark(LogIndex),
}

impl Step {
    #[must_use]
    pub fn index(self) -> LogIndex {
        match self {
            Self::Change(index, _) | Self::Snapshot(index, _) | Self::Bookmark(index) => index,
        }
    }
}

/// All that a viewer was told.
#[derive(Clone, Debug, Default)]
pub struct ViewerRecord {
    /// It asked for what comes after this.
    pub began_after: LogIndex,
    /// In the order in which it was told.
    pub steps: Vec<Step>,
    pub connections: u32,
    /// How often a stream ended with each of these words.
    pub last_words: BTreeMap<String, u32>,
}

impl ViewerRecord {
    /// With what it comes back.
    #[must_use]
    pub fn position(&self) -> LogIndex {
        let last = self.steps.last();
        last.map_or(self.began_after, |step| step.index())
    }

    /// Notes it; answers whether the stream goes on.
    fn note(&mut self, told: &Told) -> anyhow::Result<bool> {
        let print = print_of(told.data.as_bytes());
        let id = || {
            told.id
                .with_context(|| format!("{} without an id", told.kind))
        };
        self.steps.push(match told.kind.as_str() {
            "change" => Step::Change(id()?, print),
            "snapshot" => Step::Snapshot(id()?, print),
            "bookmark" => Step::Bookmark(id()?),
            "behind" | "resync" => {
                *self.last_words.entry(told.kind.clone()).or_default() += 1;
                return Ok(false);
            }
            _ => bail!("nobody should be told this: {told:?}"),
        });
        Ok(true)
    }
}

/// Follows through whichever master until it has come to the goal, once there is one.
///
/// # Errors
/// It was told what nobody should be told, or does not come to the goal in time.
pub async fn view(
    public: Arc<Public>,
    pace: Pace,
    goal: watch::Receiver<Option<LogIndex>>,
    patience: Duration,
) -> anyhow::Result<ViewerRecord> {
    let mut viewer = Viewer {
        public,
        pace,
        goal,
        patience,
        hurried_at: None,
        record: ViewerRecord::default(),
    };
    while !viewer.has_arrived()? {
        viewer.stay_somewhere().await?;
        let pause = rand::rng().random_range(CHANGE_MS);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    Ok(viewer.record)
}

struct Viewer {
    public: Arc<Public>,
    pace: Pace,
    goal: watch::Receiver<Option<LogIndex>>,
    patience: Duration,
    /// When it first saw the goal.
    hurried_at: Option<Instant>,
    record: ViewerRecord,
}

impl Viewer {
    fn has_arrived(&mut self) -> anyhow::Result<bool> {
        let Some(goal) = *self.goal.borrow() else {
            return Ok(false);
        };
        let (begun, position) = (
            *self.hurried_at.get_or_insert_with(Instant::now),
            self.record.position(),
        );
        if position < goal && begun.elapsed() > self.patience {
            bail!("it has come to {position} only, and should to {goal}");
        }
        Ok(position >= goal)
    }

    /// Reads at a master until it has enough of it, or the stream ends or breaks.
    async fn stay_somewhere(&mut self) -> anyhow::Result<()> {
        let (window, stay) = match self.pace {
            Pace::Quick => (WIDE, STAY),
            Pace::Slow(_) => (NARROW, STAY_SLOW),
        };
        let (master, mut stay) = {
            let mut random = rand::rng();
            (
                random.random_range(0..self.public.masters()),
                random.random_range(stay),
            )
        };
        let after = self.record.position();
        // A master may be down, or go down: another will know.
        let Ok(mut events) = self.public.events(master, after, window).await else {
            return Ok(());
        };
        self.record.connections += 1;
        while stay > 0 && !self.has_arrived()? {
            let Ok(Some(told)) = events.next().await else {
                return Ok(());
            };
            if !self.record.note(&told)? {
                return Ok(());
            }
            self.rest().await;
            stay -= 1;
        }
        Ok(())
    }

    async fn rest(&self) {
        if let Pace::Slow(pause) = self.pace
            && self.hurried_at.is_none()
        {
            tokio::time::sleep(pause).await;
        }
    }
}

/// Opens a stream at a master, reads nothing of it for so long, and then all that comes until it ends.
///
/// # Errors
/// The stream broke, or it was told what nobody should be told.
pub async fn stall(
    public: &Public,
    master: usize,
    after: LogIndex,
    length: Duration,
) -> anyhow::Result<(ViewerRecord, Told)> {
    let mut record = ViewerRecord {
        began_after: after,
        ..ViewerRecord::default()
    };
    let mut events = public.events(master, after, NARROW).await?;
    record.connections += 1;
    tokio::time::sleep(length).await;
    loop {
        let told = events.next().await?;
        let told = told.context("the stream ended without a word")?;
        if !record.note(&told)? {
            return Ok((record, told));
        }
    }
}
