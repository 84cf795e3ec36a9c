//! What clients saw, and whether one order of all operations explains it. Every key is a register of its own; the
//! checker is `todc-utils`' (Wing and Gong, with Lowe's memory of visited states).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use todc_utils::specifications::Specification;
use todc_utils::{Action, WGLChecker};

/// What one operation did. Values are numbers, each written once; 0 is what every key holds at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    Write(u64),
    Read(u64),
}

#[derive(Clone, Copy, Debug)]
struct Operation {
    key: usize,
    called: Instant,
    /// None if nobody knows whether it took effect.
    returned: Option<Instant>,
    did: Did,
}

/// All operations so far.
#[derive(Default)]
pub struct History {
    operations: Mutex<Vec<Operation>>,
}

/// What the checker found.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub keys: usize,
    pub writes: usize,
    pub reads: usize,
    /// Writes of which nobody knows whether they took effect.
    pub unknown: usize,
    /// Keys whose history no order explains.
    pub broken: Vec<usize>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            keys,
            writes,
            reads,
            unknown,
            broken,
        } = self;
        write!(
            formatter,
            "{writes} writes, {reads} reads, {unknown} unknown; {} of {keys} keys linearizable",
            keys - broken.len()
        )
    }
}

impl History {
    /// Notes an operation that was answered.
    pub fn answered(&self, key: usize, called: Instant, returned: Instant, did: Did) {
        self.note(key, called, Some(returned), did);
    }

    /// Notes a write of which nobody knows whether it took effect, or when.
    pub fn unknown(&self, key: usize, called: Instant, written: u64) {
        self.note(key, called, None, Did::Write(written));
    }

    fn note(&self, key: usize, called: Instant, returned: Option<Instant>, did: Did) {
        let mut operations = self
            .operations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        operations.push(Operation {
            key,
            called,
            returned,
            did,
        });
    }

    /// Checks every key.
    pub fn check(&self) -> Verdict {
        let operations = self
            .operations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut verdict = Verdict::default();
        let mut by_key: BTreeMap<usize, Vec<Operation>> = BTreeMap::new();
        for operation in operations {
            match (operation.did, operation.returned) {
                (Did::Write(_), None) => verdict.unknown += 1,
                (Did::Write(_), Some(_)) => verdict.writes += 1,
                (Did::Read(_), _) => verdict.reads += 1,
            }
            by_key.entry(operation.key).or_default().push(operation);
        }
        verdict.keys = by_key.len();
        let broken = by_key.into_iter().filter(|(_, all)| !is_linearizable(all));
        verdict.broken = broken.map(|(key, _)| key).collect();
        verdict
    }
}

/// A register.
struct Register;

impl Specification for Register {
    type State = u64;
    type Operation = Did;

    fn init() -> u64 {
        0
    }

    fn apply(operation: &Did, state: &u64) -> (bool, u64) {
        match operation {
            Did::Write(value) => (true, *value),
            Did::Read(value) => (value == state, *state),
        }
    }
}

fn is_linearizable(operations: &[Operation]) -> bool {
    let mut seen = BTreeSet::new();
    for operation in operations {
        if let Did::Read(value) = operation.did {
            seen.insert(value);
        }
    }
    // A write that perhaps never happened and that nobody saw explains nothing.
    let counts = |operation: &&Operation| match operation.did {
        Did::Write(value) => operation.returned.is_some() || seen.contains(&value),
        Did::Read(_) => true,
    };
    // At equal times calls come first: then the two overlap, which only allows more orders.
    let mut moments: Vec<(Option<Instant>, bool, usize, Did)> = Vec::new();
    for (process, operation) in operations.iter().filter(counts).enumerate() {
        moments.push((Some(operation.called), false, process, operation.did));
        moments.push((operation.returned, true, process, operation.did));
    }
    // None sorts first, and here it means never.
    moments.sort_by_key(|(at, response, ..)| (at.is_none(), *at, *response));
    if moments.is_empty() {
        return true;
    }
    let actions = moments.into_iter().map(|(_, response, process, did)| {
        let action = if response {
            Action::Response(did)
        } else {
            Action::Call(did)
        };
        (process, action)
    });
    let history = todc_utils::History::from_actions(actions.collect());
    WGLChecker::<Register>::is_linearizable(history)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Did, History};

    /// Operations as `(called, returned, what)`, in milliseconds; returned 0 is never.
    fn check(operations: &[(u64, u64, Did)]) -> bool {
        let history = History::default();
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        for (called, returned, did) in operations {
            let returned = (*returned > 0).then(|| at(*returned));
            history.note(7, at(*called), returned, *did);
        }
        history.check().broken.is_empty()
    }

    #[test]
    fn a_read_after_a_write_must_see_it() {
        assert!(check(&[(1, 2, Did::Write(5)), (3, 4, Did::Read(5))]));
        assert!(!check(&[(1, 2, Did::Write(5)), (3, 4, Did::Read(0))]));
        assert!(check(&[(1, 4, Did::Write(5)), (2, 3, Did::Read(0))]));
    }

    #[test]
    fn nobody_goes_back() {
        let backwards = [
            (1, 9, Did::Write(5)),
            (2, 3, Did::Read(5)),
            (4, 5, Did::Read(0)),
        ];
        assert!(!check(&backwards));
    }

    #[test]
    fn an_unknown_write_may_take_effect_late_once_or_never() {
        let unknown = (1, 0, Did::Write(5));
        assert!(check(&[unknown, (2, 3, Did::Read(0))]));
        assert!(check(&[
            unknown,
            (2, 3, Did::Read(0)),
            (4, 5, Did::Read(5))
        ]));
        let twice = [
            unknown,
            (2, 3, Did::Read(5)),
            (4, 5, Did::Write(6)),
            (6, 7, Did::Read(5)),
        ];
        assert!(!check(&twice));
    }
}
