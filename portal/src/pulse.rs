//! By what whoever is at the other end of a socket knows that this master lives: who hears nothing takes it for one that stands
//! still.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws;
use tokio::time::{Interval, MissedTickBehavior};

/// Something is heard so often at least.
pub(crate) const PULSE_EVERY: Duration = Duration::from_secs(2);

/// For viewers of terminals, in a browser too: pages are not told of pings.
pub(crate) fn pulse() -> ws::Message {
    ws::Message::text(r#"{"pulse":true}"#)
}

/// For programs to which each text or byte means something else.
pub(crate) fn ping() -> ws::Message {
    ws::Message::Ping(Bytes::new())
}

/// At once, and then every [`PULSE_EVERY`].
pub(crate) fn beat() -> Interval {
    let mut beat = tokio::time::interval(PULSE_EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat
}
