//! How fast a checkpoint goes about it. It is hundreds of milliseconds of work beside writes that take one: on machines
//! with few cores it would stand in their way for whole slices of the scheduler's time.

use std::thread;
use std::time::Duration;

/// Some 200 microseconds of work.
const STEPS: usize = 32;
/// As long as the work between two rests, with what it takes to wake up.
const REST: Duration = Duration::from_micros(150);

/// Counts steps, and rests between them or not.
pub struct Pace {
    gives_way: bool,
    steps: usize,
}

impl Pace {
    /// As fast as it goes: somebody waits for it, or much has piled up.
    pub fn straight() -> Self {
        Self {
            gives_way: false,
            steps: 0,
        }
    }

    /// With rests; for threads of their own only.
    pub fn giving_way() -> Self {
        Self {
            gives_way: true,
            steps: 0,
        }
    }

    /// One row's worth of work is about to be done.
    pub fn step(&mut self) {
        self.steps(1);
    }

    /// So many rows' worth.
    pub fn steps(&mut self, steps: usize) {
        self.steps += steps;
        if self.gives_way && self.steps >= STEPS {
            self.steps = 0;
            thread::sleep(REST);
        }
    }
}
