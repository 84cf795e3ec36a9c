//! Spares requests that only tell how far the log is committed: while entries come one after the other, the next of them
//! tells it as well. A write costs its followers one request then, and not two.

use std::time::Duration;

use futures_util::stream::{self, Fuse};
use futures_util::{Stream, StreamExt};
use openraft::raft::AppendEntriesRequest;
use tokio::time::{Instant, timeout_at};

use crate::types::Types;

/// What is waited for, and when.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// Whoever sent entries twice within this will soon send more.
    busy: Duration,
    /// So long a commit waits for entries to go with.
    wait: Duration,
}

impl Patience {
    /// A timer's least is a millisecond; entries that are rarer than this gain nothing.
    pub(super) const USUAL: Self = Self {
        busy: Duration::from_millis(4),
        wait: Duration::from_millis(1),
    };
}

type Request = AppendEntriesRequest<Types>;

/// The requests on their way.
struct Sparing<S> {
    /// It may be asked once more after its end, when a commit was still to be told.
    input: Fuse<S>,
    patience: Patience,
    /// When entries were sent last, and how long after those before.
    sent: Option<(Instant, Duration)>,
}

/// Leaves requests without entries out that another one follows soon, which says all that they say. An answer to it
/// answers them too, as openraft counts everything before the last acknowledged entry as acknowledged.
pub(super) fn sparing<S>(input: S, patience: Patience) -> impl Stream<Item = Request>
where
    S: Stream<Item = Request> + Unpin,
{
    let sparing = Sparing {
        input: input.fuse(),
        patience,
        sent: None,
    };
    stream::unfold(sparing, |mut sparing| async move {
        let request = sparing.next().await?;
        Some((request, sparing))
    })
}

impl<S: Stream<Item = Request> + Unpin> Sparing<S> {
    async fn next(&mut self) -> Option<Request> {
        let mut request = self.input.next().await?;
        if request.entries.is_empty() && self.is_busy() {
            let until = Instant::now() + self.patience.wait;
            while request.entries.is_empty()
                && let Ok(Some(next)) = timeout_at(until, self.input.next()).await
            {
                request = next;
            }
        }
        if !request.entries.is_empty() {
            self.note();
        }
        Some(request)
    }

    fn is_busy(&self) -> bool {
        self.sent
            .is_some_and(|(at, gap)| gap < self.patience.busy && at.elapsed() < self.patience.busy)
    }

    fn note(&mut self) {
        let now = Instant::now();
        let gap = self.sent.map_or(Duration::MAX, |(at, _)| now - at);
        self.sent = Some((now, gap));
    }
}

#[cfg(test)]
mod tests {
    use openraft::entry::RaftEntry;
    use tokio::sync::mpsc;

    use super::*;
    use crate::types::{LogEntry, LogId, Vote};

    const HOUR: Duration = Duration::from_secs(3_600);
    const PATIENT: Patience = Patience {
        busy: HOUR,
        wait: HOUR,
    };

    fn log_id(index: u64) -> LogId {
        LogId::new(Vote::new_committed(1, 1).leader_id, index)
    }

    fn request(entries: u64, committed: u64) -> Request {
        Request {
            vote: Vote::new_committed(1, 1),
            prev_log_id: Some(log_id(committed)),
            entries: (1..=entries)
                .map(|more| LogEntry::new_blank(log_id(committed + more)))
                .collect(),
            leader_commit: Some(log_id(committed)),
        }
    }

    /// How many entries each request has that comes out.
    async fn spared(requests: Vec<Request>, patience: Patience) -> Vec<usize> {
        // Like openraft's, this one must not be asked again after its end.
        let mut requests = requests.into_iter();
        let input = Box::pin(stream::unfold((), move |()| {
            std::future::ready(requests.next().map(|request| (request, ())))
        }));
        sparing(input, patience)
            .map(|request| request.entries.len())
            .collect()
            .await
    }

    #[tokio::test]
    async fn a_commit_goes_with_the_entries_that_follow() {
        let requests = vec![
            request(1, 0),
            request(1, 1),
            request(0, 2),
            request(0, 2),
            request(3, 2),
        ];
        assert_eq!(spared(requests, PATIENT).await, [1, 1, 3]);
    }

    #[tokio::test]
    async fn a_commit_that_nothing_follows_in_time_is_told() {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let input = stream::poll_fn(move |context| receiver.poll_recv(context));
        let hasty = Patience {
            wait: Duration::ZERO,
            ..PATIENT
        };
        let mut spared = Box::pin(sparing(input, hasty));
        for (entries, committed) in [(1, 0), (1, 1), (0, 2), (1, 2)] {
            sender.send(request(entries, committed)).expect("read");
            let told = spared.next().await.expect("there is one");
            assert_eq!(told.entries.len() as u64, entries);
        }
    }

    #[tokio::test]
    async fn the_last_commit_is_told_when_the_session_ends() {
        let requests = vec![request(1, 0), request(1, 1), request(0, 2)];
        assert_eq!(spared(requests, PATIENT).await, [1, 1, 0]);
    }

    #[tokio::test]
    async fn a_commit_waits_for_nothing_while_entries_are_rare() {
        let rare = Patience {
            busy: Duration::ZERO,
            ..PATIENT
        };
        let requests = vec![request(1, 0), request(1, 1), request(0, 2), request(1, 2)];
        assert_eq!(spared(requests, rare).await, [1, 1, 0, 1]);
    }
}
