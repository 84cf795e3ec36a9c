//! What must hold of accounts, requests for them, and logins.

use std::collections::BTreeSet;

use crate::model::SessionKind;
use crate::model::account::{ApiToken, Application, SecondFactor, Standing};
use crate::state::State;

/// Rows are of somebody who is there, a token is one wherever it is told of, and nobody who is kept out is logged in.
pub(super) fn accounts_are_sound(state: &State, broken: &mut Vec<String>) {
    for account in state.accounts.values() {
        let factor = account.factor.as_ref();
        let bounded = factor.is_none_or(|row| {
            row.recovery.len() <= SecondFactor::RECOVERY_CODES
                && (row.confirmed || row.recovery.is_empty())
        });
        if !state.users.contains_key(&account.user) || !bounded {
            broken.push(format!("the account of user {} is not sound", account.user));
        }
    }
    sessions_are_of_those_who_may(state, broken);
    for login in state.logins.values() {
        let session = state.sessions.get(&login.id);
        let same = session.is_some_and(|session| {
            session.user == login.user
                && (session.kind == SessionKind::Api) == login.token.is_some()
        });
        let found = state.login_numbered(login.number) == Some(login);
        if !same || !found {
            broken.push(format!("login {} is not sound", login.number));
        }
    }
    names_of_tokens_are_unique(state, broken);
    let mut names = BTreeSet::new();
    for application in state.applications.values() {
        if !names.insert(&application.name) || names.len() > Application::KEPT_MAX {
            broken.push(format!("request {} is one too many", application.id));
        }
    }
}

fn sessions_are_of_those_who_may(state: &State, broken: &mut Vec<String>) {
    for session in state.sessions.values() {
        let account = state.accounts.get(&session.user);
        let kept_out = account.is_some_and(|account| account.standing != Standing::Active);
        let narrowed = state.logins.contains_key(&session.id);
        if kept_out || session.kind == SessionKind::Api && !narrowed {
            broken.push(format!("user {} has a login and must not", session.user));
        }
    }
}

fn names_of_tokens_are_unique(state: &State, broken: &mut Vec<String>) {
    let mut names = BTreeSet::new();
    for login in state.logins.values() {
        if let Some(token) = &login.token
            && (token.scopes.is_empty() || !names.insert((login.user, &token.name)))
        {
            broken.push(format!("token {} is not sound", login.number));
        }
    }
    for user in state.users.keys() {
        let tokens = names.iter().filter(|(owner, _)| owner == user).count();
        if tokens > ApiToken::PER_USER_MAX {
            broken.push(format!("user {user} has too many tokens"));
        }
    }
}
