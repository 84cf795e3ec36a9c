//! A client of the masters' cluster listener, for programs that have a master's credentials: tests, benchmarks,
//! tools. It asks any master, which forwards to whoever leads; where no answer comes it asks the next one too, under
//! the same request id, so that a command takes effect once.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use docklet_control::id::{LogIndex, RequestId};
use docklet_control::model::{Receipt, User};
use docklet_control::{Actor, Command, Refusal};
use docklet_link::{Credentials, Dialer, LinkFault};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::fault::{ProposeFault, RaftFault};
use crate::line::Line;
use crate::status::RaftStatus;
use crate::wire;
use crate::world::Dial;

/// A master that has not answered within this time may be frozen or cut off: the next one is asked as well.
const HEDGE_AFTER: Duration = Duration::from_millis(200);
/// What is known of the log's end is good for so long: far less than it takes to write as many entries as there are
/// receipts kept.
const FRESH_FOR: Duration = Duration::from_millis(500);
/// Finding out anew may take this long; then the id says what was known before.
const ASK_DEADLINE: Duration = Duration::from_secs(2);
/// Who has never heard of any entry asks for so long: in a cluster that has many, an id that knows of none is refused.
const FIRST_ASK_DEADLINE: Duration = Duration::from_secs(20);
/// When every master failed, they are asked again after this.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// Calls any of several masters. Share it: it may have any number of calls under way.
pub struct StoreClient {
    masters: Vec<Connections>,
    /// Index of the master that answered last.
    preferred: AtomicUsize,
    known: Mutex<Known>,
    /// Held by the one that finds out for all what the newest entry is.
    asking: tokio::sync::Mutex<()>,
}

/// The newest entry of the log that an answer named, and when that was.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    index: LogIndex,
    learned: Option<Instant>,
}

impl Known {
    /// The entry, if it was named a short while ago.
    fn fresh(self) -> Option<LogIndex> {
        let learned = self.learned?;
        (learned.elapsed() <= FRESH_FOR).then_some(self.index)
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The connections to one master, used in turn.
struct Connections {
    lines: Vec<Line>,
    next: AtomicUsize,
}

impl Connections {
    fn new(dial: &Arc<dyn Dial>, addr: &str, count: usize) -> Self {
        let line = |_| Line::any(dial.clone(), addr.to_owned());
        Self {
            lines: (0..count.max(1)).map(line).collect(),
            next: AtomicUsize::new(0),
        }
    }

    fn line(&self) -> &Line {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        &self.lines[turn % self.lines.len()]
    }
}

impl StoreClient {
    /// A client of the masters with these cluster listeners, with so many connections to each that it uses. They
    /// are made when first needed.
    ///
    /// # Panics
    /// There is no address.
    #[must_use]
    pub fn new(credentials: Credentials, addrs: &[String], connections: usize) -> Self {
        Self::over(Arc::new(Dialer::new(credentials)), addrs, connections)
    }

    /// The same over another way to reach masters.
    ///
    /// # Panics
    /// There is no address.
    #[must_use]
    pub fn over(dial: Arc<dyn Dial>, addrs: &[String], connections: usize) -> Self {
        assert!(!addrs.is_empty(), "a client needs a master's address");
        let masters = addrs
            .iter()
            .map(|addr| Connections::new(&dial, addr, connections));
        Self {
            masters: masters.collect(),
            preferred: AtomicUsize::new(0),
            known: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// An id for a new request. Proposing anew under the same id has no second effect. It says which entry was the
    /// newest, so a client that has heard of none for a while asks first.
    ///
    /// # Errors
    /// No master has ever named an entry, and none answered in time. Nothing was asked for.
    pub async fn new_request(&self) -> Result<RequestId, RaftFault> {
        let index = self.recent_index().await?;
        Ok(RequestId::issued(index, rand::random()))
    }

    /// The newest entry as far as it is known now, or was before if nobody answers.
    async fn recent_index(&self) -> Result<LogIndex, RaftFault> {
        let before = *lock(&self.known);
        if let Some(index) = before.fresh() {
            return Ok(index);
        }
        let deadline = match before.learned {
            Some(_) => ASK_DEADLINE,
            None => FIRST_ASK_DEADLINE,
        };
        match tokio::time::timeout(deadline, self.ask_index(deadline)).await {
            Ok(Ok(index)) => Ok(index),
            _ if before.learned.is_some() => Ok(before.index),
            Ok(Err(fault)) => Err(fault),
            Err(_) => Err(RaftFault::NoLeader(millis(deadline))),
        }
    }

    /// Asks for the newest entry. However many want to know, one asks: a thousand callers that come back after a while
    /// must not begin with a thousand questions.
    async fn ask_index(&self, deadline: Duration) -> Result<LogIndex, RaftFault> {
        let _turn = self.asking.lock().await;
        if let Some(index) = lock(&self.known).fresh() {
            return Ok(index);
        }
        let index = self.ask_around(deadline, applied).await?;
        Ok(self.learn(index))
    }

    /// Notes that there is this entry; gives the newest known.
    fn learn(&self, index: LogIndex) -> LogIndex {
        let mut known = lock(&self.known);
        // A receipt that is asked for again says nothing of now.
        if index >= known.index {
            *known = Known {
                index,
                learned: Some(Instant::now()),
            };
        }
        known.index
    }

    /// Puts a command into the log and waits until it is applied.
    ///
    /// # Errors
    /// A refusal; or no answer in time, and then whether it took effect is not known.
    pub async fn propose(
        &self,
        actor: Actor,
        request: RequestId,
        command: Command,
        deadline: Duration,
    ) -> Result<Receipt, ProposeFault> {
        let ask = wire::Propose {
            actor,
            request,
            command,
        };
        let attempt = |line, left: Duration| propose_once(line, &ask, left);
        let answered = self.ask_around(deadline, attempt).await;
        let receipt = answered.map_err(ProposeFault::Unknown)??;
        self.learn(receipt.index);
        Ok(receipt)
    }

    /// The account with this name and the entry after which it was so, as new as every write acknowledged before.
    ///
    /// # Errors
    /// No quorum answered in time.
    pub async fn user_named(
        &self,
        name: &str,
        deadline: Duration,
    ) -> Result<(Option<User>, LogIndex), RaftFault> {
        let attempt = |line, left: Duration| read_user(line, name, true, left);
        self.ask_around(deadline, attempt).await
    }

    /// The same as one master has it, which may lag behind: `master` is its place among the addresses.
    ///
    /// # Errors
    /// That master did not answer in time.
    pub async fn user_named_at(
        &self,
        master: usize,
        name: &str,
        deadline: Duration,
    ) -> Result<(Option<User>, LogIndex), RaftFault> {
        let line = self.masters[master].line();
        Ok(read_user(line, name, false, deadline).await?)
    }

    /// How one master and its group are doing.
    ///
    /// # Errors
    /// That master did not answer in time.
    pub async fn status_at(
        &self,
        master: usize,
        deadline: Duration,
    ) -> Result<RaftStatus, RaftFault> {
        Ok(status(self.masters[master].line(), deadline).await?)
    }

    /// Asks this master first from now on.
    pub fn prefer(&self, master: usize) {
        self.preferred.store(master, Ordering::Relaxed);
    }

    /// Asks the preferred master; where it fails or is slow, the others too. The first answer counts.
    async fn ask_around<'s, T, Fut>(
        &'s self,
        deadline: Duration,
        attempt: impl Fn(&'s Line, Duration) -> Fut,
    ) -> Result<T, RaftFault>
    where
        Fut: Future<Output = Result<T, LinkFault>>,
    {
        let give_up = Instant::now() + deadline;
        let first = self.preferred.load(Ordering::Relaxed);
        let mut under_way = FuturesUnordered::new();
        for turn in 0.. {
            let left = give_up.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            if under_way.len() < self.masters.len() {
                let master = (first + turn) % self.masters.len();
                let asked = attempt(self.masters[master].line(), left);
                under_way.push(async move { (master, asked.await) });
            }
            let patience = left.min(HEDGE_AFTER);
            match tokio::time::timeout(patience, under_way.next()).await {
                Ok(Some((master, Ok(answer)))) => {
                    self.prefer(master);
                    return Ok(answer);
                }
                Ok(Some((_, Err(fault)))) => {
                    tracing::debug!(%fault, "a master did not answer");
                    if turn + 1 >= self.masters.len() {
                        tokio::time::sleep(RETRY_AFTER.min(left)).await;
                    }
                }
                Ok(None) | Err(_) => {}
            }
        }
        let ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        Err(RaftFault::NoLeader(ms))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

async fn propose_once(
    line: &Line,
    ask: &wire::Propose,
    left: Duration,
) -> Result<Result<Receipt, Refusal>, LinkFault> {
    let through = wire::ProposeThrough {
        ask: ask.clone(),
        deadline_ms: millis(left),
    };
    match line.call(wire::PROPOSE_THROUGH, &through, left).await? {
        wire::Proposed::Accepted(receipt) => Ok(Ok(receipt)),
        wire::Proposed::Refused(refusal) => Ok(Err(refusal)),
        wire::Proposed::Unknown(cause) => Err(LinkFault::Remote(cause)),
    }
}

async fn applied(line: &Line, left: Duration) -> Result<LogIndex, LinkFault> {
    line.call(wire::APPLIED, &(), left).await
}

async fn status(line: &Line, left: Duration) -> Result<RaftStatus, LinkFault> {
    line.call(wire::STATUS, &(), left).await
}

async fn read_user(
    line: &Line,
    name: &str,
    linearizable: bool,
    left: Duration,
) -> Result<(Option<User>, LogIndex), LinkFault> {
    let ask = wire::ReadUser {
        name: name.to_owned(),
        linearizable,
        deadline_ms: millis(left),
    };
    let read: wire::UserRead = line.call(wire::READ_USER, &ask, left).await?;
    Ok((read.user, read.index))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use docklet_link::Channel;
    use docklet_link::rpc::{Caller, serve};
    use docklet_link::tls::Expect;

    use super::*;
    use crate::world::Dialling;

    /// A master that has this many entries, and takes its time.
    struct Busy {
        entries: u64,
        asked: Arc<AtomicU64>,
    }

    impl Dial for Busy {
        fn dial<'d>(&'d self, _: &'d str, _: Expect) -> Dialling<'d> {
            let (near, far) = tokio::io::duplex(4_096);
            let (entries, asked) = (self.entries, self.asked.clone());
            tokio::spawn(serve(Channel::new(far), move |method, _| {
                asked.fetch_add(1, Ordering::Relaxed);
                async move {
                    assert_eq!(method, wire::APPLIED);
                    // All others ask before this one has its answer.
                    for _ in 0..1_000 {
                        tokio::task::yield_now().await;
                    }
                    wire::encode(&LogIndex(entries))
                }
            }));
            Box::pin(async move { Ok(Caller::new(Channel::new(near))) })
        }
    }

    struct Nobody;

    impl Dial for Nobody {
        fn dial<'d>(&'d self, _: &'d str, _: Expect) -> Dialling<'d> {
            Box::pin(async { Err(LinkFault::Closed) })
        }
    }

    fn client(dial: impl Dial) -> StoreClient {
        StoreClient::over(Arc::new(dial), &["master:7000".to_owned()], 1)
    }

    #[tokio::test]
    async fn of_many_callers_that_know_of_no_entry_one_asks() {
        let asked = Arc::new(AtomicU64::new(0));
        let client = client(Busy {
            entries: 77,
            asked: asked.clone(),
        });
        let callers = (0..256).map(|_| client.new_request());
        for request in futures_util::future::join_all(callers).await {
            assert_eq!(request.expect("answered").known(), LogIndex(77));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn where_nobody_answers_nothing_is_made_up() {
        let asked = client(Nobody).ask_index(Duration::from_millis(50)).await;
        assert!(matches!(asked, Err(RaftFault::NoLeader(50))), "{asked:?}");
    }
}
