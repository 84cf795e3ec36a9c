//! What is under way between machines: parcels, each due at a time, and what becomes of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::task::Waker;

use docklet_link::tls::Expect;
use docklet_link::{Identity, LinkFault};
use rand::Rng;
use rand::rngs::SmallRng;
use tokio::sync::oneshot;

use super::{Conditions, Dialled, Door, Network, Place, Visitor};
use crate::stream::SimStream;
use crate::trace::Trace;

/// A connection on which a message got lost breaks after so long.
const BREAK_MS: std::ops::Range<u64> = 200..3_000;

/// One end of a connection.
pub(super) struct End {
    pub(super) place: Place,
    pub(super) inbox: VecDeque<Vec<u8>>,
    pub(super) waker: Option<Waker>,
    /// The other end is known to be closed.
    pub(super) ended: bool,
    /// This end was dropped.
    pub(super) gone: bool,
    /// Nothing more arrives here, though the connection has not broken yet.
    pub(super) silent: bool,
    /// When the last message to this end arrives.
    pub(super) last_due: u64,
}

impl End {
    pub(super) fn at(place: Place) -> Self {
        Self {
            place,
            inbox: VecDeque::new(),
            waker: None,
            ended: false,
            gone: false,
            silent: false,
            last_due: 0,
        }
    }
}

pub(super) struct Parcel {
    pub(super) from: Place,
    pub(super) to: Place,
    pub(super) what: What,
}

pub(super) enum What {
    Dial(Dial),
    Dialled(Dialled, oneshot::Sender<Dialled>),
    Data {
        connection: u64,
        side: usize,
        bytes: Vec<u8>,
    },
    Close {
        connection: u64,
        side: usize,
    },
}

pub(super) struct Dial {
    pub(super) addr: String,
    pub(super) identity: Identity,
    pub(super) expect: Expect,
    pub(super) answer: oneshot::Sender<Dialled>,
}

pub(super) struct Inner {
    pub(super) trace: Trace,
    pub(super) dice: SmallRng,
    pub(super) conditions: Conditions,
    pub(super) sequence: u64,
    pub(super) parcels: BTreeMap<(u64, u64), Parcel>,
    /// What waits for a way that is cut, in the order in which it was sent.
    pub(super) held: BTreeMap<u64, Parcel>,
    pub(super) cut: BTreeSet<(Place, Place)>,
    pub(super) connections: BTreeMap<u64, [End; 2]>,
    pub(super) doors: BTreeMap<String, Door>,
    /// Which machine has which address.
    pub(super) addresses: BTreeMap<String, Place>,
    /// Machines without power.
    pub(super) dark: BTreeSet<Place>,
    /// What came to nothing. Streams lock the network when they are dropped, so that waits until it is not locked.
    pub(super) waste: Vec<Parcel>,
}

impl Inner {
    /// Whether a message to this end does not arrive, because the connection is silent or falls silent now.
    pub(super) fn falls_silent(&mut self, connection: u64, side: usize) -> bool {
        let unlucky = self.dice.random_range(0..1_000) < self.conditions.silent_permille;
        let Some(ends) = self.connections.get_mut(&connection) else {
            return true;
        };
        if ends[side].silent {
            return true;
        }
        if unlucky {
            ends[side].silent = true;
            self.trace.count("network: connection fell silent");
            self.break_later(connection);
        }
        unlucky
    }

    fn delay(&mut self) -> u64 {
        let (least, most) = self.conditions.delay_ms;
        let usual = self.dice.random_range(least..=most);
        let late = self.conditions.late_one_in;
        if late > 0 && self.dice.random_range(0..late) == 0 {
            self.trace.count("network: message very late");
            usual + self.dice.random_range(0..=self.conditions.late_ms)
        } else {
            usual
        }
    }

    pub(super) fn send(&mut self, parcel: Parcel) {
        if self.dark.contains(&parcel.from) {
            self.waste.push(parcel);
            return;
        }
        if self.cut.contains(&(parcel.from, parcel.to)) {
            self.sequence += 1;
            self.hold(self.sequence, parcel);
            return;
        }
        let due = self.trace.now_ms() + self.delay().max(1);
        self.send_by(due, parcel);
    }

    /// The connection breaks, in a while, at both ends: none is silent for ever.
    fn break_later(&mut self, connection: u64) {
        let Some(ends) = self.connections.get(&connection) else {
            return;
        };
        let places = [ends[0].place, ends[1].place];
        let due = self.trace.now_ms() + self.dice.random_range(BREAK_MS);
        for side in [0, 1] {
            let (from, to) = (places[1 - side], places[side]);
            let what = What::Close { connection, side };
            self.send_by(due, Parcel { from, to, what });
        }
    }

    fn send_by(&mut self, mut due: u64, parcel: Parcel) {
        if let What::Data {
            connection, side, ..
        }
        | What::Close { connection, side } = &parcel.what
            && let Some(ends) = self.connections.get_mut(connection)
        {
            let end = &mut ends[*side];
            due = due.max(end.last_due);
            end.last_due = due;
        }
        self.sequence += 1;
        self.parcels.insert((due, self.sequence), parcel);
    }

    fn hold(&mut self, sequence: u64, parcel: Parcel) {
        self.trace.count("network: held up by a cut way");
        self.held.insert(sequence, parcel);
    }

    /// Something has come through. Answers who is to be woken.
    pub(super) fn arrive(
        &mut self,
        sequence: u64,
        parcel: Parcel,
        network: &Network,
    ) -> Option<Waker> {
        let (from, to) = (parcel.from, parcel.to);
        if self.cut.contains(&(from, to)) {
            self.hold(sequence, parcel);
            return None;
        }
        if self.dark.contains(&to) {
            self.waste.push(parcel);
            return None;
        }
        match parcel.what {
            What::Dial(dial) => {
                self.trace.note(("dial", from, to));
                self.admit(from, to, dial, network);
                None
            }
            What::Dialled(dialled, answer) => {
                self.trace.note(("dialled", from, to, dialled.is_ok()));
                // Whoever dialled may have given up; the stream closes itself then, outside of this lock.
                let lost = answer.send(dialled);
                self.close_later(lost.err().and_then(Result::ok));
                None
            }
            What::Data {
                connection,
                side,
                bytes,
            } => {
                self.trace.note((from, to, &bytes));
                self.trace.count("network: message arrived");
                self.take_in(connection, side, bytes)
            }
            What::Close { connection, side } => {
                self.trace.note(("close", from, to));
                let end = &mut self.connections.get_mut(&connection)?[side];
                end.ended = true;
                end.waker.take()
            }
        }
    }

    fn take_in(&mut self, connection: u64, side: usize, bytes: Vec<u8>) -> Option<Waker> {
        let ends = self.connections.get_mut(&connection)?;
        if !ends[side].gone {
            ends[side].inbox.push_back(bytes);
            return ends[side].waker.take();
        }
        // Nobody is there any more, and the machine says so.
        let (from, to) = (ends[side].place, ends[1 - side].place);
        let what = What::Close {
            connection,
            side: 1 - side,
        };
        self.send(Parcel { from, to, what });
        None
    }

    fn admit(&mut self, from: Place, to: Place, dial: Dial, network: &Network) {
        let dialled = self.dialled(from, to, &dial, network);
        let what = What::Dialled(dialled, dial.answer);
        self.send(Parcel {
            from: to,
            to: from,
            what,
        });
    }

    fn dialled(&mut self, from: Place, to: Place, dial: &Dial, network: &Network) -> Dialled {
        let Some(door) = self.doors.get(&dial.addr).filter(|door| door.place == to) else {
            return Err(LinkFault::Connect {
                addr: dial.addr.clone(),
                source: std::io::ErrorKind::ConnectionRefused.into(),
            });
        };
        let fits = match dial.expect {
            Expect::Exactly(expected) => expected == door.identity,
            Expect::Role(role) => role == door.identity.role,
        };
        if !fits {
            return Err(LinkFault::Handshake {
                peer: dial.addr.clone(),
                source: std::io::Error::other("another master is at this address"),
            });
        }
        self.sequence += 1;
        let connection = self.sequence;
        let stream = |side| SimStream::new(network.clone(), connection, side);
        let visitor = Visitor {
            identity: dial.identity,
            stream: stream(1),
        };
        let ends = [End::at(from), End::at(to)];
        self.connections.insert(connection, ends);
        let sent = self.doors[&dial.addr].visitors.send(visitor);
        self.close_later(sent.err().map(|unsent| unsent.0.stream));
        Ok(stream(0))
    }

    /// A stream locks the network when it is dropped, which is locked now.
    fn close_later(&mut self, stream: Option<SimStream>) {
        if let Some(stream) = stream {
            let (connection, side) = stream.into_parts();
            if let Some(ends) = self.connections.get_mut(&connection) {
                ends[side].gone = true;
                let (from, to) = (ends[side].place, ends[1 - side].place);
                let what = What::Close {
                    connection,
                    side: 1 - side,
                };
                self.send(Parcel { from, to, what });
            }
        }
    }
}
