//! Certificates by which workers prove to masters and to each other who they are.

use serde::{Deserialize, Serialize};

use super::ClusterVersion;
use crate::id::{LogIndex, SecretHash, UnixMs, WorkerId};

/// What is known of one worker's. No row means that nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerCertificate {
    pub worker: WorkerId,
    /// The last one that it got.
    pub held: Option<HeldCertificate>,
    /// Those of lower numbers are refused.
    pub since: LogIndex,
    /// The one token by which it may join again.
    pub awaited: Option<SecretHash>,
}

/// One certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldCertificate {
    /// The entry by which it was issued: that is in its serial number. 0 if it is from before entries said so.
    pub number: LogIndex,
    pub issued_at: UnixMs,
    pub ends_at: UnixMs,
}

impl WorkerCertificate {
    /// Before, nothing is written of them.
    pub const SINCE: ClusterVersion = ClusterVersion(3);

    /// What is known of a worker of which nothing is.
    #[must_use]
    pub fn none(worker: WorkerId) -> Self {
        Self {
            worker,
            held: None,
            since: LogIndex(0),
            awaited: None,
        }
    }
}

impl HeldCertificate {
    /// Of a life of this length the next one is not issued before a hundredth of it has passed.
    const PAUSES_A_LIFE: u64 = 100;
    /// Longest life: as much as an authority itself has.
    pub const LIFE_MS_MAX: u64 = 3_650 * 24 * 3_600_000;

    /// Whether it comes after this one.
    #[must_use]
    pub fn follows(&self, before: &Self) -> bool {
        (self.number, self.ends_at) > (before.number, before.ends_at)
    }

    /// From when on another may be issued: whoever lost an answer asks again, and nobody fills the log.
    #[must_use]
    pub fn another_at(&self) -> UnixMs {
        let life_ms = self.ends_at.since_ms(self.issued_at);
        self.issued_at.plus_ms(life_ms / Self::PAUSES_A_LIFE)
    }

    /// From when on less than a third of its life is left. Workers have renewed it by then.
    #[must_use]
    pub fn late_at(&self) -> UnixMs {
        let life_ms = self.ends_at.since_ms(self.issued_at);
        self.ends_at.minus_ms(life_ms / 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_late_when_a_third_is_left_and_another_may_come_soon() {
        let held = HeldCertificate {
            number: LogIndex(7),
            issued_at: UnixMs(1_000),
            ends_at: UnixMs(10_000),
        };
        assert_eq!(held.late_at(), UnixMs(7_000));
        assert_eq!(held.another_at(), UnixMs(1_090));
        let odd = HeldCertificate {
            ends_at: UnixMs(0),
            ..held
        };
        assert_eq!(
            (odd.late_at(), odd.another_at()),
            (UnixMs(0), UnixMs(1_000))
        );
    }
}
