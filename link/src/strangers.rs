//! Connections that have not said yet who they are and what they come for: from one address come so many.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::tally::Tally;

/// As a listener has it of each address, unless it is told otherwise.
pub const STRANGERS_MAX: u32 = 1_024;

/// How many there are from each address.
#[derive(Clone, Default)]
pub struct Strangers(Arc<Mutex<Tally<IpAddr>>>);

impl Strangers {
    /// One more, unless there are as many as may be.
    #[must_use]
    pub fn come(&self, from: IpAddr, most: u32) -> Option<Stranger> {
        let mut counts = self.lock();
        if !counts.has_room(&from, most) {
            return None;
        }
        counts.add(from);
        drop(counts);
        Some(Stranger {
            strangers: self.clone(),
            from,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Tally<IpAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of them, until it is dropped.
pub struct Stranger {
    strangers: Strangers,
    from: IpAddr,
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.strangers.lock().remove(&self.from);
    }
}
