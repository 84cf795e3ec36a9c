//! The fields of accounts, requests for them, and logins: never what a code or a login is made from.

use super::{Building, Noun, Shown};
use crate::id::{SecretHash, UserId};
use crate::state::State;

/// Whether strangers may ask for accounts.
pub(super) fn registration(state: &State) -> &'static str {
    let policy = state.account_policy.unwrap_or_default();
    if policy.registration {
        "open"
    } else {
        "closed"
    }
}

impl Shown<'_> {
    /// Requests, for admins.
    pub(super) fn applications(&mut self) {
        for row in self.state.applications.values() {
            let declined = row.declined.as_ref();
            let fields = Building::default()
                .number("id", row.id.0)
                .text("logs_in_by", row.way.word())
                .text("real_name", &row.profile.real_name)
                .text("mail", &row.profile.mail)
                .text("affiliation", &row.profile.affiliation)
                .text("reason", &row.reason)
                .number("asked_at", row.asked_at.0)
                .text_if("declined_because", declined.map(|verdict| &verdict.reason))
                .number_if("declined_at", declined.map(|verdict| verdict.at.0));
            self.add(Noun::Applications, row.name.to_string(), row.id, fields.0);
        }
    }

    /// What is known of an account beside its user.
    pub(super) fn of_account(&self, fields: Building, user: UserId) -> Building {
        let connected = super::identity::identities(self.state, user);
        let fields = if connected.is_empty() {
            fields
        } else {
            fields.list("connected", connected)
        };
        let Some(row) = self.state.accounts.get(&user) else {
            return fields;
        };
        let factor = row.confirmed_factor();
        let fields = fields
            .text("standing", row.standing.word())
            .text("logs_in_by", row.way.word())
            .text("real_name", &row.profile.real_name)
            .text("mail", &row.profile.mail)
            .text("affiliation", &row.profile.affiliation)
            .text("second_factor", if factor.is_some() { "yes" } else { "no" });
        let left = factor.map(|factor| factor.recovery.len() as u64);
        let fields = fields.number_if("recovery_codes_left", left);
        let verdict = row.verdict.as_ref();
        fields
            .number_if("decided_at", verdict.map(|verdict| verdict.at.0))
            .text_if("decided_because", verdict.map(|verdict| &verdict.reason))
    }

    /// What is known of a login beside its session.
    pub(super) fn of_login(&self, fields: Building, id: SecretHash) -> Building {
        let Some(row) = self.state.logins.get(&id) else {
            return fields;
        };
        let fields = fields.number("number", row.number.0);
        let Some(token) = &row.token else {
            return fields
                .text("from", &row.from)
                .text("opened_by", row.way.word());
        };
        let scopes = token.scopes.iter().map(|scope| scope.word().to_owned());
        fields
            .text("name", &token.name)
            .list("scopes", scopes)
            .number_if("used_day", token.used_day)
    }
}
