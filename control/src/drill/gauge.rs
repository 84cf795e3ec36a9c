//! Measures what a client sees of writes and reads: the longest times without one, before a fault and from it on.
//! Times are milliseconds of the caller's own monotonic clock.

use crate::model::drill::ProbeFigures;
use crate::model::runs::Runs;

/// One prober's measurement.
#[derive(Clone, Debug)]
pub struct Gauge {
    began_ms: u64,
    fault_ms: Option<u64>,
    writes: Gaps,
    reads: Gaps,
    local_reads: Gaps,
    sent: u32,
    acked: Runs,
    resumed_ms: Option<u64>,
    wait_max_ms: u64,
}

/// Longest times between two of something.
#[derive(Clone, Copy, Debug)]
struct Gaps {
    /// What was never asked for has no gaps.
    asked: bool,
    last_ms: u64,
    before_max_ms: u64,
    since_max_ms: u64,
}

impl Gaps {
    fn from(began_ms: u64) -> Self {
        Self {
            asked: false,
            last_ms: began_ms,
            before_max_ms: 0,
            since_max_ms: 0,
        }
    }

    /// A gap counts as one of the fault if it ends after it began.
    fn one(&mut self, at_ms: u64, fault_ms: Option<u64>) {
        let gap = at_ms.saturating_sub(self.last_ms);
        if fault_ms.is_some_and(|fault| at_ms >= fault) {
            self.since_max_ms = self.since_max_ms.max(gap);
        } else {
            self.before_max_ms = self.before_max_ms.max(gap);
        }
        self.last_ms = self.last_ms.max(at_ms);
    }
}

impl Gauge {
    /// Starts to measure.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        let gaps = Gaps::from(now_ms);
        Self {
            began_ms: now_ms,
            fault_ms: None,
            writes: gaps,
            reads: gaps,
            local_reads: gaps,
            sent: 0,
            acked: Runs::default(),
            resumed_ms: None,
            wait_max_ms: 0,
        }
    }

    /// Number for the next write.
    pub fn send(&mut self) -> u32 {
        self.writes.asked = true;
        self.sent = self.sent.saturating_add(1);
        self.sent
    }

    /// The fault began, or begins, at this time.
    pub fn begin(&mut self, at_ms: u64) {
        self.fault_ms.get_or_insert(at_ms.max(self.began_ms));
    }

    /// Whether the fault has begun.
    #[must_use]
    pub fn has_begun(&self, now_ms: u64) -> bool {
        self.fault_ms.is_some_and(|fault| now_ms >= fault)
    }

    /// A write was acknowledged.
    pub fn acknowledged(&mut self, number: u32, sent_ms: u64, now_ms: u64) {
        self.acked.insert(number);
        self.writes.one(now_ms, self.fault_ms);
        self.wait_max_ms = self.wait_max_ms.max(now_ms.saturating_sub(sent_ms));
        if let Some(fault) = self.fault_ms.filter(|fault| sent_ms >= *fault) {
            self.resumed_ms.get_or_insert(now_ms.saturating_sub(fault));
        }
    }

    /// A linearizable read is asked for.
    pub fn ask(&mut self) {
        self.reads.asked = true;
    }

    /// A read of a master's own state is asked for.
    pub fn ask_locally(&mut self) {
        self.local_reads.asked = true;
    }

    /// A linearizable read was answered.
    pub fn read(&mut self, now_ms: u64) {
        self.reads.one(now_ms, self.fault_ms);
    }

    /// A read of a master's own state was answered.
    pub fn read_locally(&mut self, now_ms: u64) {
        self.local_reads.one(now_ms, self.fault_ms);
    }

    /// How long no write has been acknowledged.
    #[must_use]
    pub fn gap_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.writes.last_ms)
    }

    /// The longest such time since the fault, the present one included.
    #[must_use]
    pub fn worst_gap_ms(&self, now_ms: u64) -> u64 {
        let open = if self.has_begun(now_ms) {
            self.gap_ms(now_ms)
        } else {
            0
        };
        self.writes.since_max_ms.max(open)
    }

    /// Writes sent, and acknowledged.
    #[must_use]
    pub fn counts(&self) -> (u32, u64) {
        (self.sent, self.acked.count())
    }

    /// Ends the measurement: what is open now is a gap too.
    #[must_use]
    pub fn end(mut self, now_ms: u64) -> (u32, Runs, ProbeFigures) {
        for gaps in [&mut self.writes, &mut self.reads, &mut self.local_reads] {
            if gaps.asked {
                gaps.one(now_ms, self.fault_ms);
            }
        }
        let figures = ProbeFigures {
            write_gap_ms: self.writes.since_max_ms,
            write_gap_before_ms: self.writes.before_max_ms,
            resumed_ms: self.resumed_ms,
            write_wait_ms: self.wait_max_ms,
            read_gap_ms: self.reads.since_max_ms,
            local_read_gap_ms: self.local_reads.since_max_ms,
        };
        (self.sent, self.acked, figures)
    }
}

#[cfg(test)]
mod tests {
    use super::Gauge;

    #[test]
    fn the_longest_gap_from_the_fault_on_counts_and_the_one_before_is_told_apart() {
        let mut gauge = Gauge::new(1_000);
        for at in [1_050, 1_100, 1_170] {
            let number = gauge.send();
            gauge.acknowledged(number, at - 5, at);
        }
        gauge.begin(1_200);
        let (unlucky, lucky) = (gauge.send(), gauge.send());
        gauge.acknowledged(lucky, 1_900, 1_950);
        gauge.acknowledged(unlucky, 1_190, 2_400);
        let (sent, acked, figures) = gauge.end(2_450);
        assert_eq!((sent, acked.count()), (5, 5));
        assert_eq!(figures.write_gap_before_ms, 70);
        assert_eq!(figures.write_gap_ms, 1_950 - 1_170);
        assert_eq!(figures.resumed_ms, Some(750));
        assert_eq!(figures.write_wait_ms, 1_210);
        assert_eq!(figures.read_gap_ms, 0, "nobody asked");
    }

    #[test]
    fn what_never_came_back_is_a_gap_to_the_end() {
        let mut gauge = Gauge::new(0);
        let number = gauge.send();
        gauge.acknowledged(number, 0, 10);
        gauge.begin(100);
        gauge.send();
        gauge.ask();
        assert_eq!(gauge.worst_gap_ms(99), 0);
        assert_eq!(gauge.worst_gap_ms(500), 490);
        let (sent, acked, figures) = gauge.end(5_000);
        assert_eq!((sent, acked.count()), (2, 1));
        assert_eq!(figures.write_gap_ms, 4_990);
        assert_eq!(figures.read_gap_ms, 5_000);
        assert_eq!(figures.resumed_ms, None);
    }
}
