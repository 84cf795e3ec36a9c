//! What the masters are told of what vnodes use.

use super::Agent;
use crate::host::Host;
use crate::masters::Tell;
use crate::tally::{READINGS_MAX, awake_ms};

impl<H: Host> Agent<H> {
    /// Once an assignment is kept: what is not asked for any more is forgotten.
    pub(super) fn assign_tallies(&self) {
        if let Some((tallies, wanted)) = self.tallies.as_ref().zip(self.wanted.as_ref()) {
            tallies.assign(wanted);
        }
    }

    pub(super) async fn tell_readings(&self) {
        let Some(tallies) = self.tallies.clone() else {
            return;
        };
        // Files are written on a thread on which that may take its time.
        let readings = tokio::task::spawn_blocking(move || tallies.readings(awake_ms())).await;
        let readings = readings.unwrap_or_default();
        for readings in readings.chunks(READINGS_MAX) {
            drop(self.tell.send(Tell::Readings(readings.to_vec())).await);
        }
    }
}
