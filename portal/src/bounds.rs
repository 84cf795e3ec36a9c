//! How much one person, and whoever comes from one address, holds open at this master at once. What is answered at once is not
//! counted; what lasts is: pages that follow, terminals, files on their way, connections to vnodes, and connections of clients.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::WebSocketUpgrade;
use axum::http::StatusCode;
use docklet_control::id::UserId;
use docklet_link::tally::Tally;

use crate::attend::{Attention, Kept};
use crate::brake::network_of;
use crate::places::{Place, Places};
use crate::problem::Problem;

/// How much is too much, at each master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub streams_per_person: u32,
    pub terminals_per_person: u32,
    pub transfers_per_person: u32,
    pub tunnels_per_person: u32,
    /// From one address, or one network of IPv6 addresses, comes as much as from so many persons.
    pub persons_per_address: u32,
    /// Connections of clients, also of those that have not said yet what they want.
    pub connections_per_address: u32,
    pub connections_max: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            streams_per_person: 200,
            terminals_per_person: 200,
            transfers_per_person: 64,
            tunnels_per_person: 500,
            persons_per_address: 20,
            connections_per_address: 1_024,
            connections_max: 8_192,
        }
    }
}

/// What lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lasting {
    /// Live pages and streams of events.
    Stream,
    /// Terminals, and programs that are run.
    Terminal,
    /// Files and images on their way.
    Transfer,
    /// Connections to ports and services of vnodes.
    Tunnel,
}

impl Lasting {
    /// What people call it, and the key by which an admin allows more of it.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Stream => ("live pages and streams of events", "streams_per_person"),
            Self::Terminal => ("terminals and running programs", "terminals_per_person"),
            Self::Transfer => ("files and images on their way", "transfers_per_person"),
            Self::Tunnel => ("connections to vnodes", "tunnels_per_person"),
        }
    }
}

/// Longest message of a socket: what has come of one is kept until it is whole.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// A socket of short messages.
pub(crate) fn short(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
}

/// What is held at this master now.
#[derive(Clone)]
pub(crate) struct Holdings {
    bounds: Bounds,
    counts: Arc<Mutex<Counts>>,
    connections: Places,
}

#[derive(Default)]
struct Counts {
    persons: Tally<(Lasting, UserId)>,
    addresses: Tally<(Lasting, IpAddr)>,
}

impl Holdings {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let connections = Places::new(bounds.connections_max, bounds.connections_per_address);
        Self {
            bounds,
            counts: Arc::default(),
            connections,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn most(&self, lasting: Lasting) -> u32 {
        match lasting {
            Lasting::Stream => self.bounds.streams_per_person,
            Lasting::Terminal => self.bounds.terminals_per_person,
            Lasting::Transfer => self.bounds.transfers_per_person,
            Lasting::Tunnel => self.bounds.tunnels_per_person,
        }
    }

    /// Counts one more, until the lease is dropped; its connection is kept for as long.
    ///
    /// # Errors
    /// The person has as many as one may have, or those who come from there have.
    pub(crate) fn hold(
        &self,
        lasting: Lasting,
        user: UserId,
        from: &From,
    ) -> Result<Lease, Problem> {
        let address = network_of(from.address);
        let most = self.most(lasting);
        let most_there = most.saturating_mul(self.bounds.persons_per_address);
        let mut counts = self.lock();
        if !counts.persons.has_room(&(lasting, user), most) {
            return Err(too_many(lasting, most, "one person"));
        }
        if !counts.addresses.has_room(&(lasting, address), most_there) {
            return Err(too_many(lasting, most_there, "one address"));
        }
        counts.persons.add((lasting, user));
        counts.addresses.add((lasting, address));
        drop(counts);
        Ok(Lease {
            holdings: self.clone(),
            lasting,
            user,
            address,
            _kept: from.attention.as_ref().map(Attention::keep),
        })
    }

    /// Counts a connection of a client, until the place is dropped; none if there is no room for it.
    pub(crate) fn connect(&self, client: IpAddr) -> Option<Place> {
        self.connections.take(client)
    }

    /// Connections of clients that are open, and those that were closed at once since this master began.
    pub(crate) fn connections(&self) -> (u32, u64) {
        self.connections.counts()
    }
}

/// Where somebody comes from.
#[derive(Clone)]
pub(crate) struct From {
    pub(crate) address: IpAddr,
    /// Of the connection over which they ask.
    pub(crate) attention: Option<Attention>,
}

/// One of what lasts.
pub(crate) struct Lease {
    holdings: Holdings,
    lasting: Lasting,
    user: UserId,
    address: IpAddr,
    _kept: Option<Kept>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut counts = self.holdings.lock();
        counts.persons.remove(&(self.lasting, self.user));
        counts.addresses.remove(&(self.lasting, self.address));
    }
}

fn too_many(lasting: Lasting, most: u32, whose: &str) -> Problem {
    let (what, key) = lasting.words();
    Problem {
        status: StatusCode::TOO_MANY_REQUESTS,
        code: Problem::TOO_MANY_OPEN,
        detail: format!(
            "{most} {what} are open at this master already, as many as {whose} may have: close some, or ask an admin for a higher {key} in master.toml"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    const ADA: UserId = UserId(2);
    const BOB: UserId = UserId(3);
    const EVE: UserId = UserId(4);

    fn few() -> Holdings {
        Holdings::new(Bounds {
            streams_per_person: 2,
            persons_per_address: 2,
            connections_per_address: 2,
            connections_max: 3,
            ..Bounds::default()
        })
    }

    fn from(last: u128) -> From {
        From {
            address: Ipv6Addr::from_bits((0x2001 << 112) | last).into(),
            attention: None,
        }
    }

    #[test]
    fn a_person_and_an_address_hold_so_much_and_no_more_until_they_let_go() {
        let holdings = few();
        let here = from(1);
        let hold = |user, from: &From| holdings.hold(Lasting::Stream, user, from);
        let (one, two) = (hold(ADA, &here), hold(ADA, &from(1 << 64)));
        assert!(one.is_ok() && two.is_ok());
        let refused = hold(ADA, &from(2 << 64)).map(drop).expect_err("a third");
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(
            refused.detail.contains("one person") && refused.detail.contains("streams_per_person"),
            "{refused:?}"
        );
        let other = holdings.hold(Lasting::Terminal, ADA, &here);
        assert!(other.is_ok(), "of another kind");
        drop(two);
        let mut all = vec![hold(ADA, &here).expect("room again")];
        // All addresses of one network are one.
        all.extend([hold(BOB, &from(7)), hold(BOB, &from(8))].map(|held| held.expect("room")));
        let refused = hold(EVE, &from(9)).map(drop).expect_err("a fifth");
        assert!(refused.detail.contains("one address"), "{refused:?}");
        assert!(hold(EVE, &from(9 << 64)).is_ok(), "from elsewhere");
        drop((one, other, all));
        let counts = holdings.lock();
        assert!(counts.persons.is_empty() && counts.addresses.is_empty());
    }

    #[test]
    fn connections_are_bounded_by_address_and_all_together() {
        let holdings = few();
        let connect = |last| holdings.connect(from(last).address);
        let (one, two) = (connect(1), connect(2));
        assert!(one.is_some() && two.is_some());
        assert!(connect(3).is_none(), "a third of this network");
        let three = connect(1 << 64);
        assert!(three.is_some());
        assert!(connect(2 << 64).is_none(), "a fourth of all");
        assert_eq!(holdings.connections(), (3, 2));
        drop(one);
        assert!(connect(2 << 64).is_some());
        drop((two, three));
        assert_eq!(holdings.connections(), (0, 2));
        assert!(holdings.connections.is_empty());
    }
}
