//! Places of those who are connected, or wait for something dear: so many there are, and so many of them has one address, or one
//! network of IPv6 addresses. Who asks a lot from there leaves room for others.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use docklet_link::tally::Tally;

use crate::brake::network_of;

/// The places.
#[derive(Clone)]
pub(crate) struct Places {
    most: u32,
    most_per_address: u32,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    all: u32,
    addresses: Tally<IpAddr>,
    refused: u64,
}

/// One that is taken, until it is dropped.
pub(crate) struct Place {
    of: Places,
    address: IpAddr,
}

impl Places {
    pub(crate) fn new(most: u32, most_per_address: u32) -> Self {
        Self {
            most,
            most_per_address,
            taken: Arc::default(),
        }
    }

    /// Takes one for whom comes from there; none if all are taken, or as many as are theirs.
    pub(crate) fn take(&self, client: IpAddr) -> Option<Place> {
        let address = network_of(client);
        let mut taken = self.lock();
        let has_room = taken.addresses.has_room(&address, self.most_per_address);
        if taken.all >= self.most || !has_room {
            taken.refused += 1;
            return None;
        }
        taken.all += 1;
        taken.addresses.add(address);
        drop(taken);
        Some(Place {
            of: self.clone(),
            address,
        })
    }

    /// How many are taken, and how often there was none.
    pub(crate) fn counts(&self) -> (u32, u64) {
        let taken = self.lock();
        (taken.all, taken.refused)
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        let taken = self.lock();
        taken.all == 0 && taken.addresses.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.of.lock();
        taken.all -= 1;
        taken.addresses.remove(&self.address);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;
    use std::sync::LazyLock;

    use super::*;

    fn from(network: u128, last: u128) -> IpAddr {
        Ipv6Addr::from_bits((0x2001 << 112) | network << 64 | last).into()
    }

    #[test]
    fn one_address_leaves_room_for_others() {
        static FEW: LazyLock<Places> = LazyLock::new(|| Places::new(5, 2));
        let here: Vec<Place> = (0..2).filter_map(|last| FEW.take(from(1, last))).collect();
        assert_eq!(here.len(), 2);
        assert!(FEW.take(from(1, 9)).is_none(), "a third of this network");
        let others: Vec<Place> = (2..5)
            .filter_map(|there| FEW.take(from(there, 1)))
            .collect();
        assert_eq!(others.len(), 3);
        assert!(FEW.take(from(9, 1)).is_none(), "a sixth of all");
        drop(here);
        assert!(FEW.take(from(1, 1)).is_some());
        drop(others);
        assert!(FEW.is_empty());
    }
}
