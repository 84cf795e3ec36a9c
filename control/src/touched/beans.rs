//! Whom beans concern: whose purse it is, who looks after it, and workers of which something is to be told.

use super::{Tracing, both, differing, differs};
use crate::bean::{deciders, in_use};
use crate::model::PurseOf;

impl Tracing<'_> {
    pub(super) fn beans(&mut self) {
        let (before, after) = (self.before, self.after);
        if before.bean_settings != after.bean_settings {
            self.touched.shared = true;
            let every = |state| in_use(state).map(|settings| settings.every_ms);
            self.touched.all_workers |= every(before) != every(after);
        }
        for pair in differing(&before.purses, &after.purses) {
            both(pair).for_each(|purse| self.purse(purse.of));
        }
        for pair in differing(&before.bean_lines, &after.bean_lines) {
            both(pair).for_each(|line| self.purse(line.of));
        }
        for pair in differing(&before.bean_days, &after.bean_days) {
            both(pair).for_each(|days| self.purse(days.of));
        }
        for pair in differing(&before.bean_requests, &after.bean_requests) {
            for request in both(pair) {
                self.touched.owners.insert(request.user);
                for state in self.states() {
                    self.touched.owners.extend(deciders(state, request.user));
                }
            }
        }
        for pair in differing(&before.tallies, &after.tallies) {
            let told = differs(pair, |tally| tally.worker);
            for tally in both(pair) {
                self.touched.owners.insert(tally.owner);
                self.touched.workers.extend(told.then_some(tally.worker));
            }
        }
    }

    fn purse(&mut self, of: PurseOf) {
        match of {
            PurseOf::User(user) => {
                self.touched.owners.insert(user);
            }
            // Groups are told to all.
            PurseOf::Group(_) => self.touched.shared = true,
        }
    }
}
