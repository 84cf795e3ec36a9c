//! People.

use super::{Tracing, both, differing, differs, neighbours};
use crate::id::UserId;

impl Tracing<'_> {
    pub(super) fn people(&mut self) {
        for pair in differing(&self.before.users, &self.after.users) {
            for user in both(pair) {
                self.touched.owners.insert(user.id);
                if differs(pair, |_| ()) {
                    self.all_of(user.id);
                }
            }
        }
        for pair in differing(&self.before.sessions, &self.after.sessions) {
            let owners = both(pair).map(|session| session.user);
            self.touched.owners.extend(owners);
        }
        for pair in differing(&self.before.image_quotas, &self.after.image_quotas) {
            self.touched.owners.extend(both(pair).map(|own| own.user));
        }
    }

    /// Every worker that has vnodes of `owner`.
    pub(super) fn all_of(&mut self, owner: UserId) {
        for state in self.states() {
            if let Some(network) = state.network_of(owner) {
                let workers = neighbours(state, network).into_keys();
                self.touched.workers.extend(workers);
            }
        }
    }
}
