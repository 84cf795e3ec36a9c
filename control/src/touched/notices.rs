//! Whom notices, mails and bug reports concern.

use super::{Pair, Tracing, both, differing};
use crate::id::UserId;
use crate::model::Notice;
use crate::model::notice::To;

/// Admins are told of whatever belongs to somebody, and this is nobody's number.
const NOBODY: UserId = UserId(0);

impl Tracing<'_> {
    pub(super) fn notices(&mut self) {
        let (before, after) = (self.before, self.after);
        for pair in differing(&before.notices, &after.notices) {
            self.notice(pair);
        }
        for pair in differing(&before.readers, &after.readers) {
            let users = both(pair).map(|reader| reader.user);
            self.touched.owners.extend(users);
        }
        for pair in differing(&before.bugs, &after.bugs) {
            self.touched.owners.insert(NOBODY);
            let users = both(pair).filter_map(|bug| bug.by);
            self.touched.owners.extend(users);
        }
        let mails = differing(&before.mails, &after.mails).next().is_some();
        if mails || before.mail_server != after.mail_server {
            self.touched.owners.insert(NOBODY);
        }
    }

    fn notice(&mut self, pair: Pair<'_, Notice>) {
        for notice in both(pair) {
            self.touched.owners.extend(notice.author);
            match notice.to {
                To::User(user) => {
                    self.touched.owners.insert(user);
                }
                To::Admins => {
                    self.touched.owners.insert(NOBODY);
                }
                To::Group(_) | To::All => self.touched.shared = true,
            }
        }
    }
}
