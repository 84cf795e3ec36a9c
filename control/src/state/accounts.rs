//! Accounts beside their users, requests for them, and logins.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::State;
use crate::account::likeness::skeleton;
use crate::id::{LogIndex, SecretHash, UserId};
use crate::model::account::{Account, Application, Login, Standing};
use crate::model::{Role, User};
use crate::name::Name;

/// Look-up tables of accounts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lookup {
    /// Whoever is more than a user, as they are to those who act for them without that.
    narrowed: OrdMap<UserId, Arc<User>>,
    user_skeletons: OrdSet<(String, UserId)>,
    application_skeletons: OrdSet<(String, LogIndex)>,
    application_by_name: OrdMap<Name, LogIndex>,
    leaving: OrdSet<UserId>,
    login_by_number: OrdMap<LogIndex, SecretHash>,
    logins_by_user: OrdSet<(UserId, LogIndex)>,
    pub(super) sessions_by_user: OrdSet<(UserId, SecretHash)>,
}

impl Lookup {
    pub(super) fn put_user(&mut self, user: &User) {
        self.user_skeletons.insert((skeleton(&user.name), user.id));
        match user.role {
            Role::User => {
                self.narrowed.remove(&user.id);
            }
            Role::Operator | Role::Admin => {
                let role = Role::User;
                let narrowed = User {
                    role,
                    ..user.clone()
                };
                self.narrowed.insert(user.id, Arc::new(narrowed));
            }
        }
    }

    pub(super) fn remove_user(&mut self, user: &User) {
        self.user_skeletons.remove(&(skeleton(&user.name), user.id));
        self.narrowed.remove(&user.id);
    }
}

impl State {
    /// The person without what their role gives them.
    #[must_use]
    pub fn user_without_role(&self, id: UserId) -> Option<&User> {
        let narrowed = self.lookup.accounts.narrowed.get(&id);
        narrowed.map(Arc::as_ref).or_else(|| self.users.get(&id))
    }

    /// What is known of an account beside its user.
    #[must_use]
    pub fn account_of(&self, user: UserId) -> Account {
        let known = self.accounts.get(&user).cloned();
        known.unwrap_or_else(|| Account::plain(user))
    }

    /// The request for that name.
    #[must_use]
    pub fn application_named(&self, name: &Name) -> Option<&Application> {
        let id = self.lookup.accounts.application_by_name.get(name)?;
        self.applications.get(id)
    }

    /// Whether a name is one of an account or of an open request, or could be taken for one.
    #[must_use]
    pub fn is_taken_or_alike(&self, name: &Name) -> bool {
        let (looks, lookup) = (skeleton(name), &self.lookup.accounts);
        let users = (looks.clone(), UserId(0))..=(looks.clone(), UserId(u64::MAX));
        let requests = (looks.clone(), LogIndex(0))..=(looks, LogIndex(u64::MAX));
        let open = |id: &LogIndex| {
            self.applications
                .get(id)
                .is_some_and(|row| row.declined.is_none())
        };
        let mut requests = lookup.application_skeletons.range(requests);
        lookup.user_skeletons.range(users).next().is_some() || requests.any(|(_, id)| open(id))
    }

    /// Accounts that go.
    pub fn leaving_users(&self) -> impl Iterator<Item = UserId> {
        self.lookup.accounts.leaving.iter().copied()
    }

    /// The login that people call by this number.
    #[must_use]
    pub fn login_numbered(&self, number: LogIndex) -> Option<&Login> {
        self.logins
            .get(self.lookup.accounts.login_by_number.get(&number)?)
    }

    /// Logins of a person of which more than their secret is known, the oldest first.
    pub fn logins_of(&self, user: UserId) -> impl Iterator<Item = &Login> {
        let range = (user, LogIndex(0))..=(user, LogIndex(u64::MAX));
        let found = self.lookup.accounts.logins_by_user.range(range);
        found.filter_map(|(_, number)| self.login_numbered(*number))
    }

    pub(crate) fn put_account(&mut self, account: Account) {
        let leaving = &mut self.lookup.accounts.leaving;
        if account.standing == Standing::Leaving {
            leaving.insert(account.user);
        } else {
            leaving.remove(&account.user);
        }
        self.accounts.insert(account.user, account);
    }

    pub(crate) fn remove_account(&mut self, user: &UserId) {
        self.lookup.accounts.leaving.remove(user);
        self.accounts.remove(user);
    }

    pub(crate) fn put_application(&mut self, application: Application) {
        self.remove_application(&application.id);
        let (name, id) = (application.name.clone(), application.id);
        let lookup = &mut self.lookup.accounts;
        lookup.application_skeletons.insert((skeleton(&name), id));
        lookup.application_by_name.insert(name, id);
        self.applications.insert(id, application);
    }

    pub(crate) fn remove_application(&mut self, id: &LogIndex) {
        if let Some(application) = self.applications.remove(id) {
            let (name, lookup) = (application.name, &mut self.lookup.accounts);
            lookup.application_skeletons.remove(&(skeleton(&name), *id));
            lookup.application_by_name.remove(&name);
        }
    }

    pub(crate) fn put_login(&mut self, login: Login) {
        self.remove_login(&login.id);
        let lookup = &mut self.lookup.accounts;
        lookup.login_by_number.insert(login.number, login.id);
        lookup.logins_by_user.insert((login.user, login.number));
        self.logins.insert(login.id, login);
    }

    pub(crate) fn remove_login(&mut self, id: &SecretHash) {
        if let Some(login) = self.logins.remove(id) {
            let lookup = &mut self.lookup.accounts;
            lookup.login_by_number.remove(&login.number);
            lookup.logins_by_user.remove(&(login.user, login.number));
        }
    }
}
