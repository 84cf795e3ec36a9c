//! Accounts and logins.

use super::group::quota;
use super::{Building, Noun, Shown};
use crate::model::{SessionKind, UserImageQuota};
use crate::permit;

impl Shown<'_> {
    pub(super) fn people(&mut self) {
        let (state, asker) = (self.state, self.asker);
        for user in state
            .users
            .values()
            .filter(|user| permit::owns(asker, user.id))
        {
            let fields = Building::default()
                .number("id", user.id.0)
                .text("role", user.role.word())
                .text_if(
                    "image_quota_bytes",
                    own_image_quota(state.image_quotas.get(&user.id)),
                )
                .number("created_at", user.created_at.0)
                .number("home_mib", state.home_of(user.id).0)
                .group_if(
                    "quota",
                    state.user_quotas.get(&user.id).map(|own| quota(&own.quota)),
                );
            let fields = self.of_account(fields, user.id);
            self.add(Noun::Users, user.name.to_string(), user.id, fields.0);
        }
        let sessions = state.sessions.values();
        let theirs = sessions.filter(|session| permit::owns(asker, session.user));
        let mut theirs: Vec<_> = theirs.collect();
        // Not in the order of their secrets.
        theirs.sort_by_key(|session| (session.opened_at, session.expires_at, session.user));
        for session in theirs {
            let kind = match session.kind {
                SessionKind::Browser => "browser",
                SessionKind::Token => "token",
                SessionKind::Api => "api",
                SessionKind::Unproven => "unproven",
            };
            let fields = Building::default()
                .text("user", self.person(session.user))
                .text("kind", kind)
                .number("opened_at", session.opened_at.0)
                .number("expires_at", session.expires_at.0);
            let fields = self.of_login(fields, session.id);
            let name = format!("{kind}-{}", session.opened_at.0);
            let name = self.theirs(session.user, &name);
            let other = self
                .view
                .0
                .get(&Noun::Sessions)
                .map_or(0, |known| known.len());
            self.add(Noun::Sessions, name, other, fields.0);
        }
    }
}

/// What was set for one person.
fn own_image_quota(own: Option<&UserImageQuota>) -> Option<String> {
    let bytes = own?.quota.bytes;
    Some(bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string()))
}
