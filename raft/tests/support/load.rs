//! Writers and readers that work while something happens to the masters, and note how long each operation took.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use docklet_control::Command;
use docklet_control::id::{LogIndex, RequestId};
use docklet_control::model::Role;
use docklet_raft::{Master, ProposeFault};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{ADMIN, PATIENCE};

/// Names are never used twice in one test program.
static NEXT_NAME: AtomicU64 = AtomicU64::new(0);

/// One finished operation.
pub struct Done {
    pub began: Instant,
    pub took: Duration,
    /// Of a write: its entry.
    pub index: Option<LogIndex>,
    pub name: String,
}

/// What the operations of one client came to.
#[derive(Default)]
pub struct Report {
    pub done: Vec<Done>,
    pub failed: Vec<String>,
}

impl Report {
    /// The longest operation that began or ended within a span of time.
    pub fn longest_between(&self, from: Instant, to: Instant) -> Duration {
        let touched = |done: &&Done| done.began < to && done.began + done.took > from;
        let times = self.done.iter().filter(touched).map(|done| done.took);
        times.max().unwrap_or_default()
    }

    pub fn longest(&self) -> Duration {
        self.done
            .iter()
            .map(|done| done.took)
            .max()
            .unwrap_or_default()
    }
}

/// A client that does one thing after the other, through whichever master it is told.
pub struct Client {
    through: watch::Sender<Master>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<Report>,
}

impl Client {
    /// Makes users, one after the other.
    pub fn writes(through: &Master) -> Self {
        Self::start(through, |master| async move {
            let number = NEXT_NAME.fetch_add(1, Ordering::Relaxed);
            let name = format!("load-{number}");
            let command = Command::CreateUser {
                name: name.clone(),
                role: Role::User,
                password_hash: "x".to_owned(),
            };
            let request = RequestId(rand::random());
            let receipt = master.propose(ADMIN, request, command, PATIENCE).await?;
            Ok((Some(receipt.index), name))
        })
    }

    /// Reads what is current.
    pub fn reads(through: &Master) -> Self {
        Self::start(through, |master| async move {
            let frozen = master.read(PATIENCE).await.map_err(ProposeFault::Unknown)?;
            Ok((None, format!("at {}", frozen.index)))
        })
    }

    fn start<Fut>(through: &Master, act: impl Fn(Master) -> Fut + Send + 'static) -> Self
    where
        Fut: Future<Output = Result<(Option<LogIndex>, String), ProposeFault>> + Send,
    {
        let through = watch::Sender::new(through.clone());
        let (stop, told) = (Arc::new(AtomicBool::new(false)), through.subscribe());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut report = Report::default();
            while !stopped.load(Ordering::Relaxed) {
                let master = told.borrow().clone();
                let began = Instant::now();
                match act(master).await {
                    Ok((index, name)) => report.done.push(Done {
                        began,
                        took: began.elapsed(),
                        index,
                        name,
                    }),
                    Err(fault) => report.failed.push(format!("{fault:?}")),
                }
            }
            report
        });
        Self {
            through,
            stop,
            task,
        }
    }

    /// From the next operation on it goes through this master.
    pub fn go_through(&self, master: &Master) {
        self.through.send_replace(master.clone());
    }

    pub async fn stop(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("the client does not panic")
    }
}
