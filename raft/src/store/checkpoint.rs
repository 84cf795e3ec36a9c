//! Brings the state to disk, off the path of writes: once a second if it changed, sooner if much is waiting, and
//! whenever somebody needs to know that it is there.

use std::collections::VecDeque;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use docklet_control::Refusal;
use docklet_control::State;
use docklet_control::id::LogIndex;
use tokio::sync::{oneshot, watch};

use super::pace::Pace;
use super::recent::{Left, Recent};
use super::rows::RowStore;
use super::{Base, Frozen};
use crate::fault::RaftFault;

/// The state is brought to disk this often if it changed.
const EVERY: Duration = Duration::from_secs(1);
/// So many changes do not wait for the next time.
const WAITING_MANY: usize = 20_000;
/// With so many waiting, no more are taken in: memory is bounded.
const WAITING_MAX: usize = 100_000;

/// So many states wait for their hash at most; older ones are left out.
const POINTS_MAX: usize = 16;

/// A state after an entry.
pub type Point = (LogIndex, Arc<State>);

type Answer = oneshot::Sender<Result<(), Arc<RaftFault>>>;

/// What the checkpoints are made of.
#[derive(Debug)]
pub struct Progress {
    pub recent: Mutex<Recent>,
    /// The last checkpoint.
    base: Mutex<Arc<Base>>,
    published: watch::Sender<Frozen>,
    /// States whose hash masters compare, until somebody computes it.
    points: Mutex<VecDeque<Point>>,
    /// Why the state cannot be written any more.
    failure: watch::Sender<Option<Arc<RaftFault>>>,
    /// Why this program must not go on with it.
    refusal: watch::Sender<Option<Refusal>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Progress {
    pub fn starting(frozen: Frozen) -> Self {
        Self {
            recent: Mutex::new(Recent::starting(frozen.index)),
            base: Mutex::new(frozen.base.clone()),
            published: watch::Sender::new(frozen),
            points: Mutex::default(),
            failure: watch::Sender::new(None),
            refusal: watch::Sender::new(None),
        }
    }

    /// The state after the last applied entry.
    pub fn frozen(&self) -> Frozen {
        self.published.borrow().clone()
    }

    /// Wakes at each new state.
    pub fn watch(&self) -> watch::Receiver<Frozen> {
        self.published.subscribe()
    }

    /// Tells when the state cannot be written any more, and why.
    pub fn failure(&self) -> watch::Receiver<Option<Arc<RaftFault>>> {
        self.failure.subscribe()
    }

    /// This program must not go on with the state.
    pub fn refuse(&self, refusal: Refusal) {
        tracing::error!(%refusal, "this master stops");
        self.refusal.send_replace(Some(refusal));
    }

    /// Tells when this program must not go on, and why.
    pub fn refusal(&self) -> watch::Receiver<Option<Refusal>> {
        self.refusal.subscribe()
    }

    fn works(&self) -> Result<(), RaftFault> {
        match &*self.failure.borrow() {
            None => Ok(()),
            Some(fault) => Err(std::io::Error::other(fault.clone()).into()),
        }
    }

    fn failed(&self, fault: RaftFault) -> RaftFault {
        tracing::error!(%fault, "the state cannot be written: this master stops");
        let fault = Arc::new(fault);
        self.failure.send_replace(Some(fault.clone()));
        std::io::Error::other(fault).into()
    }

    /// The last checkpoint.
    pub fn base(&self) -> Arc<Base> {
        lock(&self.base).clone()
    }

    /// Lets everybody see the state after a batch; what it left first, so that whoever wakes finds them.
    pub fn publish(&self, frozen: Frozen, left: Left) {
        self.recent().push(left);
        self.published.send_replace(frozen);
    }

    /// Keeps states whose hash is to be compared.
    pub fn add_points(&self, points: Vec<Point>) {
        let mut kept = lock(&self.points);
        kept.extend(points);
        let excess = kept.len().saturating_sub(POINTS_MAX);
        kept.drain(..excess);
    }

    /// Takes the states whose hash is to be computed; with `now`, the present one too.
    pub fn take_points(&self, now: bool) -> Vec<Point> {
        let mut points: Vec<Point> = lock(&self.points).drain(..).collect();
        if now {
            let frozen = self.frozen();
            points.push((frozen.index, frozen.state));
        }
        points
    }

    /// Lets everybody see a state that came as a whole.
    pub fn publish_anew(&self, frozen: Frozen) {
        *lock(&self.base) = frozen.base.clone();
        *self.recent() = Recent::starting(frozen.index);
        self.published.send_replace(frozen);
    }

    pub fn recent(&self) -> MutexGuard<'_, Recent> {
        lock(&self.recent)
    }

    /// Makes everything that was applied durable.
    fn checkpoint(&self, rows: &RowStore, pace: Pace) -> Result<(), RaftFault> {
        let (base, after) = (self.base(), self.frozen());
        if base.index == after.index {
            return Ok(());
        }
        let left = self.recent().left(after.index);
        let made = rows.checkpoint(&base, &after, &left, pace)?;
        *lock(&self.base) = Arc::new(made);
        self.recent().checkpointed(after.index);
        Ok(())
    }
}

/// Who makes the checkpoints: a thread, or whoever asks where the disk wants no threads.
#[derive(Clone)]
pub struct Checkpoints {
    progress: Arc<Progress>,
    rows: Arc<RowStore>,
    thread: Option<mpsc::Sender<Option<Answer>>>,
    /// Serialises checkpoints and the replacing of everything by a snapshot.
    turn: Arc<Mutex<()>>,
}

impl Checkpoints {
    /// Starts the thread if there is to be one.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(
        progress: Arc<Progress>,
        rows: Arc<RowStore>,
        threads: bool,
    ) -> Result<Self, RaftFault> {
        let turn = Arc::new(Mutex::new(()));
        let thread = if threads {
            let (sender, asked) = mpsc::channel();
            let (progress, rows, turn) = (progress.clone(), rows.clone(), turn.clone());
            std::thread::Builder::new()
                .name("checkpoints".to_owned())
                .spawn(move || run(&progress, &rows, &turn, &asked))?;
            Some(sender)
        } else {
            None
        };
        Ok(Self {
            progress,
            rows,
            thread,
            turn,
        })
    }

    /// Comes back when everything that was applied before is durable.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn flush(&self) -> Result<(), RaftFault> {
        let Some(thread) = &self.thread else {
            return checkpoint(&self.progress, &self.rows, &self.turn, Pace::straight());
        };
        let (sender, receiver) = oneshot::channel();
        thread.send(Some(sender)).map_err(|_| stopped())?;
        let answer = receiver.await.map_err(|_| stopped())?;
        answer.map_err(|fault| std::io::Error::other(fault).into())
    }

    /// What the thread does by the clock, as a task, until the disk fails.
    pub async fn keep_time(self) {
        loop {
            tokio::time::sleep(EVERY).await;
            if self.flush().await.is_err() {
                return;
            }
        }
    }

    /// Called after each batch: sees to it that what waits for a checkpoint stays bounded.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn keep_up(&self) -> Result<(), RaftFault> {
        self.progress.works()?;
        let waiting = self.progress.recent().waiting();
        match &self.thread {
            Some(_) if waiting > WAITING_MAX => self.flush().await,
            Some(thread) if waiting > WAITING_MANY => thread.send(None).map_err(|_| stopped()),
            Some(_) => Ok(()),
            // Without a thread there is no clock either: every so many entries.
            None if self.progress.frozen().index.0 > self.progress.base().index.0 + 64 => {
                self.flush().await
            }
            None => Ok(()),
        }
    }

    /// Replaces everything by a snapshot, durably, and lets everybody see it.
    ///
    /// # Errors
    /// The disk failed.
    pub fn replace(&self, frozen: Frozen) -> Result<(), RaftFault> {
        let _turn = lock(&self.turn);
        self.progress.works()?;
        let replaced = self.rows.replace(&frozen);
        let base = Arc::new(replaced.map_err(|fault| self.progress.failed(fault))?);
        self.progress.publish_anew(Frozen { base, ..frozen });
        Ok(())
    }
}

fn stopped() -> RaftFault {
    std::io::Error::other("the state is not written any more after a disk error").into()
}

/// One checkpoint, unless the disk has failed before.
fn checkpoint(
    progress: &Progress,
    rows: &RowStore,
    turn: &Mutex<()>,
    pace: Pace,
) -> Result<(), RaftFault> {
    let _turn = lock(turn);
    progress.works()?;
    progress
        .checkpoint(rows, pace)
        .map_err(|fault| progress.failed(fault))
}

/// The thread: ends when nobody can ask any more, or after the first disk error.
fn run(
    progress: &Progress,
    rows: &RowStore,
    turn: &Mutex<()>,
    asked: &mpsc::Receiver<Option<Answer>>,
) {
    loop {
        let first = match asked.recv_timeout(EVERY) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        // One checkpoint serves all who have asked by now.
        let answers: Vec<Answer> = first
            .into_iter()
            .chain(asked.try_iter().flatten())
            .collect();
        let in_haste = !answers.is_empty() || progress.recent().waiting() > WAITING_MANY;
        let pace = if in_haste {
            Pace::straight()
        } else {
            Pace::giving_way()
        };
        let made = checkpoint(progress, rows, turn, pace).map_err(Arc::new);
        for answer in answers {
            // Whoever asked has been cancelled if this fails.
            drop(answer.send(made.clone()));
        }
        if made.is_err() {
            return;
        }
    }
}
