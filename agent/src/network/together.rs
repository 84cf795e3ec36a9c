//! Work that several threads ask for at the same time, done in one go: a program that is run for one vnode takes as
//! long for ten.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::fault::AgentFault;

/// Whoever asks while nobody is at work does it, for all who asked meanwhile.
#[derive(Debug)]
pub struct Together<T> {
    turns: Mutex<Turns<T>>,
    turned: Condvar,
}

#[derive(Debug)]
struct Turns<T> {
    /// The number of whoever asks next.
    next: u64,
    at_work: bool,
    waiting: Vec<(u64, T)>,
    /// Whether what was asked for under a number was done.
    done: BTreeMap<u64, bool>,
}

impl<T> Default for Together<T> {
    fn default() -> Self {
        let turns = Turns {
            next: 0,
            at_work: false,
            waiting: Vec::new(),
            done: BTreeMap::new(),
        };
        Self {
            turns: Mutex::new(turns),
            turned: Condvar::new(),
        }
    }
}

impl<T> Together<T> {
    fn lock(&self) -> MutexGuard<'_, Turns<T>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells those who wait what came of it, also when the work panicked.
struct AtWork<'t, T> {
    together: &'t Together<T>,
    numbers: Vec<u64>,
    well: bool,
}

impl<T> Drop for AtWork<'_, T> {
    fn drop(&mut self) {
        let mut turns = self.together.lock();
        turns.at_work = false;
        turns
            .done
            .extend(self.numbers.drain(..).map(|n| (n, self.well)));
        self.together.turned.notify_all();
    }
}

impl<T: Clone> Together<T> {
    /// Does `work` for this, and perhaps for others that were asked for at the same time. If it fails for many, each
    /// is done by itself: the fault of one is not another's.
    ///
    /// # Errors
    /// Those of `work`, for this alone.
    pub fn run(
        &self,
        wanted: T,
        work: impl Fn(&[T]) -> Result<(), AgentFault>,
    ) -> Result<(), AgentFault> {
        match self.in_turn(wanted.clone(), &work) {
            Some(outcome) => outcome,
            None => work(&[wanted]),
        }
    }

    /// None if it was done with others', and that failed.
    fn in_turn(
        &self,
        wanted: T,
        work: impl Fn(&[T]) -> Result<(), AgentFault>,
    ) -> Option<Result<(), AgentFault>> {
        let mut turns = self.lock();
        let number = turns.next;
        turns.next += 1;
        turns.waiting.push((number, wanted));
        loop {
            if let Some(well) = turns.done.remove(&number) {
                return well.then_some(Ok(()));
            }
            if !turns.at_work {
                break;
            }
            turns = self
                .turned
                .wait(turns)
                .unwrap_or_else(PoisonError::into_inner);
        }
        turns.at_work = true;
        let (numbers, all): (Vec<u64>, Vec<T>) = turns.waiting.drain(..).unzip();
        drop(turns);
        let others = numbers.into_iter().filter(|other| *other != number);
        let mut at_work = AtWork {
            together: self,
            numbers: others.collect(),
            well: false,
        };
        let outcome = work(&all);
        at_work.well = outcome.is_ok();
        (all.len() == 1 || outcome.is_ok()).then_some(outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// Waits until so many wait for their turn.
    fn wait_for(together: &Together<u32>, many: usize) {
        while together.lock().waiting.len() < many {
            thread::yield_now();
        }
    }

    /// One is at work while 2, 3 and 4 come; answers what was worked on together, and what each was told.
    fn four(work: impl Fn(&[u32]) -> Result<(), AgentFault> + Sync) -> (Vec<Vec<u32>>, Vec<bool>) {
        let together = Together::default();
        let seen = Mutex::new(Vec::new());
        let noted = |all: &[u32]| {
            let mut all = all.to_vec();
            all.sort_unstable();
            seen.lock().expect("not poisoned").push(all.clone());
            work(&all)
        };
        let (begun, begins) = mpsc::channel();
        let (go, goes) = mpsc::channel::<()>();
        let told = thread::scope(|scope| {
            let first = scope.spawn({
                let (noted, together) = (&noted, &together);
                move || {
                    together.run(1, |all| {
                        // Only the first time: when it fails it is not alone any more.
                        begun.send(()).expect("somebody waits");
                        goes.recv().expect("somebody sends");
                        noted(all)
                    })
                }
            });
            begins.recv().expect("it begins");
            let others = [2, 3, 4].map(|n| {
                let (noted, together) = (&noted, &together);
                scope.spawn(move || together.run(n, noted))
            });
            wait_for(&together, 3);
            go.send(()).expect("it waits");
            let mut told = vec![first.join().expect("no panic").is_ok()];
            told.extend(others.map(|other| other.join().expect("no panic").is_ok()));
            told
        });
        (seen.into_inner().expect("not poisoned"), told)
    }

    #[test]
    fn what_came_meanwhile_is_done_in_one_go() {
        let (seen, told) = four(|_| Ok(()));
        assert_eq!(seen, [vec![1], vec![2, 3, 4]]);
        assert_eq!(told, [true; 4]);
    }

    #[test]
    fn the_fault_of_one_is_not_anothers() {
        let (mut seen, told) = four(|all| match all.contains(&3) {
            true => Err(AgentFault::Lxc("no 3".to_owned())),
            false => Ok(()),
        });
        seen.sort();
        assert_eq!(seen, [vec![1], vec![2], vec![2, 3, 4], vec![3], vec![4]]);
        assert_eq!(told, [true, true, false, true]);
    }

    #[test]
    fn who_panics_leaves_the_place_to_others() {
        let together = Together::default();
        let panicked = thread::scope(|scope| {
            scope
                .spawn(|| together.run(1, |_| panic!("as it was told to")))
                .join()
        });
        assert!(panicked.is_err());
        assert!(together.run(2, |_| Ok(())).is_ok());
    }
}
