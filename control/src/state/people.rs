//! Accounts and logins.

use super::State;
use crate::id::{SecretHash, UserId};
use crate::model::{Session, User};
use crate::name::Name;

impl State {
    #[must_use]
    pub fn user_named(&self, name: &Name) -> Option<&User> {
        self.users.get(self.lookup.user_by_name.get(name)?)
    }

    /// Everybody, by name.
    pub fn users_by_name(&self) -> impl Iterator<Item = &User> {
        let users = self.lookup.user_by_name.values();
        users.filter_map(|id| self.users.get(id))
    }

    pub(crate) fn put_user(&mut self, user: User) {
        self.lookup.user_by_name.insert(user.name.clone(), user.id);
        self.lookup.accounts.put_user(&user);
        self.users.insert(user.id, user);
    }

    pub(crate) fn remove_user(&mut self, id: &UserId) {
        if let Some(user) = self.users.remove(id) {
            self.lookup.user_by_name.remove(&user.name);
            self.lookup.accounts.remove_user(&user);
        }
    }

    pub(crate) fn put_session(&mut self, session: Session) {
        self.sessions.insert(session.id, session);
    }

    pub(crate) fn remove_session(&mut self, id: &SecretHash) {
        self.sessions.remove(id);
    }
}
