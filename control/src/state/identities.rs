//! Who else says who people are, and as whom.

use imbl::{OrdMap, OrdSet};

use super::State;
use crate::id::{IdentityId, LogIndex, UserId};
use crate::model::identity::{Holder, Identity, OidcProvider, PamDoor};

/// Look-up tables of identities.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lookup {
    by_user: OrdSet<(UserId, IdentityId)>,
    by_application: OrdMap<LogIndex, IdentityId>,
}

impl State {
    /// By which people log in, if there is one.
    #[must_use]
    pub fn provider(&self) -> Option<&OidcProvider> {
        let doors = self.login_doors.as_ref()?;
        doors.provider.as_ref()
    }

    /// How the masters' own people log in, if they do.
    #[must_use]
    pub fn pam(&self) -> Option<&PamDoor> {
        let doors = self.login_doors.as_ref()?;
        doors.pam.as_ref()
    }

    /// Persons of providers who are this user.
    pub fn identities_of(&self, user: UserId) -> impl Iterator<Item = &Identity> {
        let range = (user, IdentityId([0; 32]))..=(user, IdentityId([u8::MAX; 32]));
        let found = self.lookup.identities.by_user.range(range);
        found.filter_map(|(_, id)| self.identities.get(id))
    }

    /// The person of a provider who asked for an account by logging in.
    #[must_use]
    pub fn identity_of_application(&self, application: LogIndex) -> Option<&Identity> {
        let id = self.lookup.identities.by_application.get(&application)?;
        self.identities.get(id)
    }

    pub(crate) fn put_identity(&mut self, identity: Identity) {
        self.remove_identity(&identity.id);
        let lookup = &mut self.lookup.identities;
        match identity.holder {
            Holder::User(user) => {
                lookup.by_user.insert((user, identity.id));
            }
            Holder::Application(application) => {
                lookup.by_application.insert(application, identity.id);
            }
        }
        self.identities.insert(identity.id, identity);
    }

    pub(crate) fn remove_identity(&mut self, id: &IdentityId) {
        if let Some(identity) = self.identities.remove(id) {
            let lookup = &mut self.lookup.identities;
            match identity.holder {
                Holder::User(user) => {
                    lookup.by_user.remove(&(user, *id));
                }
                Holder::Application(application) => {
                    lookup.by_application.remove(&application);
                }
            }
        }
    }
}
