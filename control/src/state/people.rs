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

    /// Logins and tokens of a person.
    pub fn sessions_of(&self, user: UserId) -> impl Iterator<Item = &Session> {
        let found = self.session_ids_of(user);
        found.filter_map(|id| self.sessions.get(id))
    }

    /// How many there are.
    #[must_use]
    pub fn count_sessions_of(&self, user: UserId) -> usize {
        self.session_ids_of(user).count()
    }

    fn session_ids_of(&self, user: UserId) -> impl Iterator<Item = &SecretHash> {
        let range = (user, SecretHash([0; 32]))..=(user, SecretHash([255; 32]));
        let found = self.lookup.accounts.sessions_by_user.range(range);
        found.map(|(_, id)| id)
    }

    pub(crate) fn put_session(&mut self, session: Session) {
        let place = (session.user, session.id);
        self.lookup.accounts.sessions_by_user.insert(place);
        self.sessions.insert(session.id, session);
    }

    pub(crate) fn remove_session(&mut self, id: &SecretHash) {
        if let Some(session) = self.sessions.remove(id) {
            let place = (session.user, session.id);
            self.lookup.accounts.sessions_by_user.remove(&place);
        }
    }
}
