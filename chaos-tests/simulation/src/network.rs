//! The network between machines: connections like TCP's, on which everything arrives in order and late, or not at all
//! while a way is cut; and in seeds that want it worse, connections fall silent one way and break some time later. No
//! message overtakes another of its connection, gets lost before a later one, or comes twice: the masters rely on that,
//! as TCP and TLS let them. Machines that lost power do not answer; those that run without a master refuse.

mod transit;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use docklet_link::tls::Expect;
use docklet_link::{Identity, LinkFault};
use rand::rngs::SmallRng;
use tokio::sync::{mpsc, oneshot};

use transit::{Dial, Inner, Parcel, What};

use crate::stream::SimStream;
use crate::trace::Trace;

/// A machine's number.
pub type Place = usize;

/// How the network behaves while nothing is cut.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions {
    pub delay_ms: (u64, u64),
    /// One message in so many is very late; 0 is none.
    pub late_one_in: u32,
    pub late_ms: u64,
    /// Out of 1,000 messages so many are the first that do not arrive, nor does any after them.
    pub silent_permille: u32,
}

/// The network; clones are the same one.
#[derive(Clone)]
pub struct Network {
    inner: Arc<Mutex<Inner>>,
}

/// Where a master takes connections in.
struct Door {
    place: Place,
    identity: Identity,
    visitors: mpsc::UnboundedSender<Visitor>,
}

/// Whoever connects.
pub struct Visitor {
    pub identity: Identity,
    pub stream: SimStream,
}

/// What a dialler gets.
pub type Dialled = Result<SimStream, LinkFault>;

impl Network {
    pub fn new(trace: Trace, dice: SmallRng, conditions: Conditions) -> Self {
        let inner = Inner {
            trace,
            dice,
            conditions,
            sequence: 0,
            parcels: BTreeMap::new(),
            held: BTreeMap::new(),
            cut: BTreeSet::new(),
            connections: BTreeMap::new(),
            doors: BTreeMap::new(),
            addresses: BTreeMap::new(),
            dark: BTreeSet::new(),
            waste: Vec::new(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Simulated milliseconds since the beginning.
    pub fn now_ms(&self) -> u64 {
        self.lock().trace.now_ms()
    }

    pub fn set_conditions(&self, conditions: Conditions) {
        self.lock().conditions = conditions;
    }

    pub fn plug_in(&self, place: Place, addr: &str) {
        self.lock().addresses.insert(addr.to_owned(), place);
    }

    /// Opens a master's door; whoever comes is sent to the answer.
    pub fn open_door(
        &self,
        place: Place,
        addr: &str,
        identity: Identity,
    ) -> mpsc::UnboundedReceiver<Visitor> {
        let (visitors, arrivals) = mpsc::unbounded_channel();
        let door = Door {
            place,
            identity,
            visitors,
        };
        self.lock().doors.insert(addr.to_owned(), door);
        arrivals
    }

    pub fn close_door(&self, addr: &str) {
        self.lock().doors.remove(addr);
    }

    /// The machine loses power, at once: nothing that it says from now on is heard.
    pub fn darken(&self, place: Place) {
        let mut inner = self.lock();
        inner.dark.insert(place);
        for ends in inner.connections.values_mut() {
            for end in ends.iter_mut().filter(|end| end.place == place) {
                end.gone = true;
            }
        }
    }

    pub fn lighten(&self, place: Place) {
        self.lock().dark.remove(&place);
    }

    pub fn is_dark(&self, place: Place) -> bool {
        self.lock().dark.contains(&place)
    }

    /// Cuts the way from one to another.
    pub fn cut(&self, from: Place, to: Place) {
        self.lock().cut.insert((from, to));
    }

    /// Opens all ways; what waited goes on.
    pub fn heal(&self) {
        let mut inner = self.lock();
        inner.cut.clear();
        for parcel in std::mem::take(&mut inner.held).into_values() {
            inner.send(parcel);
        }
    }

    /// Asks for a connection.
    pub fn dial(
        &self,
        from: Place,
        addr: &str,
        identity: Identity,
        expect: Expect,
    ) -> oneshot::Receiver<Dialled> {
        let (answer, dialled) = oneshot::channel();
        let mut inner = self.lock();
        // A dark machine and an address of nobody are silent alike.
        if let Some(to) = inner.addresses.get(addr).copied() {
            let dial = Dial {
                addr: addr.to_owned(),
                identity,
                expect,
                answer,
            };
            inner.send(Parcel {
                from,
                to,
                what: What::Dial(dial),
            });
        }
        dialled
    }

    /// Brings everything that is due to where it is meant to be.
    pub fn deliver(&self) {
        let now = self.now_ms();
        while let Some(woken) = self.deliver_one(now) {
            if let Some(woken) = woken {
                woken.wake();
            }
        }
        let waste = std::mem::take(&mut self.lock().waste);
        drop(waste);
    }

    /// None if nothing is due.
    fn deliver_one(&self, now: u64) -> Option<Option<Waker>> {
        let mut inner = self.lock();
        let first = inner.parcels.first_entry()?;
        let (due, sequence) = *first.key();
        if due > now {
            return None;
        }
        let parcel = first.remove();
        Some(inner.arrive(sequence, parcel, self))
    }

    /// Writes whole messages, each with its length before it.
    pub(crate) fn write(&self, connection: u64, side: usize, bytes: &[u8]) -> bool {
        let mut inner = self.lock();
        let Some(ends) = inner.connections.get(&connection) else {
            return false;
        };
        let (from, to) = (ends[side].place, ends[1 - side].place);
        if ends[side].ended {
            return false;
        }
        for message in messages(bytes) {
            if inner.falls_silent(connection, 1 - side) {
                break;
            }
            let what = What::Data {
                connection,
                side: 1 - side,
                bytes: message.to_vec(),
            };
            inner.send(Parcel { from, to, what });
        }
        true
    }

    /// Reads what has arrived; none if the reader must wait.
    pub(crate) fn read(&self, connection: u64, side: usize, waker: &Waker) -> Option<Vec<u8>> {
        let mut inner = self.lock();
        let Some(ends) = inner.connections.get_mut(&connection) else {
            return Some(Vec::new());
        };
        let end = &mut ends[side];
        if let Some(bytes) = end.inbox.pop_front() {
            return Some(bytes);
        }
        if end.ended {
            return Some(Vec::new());
        }
        end.waker = Some(waker.clone());
        None
    }

    /// Closes one end; the other hears of it if this machine can still speak.
    pub(crate) fn close(&self, connection: u64, side: usize) {
        let mut inner = self.lock();
        let Some(ends) = inner.connections.get_mut(&connection) else {
            return;
        };
        ends[side].gone = true;
        ends[side].inbox.clear();
        let (from, to) = (ends[side].place, ends[1 - side].place);
        if ends[1 - side].gone {
            inner.connections.remove(&connection);
            return;
        }
        let what = What::Close {
            connection,
            side: 1 - side,
        };
        inner.send(Parcel { from, to, what });
    }
}

/// The messages in a chunk: the codec writes whole ones.
fn messages(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some((length, _)) = bytes.split_first_chunk::<4>() {
        let length = 4 + u32::from_be_bytes(*length) as usize;
        let (message, rest) = bytes
            .split_at_checked(length)
            .expect("the codec writes whole messages");
        found.push(message);
        bytes = rest;
    }
    assert!(bytes.is_empty(), "the codec writes whole messages");
    found
}
