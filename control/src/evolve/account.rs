//! Accounts, requests for them, and logins.

use crate::account::event::AccountEvent;
use crate::id::{SecretHash, UserId};
use crate::model::Session;
use crate::model::account::{Account, Standing, Verdict};
use crate::state::State;

pub(super) fn evolve(state: &mut State, event: AccountEvent) {
    match event {
        AccountEvent::PolicySet { policy } => state.account_policy = Some(policy),
        AccountEvent::Applied { application } => state.put_application(application),
        AccountEvent::Approved {
            application,
            account,
        } => {
            super::identity::approved(state, application, account.user);
            state.remove_application(&application);
            change(state, account.user, |row| *row = account);
        }
        AccountEvent::Declined {
            application,
            verdict,
            ..
        } => {
            if let Some(row) = state.applications.get_mut(&application) {
                row.declined = Some(verdict);
            }
        }
        AccountEvent::ApplicationForgotten { application } => {
            super::identity::application_gone(state, application);
            state.remove_application(&application);
        }
        AccountEvent::ProfileSet { user, profile } => {
            change(state, user, |row| row.profile = profile);
        }
        AccountEvent::Locked { user, verdict } => {
            super::notice::kept_out(state, user);
            stands(state, user, Standing::Locked, verdict);
        }
        AccountEvent::Unlocked { user, verdict } => stands(state, user, Standing::Active, verdict),
        AccountEvent::Leaving { user, verdict } => {
            super::notice::kept_out(state, user);
            stands(state, user, Standing::Leaving, verdict);
        }
        AccountEvent::Left { user, .. } => left(state, user),
        AccountEvent::LoginOpened { login } => {
            if state.sessions.contains_key(&login.id) {
                state.put_login(login);
            }
        }
        AccountEvent::TokenUsed { number, day, .. } => {
            let id = state.login_numbered(number).map(|login| login.id);
            let login = id.and_then(|id| state.logins.get_mut(&id));
            if let Some(token) = login.and_then(|login| login.token.as_mut()) {
                token.used_day = Some(day);
            }
        }
        AccountEvent::HashUpgraded { user, hash } => {
            super::person::password_changed(state, user, hash);
        }
        AccountEvent::FactorBegun { user, factor }
        | AccountEvent::FactorConfirmed { user, factor } => {
            change(state, user, |row| row.factor = Some(factor));
        }
        AccountEvent::CodeUsed { user, step } => change(state, user, |row| {
            if let Some(factor) = &mut row.factor {
                factor.last_step = step;
            }
        }),
        AccountEvent::RecoveryCodeUsed { user, code, .. } => change(state, user, |row| {
            if let Some(factor) = &mut row.factor {
                factor.recovery.remove(&code);
            }
        }),
        AccountEvent::FactorRemoved { user, .. } => change(state, user, |row| row.factor = None),
        AccountEvent::Discarded { user, verdict } => {
            super::notice::kept_out(state, user);
            stands(state, user, Standing::Deleted, verdict);
            change(state, user, |row| {
                if let Some(factor) = &mut row.factor {
                    factor.recovery.clear();
                }
            });
        }
        AccountEvent::Restored {
            user,
            standing,
            verdict,
        } => change(state, user, |row| {
            row.standing = standing;
            row.verdict = verdict;
        }),
    }
}

fn change(state: &mut State, user: UserId, with: impl FnOnce(&mut Account)) {
    if state.users.contains_key(&user) {
        let mut account = state.account_of(user);
        with(&mut account);
        state.put_account(account);
    }
}

fn stands(state: &mut State, user: UserId, standing: Standing, verdict: Verdict) {
    change(state, user, |row| {
        row.standing = standing;
        row.verdict = Some(verdict);
    });
}

/// All that is kept by somebody's number goes with them.
fn left(state: &mut State, user: UserId) {
    if let Some(network) = state.network_of(user).map(|network| network.id) {
        state.remove_network(&network);
    }
    super::notice::left(state, user);
    super::trash::person_left(state, user);
    super::identity::left(state, user);
    state.remove_image_quota_of(&user);
    state.remove_user_quota(&user);
    state.remove_user_home(&user);
    state.remove_account(&user);
    super::bean::user_left(state, user);
    state.remove_user(&user);
}

/// What was known of another login with this secret is not of this one.
pub(super) fn session_opened(state: &mut State, session: Session) {
    state.remove_login(&session.id);
    state.put_session(session);
}

pub(super) fn session_closed(state: &mut State, id: &SecretHash) {
    super::service::session_closed(state, *id);
    state.remove_login(id);
    state.remove_session(id);
}
