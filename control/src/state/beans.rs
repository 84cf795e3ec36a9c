//! Purses, tallies and the lines of statements.

use imbl::OrdSet;

use super::State;
use crate::id::{Epoch, LogIndex, UserId, VnodeId, WorkerId};
use crate::model::{BeanDays, BeanLine, BeanRequest, LineOf, Month, Purse, PurseOf, Tally};

/// Look-up tables of beans.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lookup {
    spent: OrdSet<PurseOf>,
    tallies_by_worker: OrdSet<(WorkerId, VnodeId, Epoch)>,
}

impl State {
    /// Purses in which nothing is left.
    pub fn spent_purses(&self) -> impl Iterator<Item = PurseOf> + '_ {
        self.lookup.beans.spent.iter().copied()
    }

    /// What a worker has yet to tell the last of.
    pub fn tallies_on(&self, worker: WorkerId) -> impl Iterator<Item = &Tally> {
        let first = (worker, VnodeId(0), Epoch(0));
        let last = (worker, VnodeId(u64::MAX), Epoch(u64::MAX));
        let keys = self.lookup.beans.tallies_by_worker.range(first..=last);
        keys.filter_map(|(_, vnode, epoch)| self.tallies.get(&(*vnode, *epoch)))
    }

    /// The statement of a purse: its lines, by month.
    pub fn bean_lines_of(&self, of: PurseOf) -> impl DoubleEndedIterator<Item = &BeanLine> {
        let first = (of, Month(0), LineOf::Credits);
        let last = (of, Month(u32::MAX), LineOf::Others);
        self.bean_lines.range(first..=last).map(|(_, line)| line)
    }

    /// The lines of one month.
    pub fn bean_lines_in(&self, of: PurseOf, month: Month) -> impl Iterator<Item = &BeanLine> {
        let range = (of, month, LineOf::Credits)..=(of, month, LineOf::Others);
        self.bean_lines.range(range).map(|(_, line)| line)
    }

    /// What it comes to day by day: the last months, the oldest first.
    pub fn bean_days_of(&self, of: PurseOf) -> impl DoubleEndedIterator<Item = &BeanDays> {
        let range = (of, Month(0))..=(of, Month(u32::MAX));
        self.bean_days.range(range).map(|(_, days)| days)
    }

    /// The request for beans of that number.
    #[must_use]
    pub fn bean_request(&self, number: LogIndex) -> Option<&BeanRequest> {
        let mut requests = self.bean_requests.values();
        requests.find(|request| request.number == number)
    }

    pub(crate) fn put_purse(&mut self, purse: Purse) {
        if purse.spent_since.is_some() {
            self.lookup.beans.spent.insert(purse.of);
        } else {
            self.lookup.beans.spent.remove(&purse.of);
        }
        self.purses.insert(purse.of, purse);
    }

    pub(crate) fn remove_purse(&mut self, of: &PurseOf) {
        self.lookup.beans.spent.remove(of);
        self.purses.remove(of);
    }

    pub(crate) fn put_tally(&mut self, tally: Tally) {
        self.remove_tally(&tally.key());
        let place = (tally.worker, tally.vnode, tally.epoch);
        self.lookup.beans.tallies_by_worker.insert(place);
        self.tallies.insert(tally.key(), tally);
    }

    pub(crate) fn remove_tally(&mut self, key: &(VnodeId, Epoch)) {
        if let Some(tally) = self.tallies.remove(key) {
            let place = (tally.worker, tally.vnode, tally.epoch);
            self.lookup.beans.tallies_by_worker.remove(&place);
        }
    }

    pub(crate) fn put_bean_line(&mut self, line: BeanLine) {
        self.bean_lines.insert(line.key(), line);
    }

    pub(crate) fn remove_bean_line(&mut self, key: &(PurseOf, Month, LineOf)) {
        self.bean_lines.remove(key);
    }

    pub(crate) fn put_bean_days(&mut self, days: BeanDays) {
        self.bean_days.insert(days.key(), days);
    }

    pub(crate) fn remove_bean_days(&mut self, key: &(PurseOf, Month)) {
        self.bean_days.remove(key);
    }

    pub(crate) fn put_bean_request(&mut self, request: BeanRequest) {
        self.bean_requests.insert(request.user, request);
    }

    pub(crate) fn remove_bean_request(&mut self, user: &UserId) {
        self.bean_requests.remove(user);
    }
}
