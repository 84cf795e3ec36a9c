//! People.

use super::{Tracing, both, differing, differs, neighbours};
use crate::id::UserId;
use crate::model::identity::Holder;
use crate::model::kept::KeptKind;

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
        self.accounts();
        self.trashed();
        self.idles();
        self.shares();
        for pair in differing(&self.before.image_quotas, &self.after.image_quotas) {
            self.touched.owners.extend(both(pair).map(|own| own.user));
        }
    }

    fn trashed(&mut self) {
        for pair in differing(&self.before.trashed, &self.after.trashed) {
            self.touched
                .owners
                .extend(both(pair).map(|trashed| trashed.owner));
        }
        for pair in differing(&self.before.kept, &self.after.kept) {
            for kept in both(pair) {
                self.touched.owners.insert(kept.owner);
                // Groups and accounts are all admins', templates and notices whoever's keeps them.
                self.touched.shared |= matches!(
                    kept.kind(),
                    KeptKind::Group | KeptKind::Template | KeptKind::Account | KeptKind::Notice
                );
            }
        }
        for pair in differing(&self.before.rests, &self.after.rests) {
            for state in self.states() {
                let rows = both(pair).filter_map(|rest| state.vclusters.get(&rest.vcluster));
                self.touched.owners.extend(rows.map(|row| row.owner));
            }
        }
    }

    fn shares(&mut self) {
        for pair in differing(&self.before.shares, &self.after.shares) {
            for state in self.states() {
                let rows = both(pair).filter_map(|share| state.vnodes.get(&share.vnode));
                self.touched.owners.extend(rows.map(|row| row.owner));
            }
        }
    }

    fn idles(&mut self) {
        for pair in differing(&self.before.vnode_idles, &self.after.vnode_idles) {
            for state in self.states() {
                let rows = both(pair).filter_map(|idle| state.vnodes.get(&idle.vnode));
                self.touched.owners.extend(rows.map(|row| row.owner));
            }
        }
    }

    /// Requests concern admins only: they are told of whatever belongs to somebody, and this is nobody's number.
    fn accounts(&mut self) {
        const NOBODY: UserId = UserId(0);
        for pair in differing(&self.before.accounts, &self.after.accounts) {
            self.touched.owners.extend(both(pair).map(|row| row.user));
        }
        for pair in differing(&self.before.logins, &self.after.logins) {
            self.touched.owners.extend(both(pair).map(|row| row.user));
        }
        for pair in differing(&self.before.identities, &self.after.identities) {
            self.touched
                .owners
                .extend(both(pair).map(|row| match row.holder {
                    Holder::User(user) => user,
                    Holder::Application(_) => NOBODY,
                }));
        }
        if self.before.login_doors != self.after.login_doors {
            self.touched.owners.insert(NOBODY);
        }
        let mut requests = differing(&self.before.applications, &self.after.applications);
        self.touched.owners.extend(requests.next().map(|_| NOBODY));
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
