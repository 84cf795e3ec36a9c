//! Who looks at a terminal, and how far each has read. A shell that prints faster than its viewers read waits for them,
//! and for one whose connection was lost, so that no byte is lost between; but for nobody longer than [`HOLD`].

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

/// A shell waits for a viewer who does not read for at most this long.
pub(super) const HOLD: Duration = Duration::from_secs(15);

/// What all viewers of a terminal are told about each other.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Company {
    pub(super) viewers: usize,
    /// Somebody keeps what is printed.
    pub(super) recording: bool,
    /// How large the terminal is. Guests show it so.
    pub(super) cols: u16,
    pub(super) rows: u16,
}

/// All viewers of one terminal.
pub(super) struct Audience {
    viewers: Mutex<Viewers>,
    /// Told whenever somebody has read on, or left.
    moved: Condvar,
    company: watch::Sender<Company>,
}

struct Viewers {
    all: HashMap<u64, Viewer>,
    next: u64,
    /// When the last of them left, or the session began.
    alone_since: Instant,
}

struct Viewer {
    reading: Option<Reading>,
    /// Its connection is there.
    here: bool,
    records: bool,
    /// Told when it has come back over another connection.
    replaced: Arc<Notify>,
}

/// A viewer who tells how far it has read.
struct Reading {
    /// By which it comes back.
    name: String,
    position: u64,
    /// When it has last read on, or was lost.
    since: Instant,
    /// It was waited for long enough, until it reads on.
    given_up: bool,
}

impl Audience {
    /// Of a terminal of that size.
    pub(super) fn new(cols: u16, rows: u16) -> Self {
        let company = Company {
            cols,
            rows,
            ..Company::default()
        };
        Self {
            viewers: Mutex::new(Viewers {
                all: HashMap::new(),
                next: 0,
                alone_since: Instant::now(),
            }),
            moved: Condvar::new(),
            company: watch::Sender::new(company),
        }
    }

    /// One more viewer: if it has a name, it tells how far it has read, from `position` on. A viewer who comes back takes the
    /// place of its connection before, also if that seems to be there: its master may stand still.
    pub(super) fn begin(&self, name: Option<&str>, position: u64) -> Viewing<'_> {
        let mut viewers = self.lock();
        viewers.all.retain(|_, viewer| {
            let known = viewer.reading.as_ref().map(|reading| &*reading.name);
            let back = known.is_some() && known == name;
            if back {
                viewer.replaced.notify_one();
            }
            !back
        });
        let reading = name.map(|name| Reading {
            name: name.to_owned(),
            position,
            since: Instant::now(),
            given_up: false,
        });
        let number = viewers.next;
        viewers.next += 1;
        let viewer = Viewer {
            reading,
            here: true,
            records: false,
            replaced: Arc::default(),
        };
        let replaced = viewer.replaced.clone();
        viewers.all.insert(number, viewer);
        self.tell(&viewers);
        Viewing {
            audience: self,
            number,
            left: false,
            replaced,
        }
    }

    pub(super) fn company(&self) -> watch::Receiver<Company> {
        self.company.subscribe()
    }

    /// The terminal has another size.
    pub(super) fn resized(&self, cols: u16, rows: u16) {
        self.company.send_if_modified(|told| {
            let news = (told.cols, told.rows) != (cols, rows);
            (told.cols, told.rows) = (cols, rows);
            news
        });
    }

    /// For how long nobody has looked; none while somebody does.
    pub(super) fn alone(&self) -> Option<Duration> {
        let viewers = self.lock();
        let looked_at = viewers.all.values().any(|viewer| viewer.here);
        (!looked_at).then(|| viewers.alone_since.elapsed())
    }

    /// Waits until nobody for whom the shell waits is behind `position`.
    pub(super) fn wait_until_read(&self, position: u64) {
        let began = Instant::now();
        let mut viewers = self.lock();
        loop {
            viewers.give_up_slow_ones(position, began);
            let Some(longest) = viewers.waits_for(position, began) else {
                return;
            };
            let woken = self.moved.wait_timeout(viewers, longest);
            viewers = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Viewers> {
        self.viewers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, viewers: &Viewers) {
        let here = || viewers.all.values().filter(|viewer| viewer.here);
        let (count, recording) = (here().count(), here().any(|viewer| viewer.records));
        self.company.send_if_modified(|told| {
            let news = (told.viewers, told.recording) != (count, recording);
            (told.viewers, told.recording) = (count, recording);
            news
        });
        self.moved.notify_all();
    }
}

impl Viewers {
    fn give_up_slow_ones(&mut self, position: u64, began: Instant) {
        for viewer in self.all.values_mut() {
            if let Some(reading) = &mut viewer.reading
                && reading.position < position
                && reading.patience(viewer.here, began).is_zero()
            {
                reading.given_up = true;
            }
        }
        self.all.retain(|_, viewer| {
            let lost = |reading: &Reading| reading.given_up || reading.since.elapsed() >= HOLD;
            viewer.here || !viewer.reading.as_ref().is_none_or(lost)
        });
    }

    /// How long to wait for those who are behind, if there are any.
    fn waits_for(&self, position: u64, began: Instant) -> Option<Duration> {
        let behind = self.all.values().filter_map(|viewer| {
            let reading = viewer.reading.as_ref()?;
            let waited_for = !reading.given_up && reading.position < position;
            waited_for.then(|| reading.patience(viewer.here, began))
        });
        behind.max()
    }
}

impl Reading {
    /// How much longer it is waited for. Who is here may have had nothing to read for long before there was something.
    fn patience(&self, here: bool, began: Instant) -> Duration {
        let since = if here {
            self.since.max(began)
        } else {
            self.since
        };
        HOLD.saturating_sub(since.elapsed())
    }
}

/// One viewer, until it is dropped.
pub(super) struct Viewing<'a> {
    audience: &'a Audience,
    number: u64,
    left: bool,
    replaced: Arc<Notify>,
}

impl Viewing<'_> {
    /// It has read up to there.
    pub(super) fn read(&self, position: u64) {
        let mut viewers = self.audience.lock();
        let viewer = viewers.all.get_mut(&self.number);
        if let Some(reading) = viewer.and_then(|viewer| viewer.reading.as_mut()) {
            reading.position = reading.position.max(position);
            reading.since = Instant::now();
            reading.given_up = false;
        }
        drop(viewers);
        self.audience.moved.notify_all();
    }

    pub(super) fn record(&self, records: bool) {
        let mut viewers = self.audience.lock();
        if let Some(viewer) = viewers.all.get_mut(&self.number) {
            viewer.records = records;
        }
        self.audience.tell(&viewers);
    }

    /// Tells when it has come back over another connection.
    pub(super) fn replaced(&self) -> Arc<Notify> {
        self.replaced.clone()
    }

    /// It goes by its own will: nobody waits for it.
    pub(super) fn leave(mut self) {
        self.left = true;
    }
}

impl Drop for Viewing<'_> {
    fn drop(&mut self) {
        let mut viewers = self.audience.lock();
        if let Some(viewer) = viewers.all.get_mut(&self.number) {
            viewer.here = false;
            match &mut viewer.reading {
                Some(reading) if !self.left => reading.since = Instant::now(),
                _ => drop(viewers.all.remove(&self.number)),
            }
        }
        viewers.alone_since = Instant::now();
        self.audience.tell(&viewers);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn audience() -> Audience {
        Audience::new(80, 24)
    }

    /// Whether waiting for `position` ends when `act` was done, and not before.
    fn waits_until(audience: &Audience, position: u64, act: impl FnOnce()) -> bool {
        let (ended, end) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                audience.wait_until_read(position);
                ended.send(()).unwrap_or_default();
            });
            let early = end.recv_timeout(Duration::from_millis(50)).is_ok();
            act();
            !early && end.recv_timeout(HOLD / 2).is_ok()
        })
    }

    #[test]
    fn a_shell_waits_for_who_is_behind_and_goes_on_when_that_one_has_read() {
        let audience = audience();
        let viewing = audience.begin(Some("a"), 0);
        assert!(waits_until(&audience, 10, || viewing.read(10)));
    }

    #[test]
    fn a_shell_waits_for_who_was_lost_until_that_one_is_back_and_has_read() {
        let audience = audience();
        drop(audience.begin(Some("a"), 3));
        assert!(audience.alone().is_some());
        assert!(waits_until(&audience, 10, || {
            audience.begin(Some("a"), 3).read(10);
        }));
    }

    #[tokio::test]
    async fn who_comes_back_takes_the_place_of_a_connection_that_stands_still() {
        let audience = audience();
        let (before, other) = (audience.begin(Some("a"), 0), audience.begin(Some("b"), 10));
        let replaced = before.replaced();
        let now = audience.begin(Some("a"), 3);
        replaced.notified().await;
        assert_eq!(audience.company().borrow().viewers, 2);
        assert!(waits_until(&audience, 10, || {
            before.read(10);
            now.read(10);
        }));
        drop((before, other));
        assert_eq!(audience.company().borrow().viewers, 1);
        assert!(audience.alone().is_none());
    }

    #[test]
    fn a_shell_waits_for_nobody_who_left_or_who_tells_nothing() {
        let audience = audience();
        audience.begin(Some("a"), 0).leave();
        drop(audience.begin(None, 0));
        let _quiet = audience.begin(None, 0);
        audience.wait_until_read(u64::MAX);
    }

    #[test]
    fn all_are_told_who_looks_and_whether_somebody_records() {
        let audience = audience();
        let told = audience.company();
        let one = audience.begin(Some("a"), 0);
        let two = audience.begin(None, 0);
        two.record(true);
        assert_eq!((told.borrow().viewers, told.borrow().recording), (2, true));
        two.leave();
        assert_eq!((told.borrow().viewers, told.borrow().recording), (1, false));
        audience.resized(132, 43);
        drop(one);
        let told = *told.borrow();
        assert_eq!((told.viewers, told.cols, told.rows), (0, 132, 43));
    }
}
