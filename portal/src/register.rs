//! Strangers who ask for an account.

use std::net::IpAddr;
use std::time::Instant;

use docklet_control::Command;
use docklet_control::Refusal;
use docklet_control::account::command::AccountCommand;
use docklet_control::account::refusal::AccountRefusal;
use docklet_control::model::account::{AccountPolicy, Profile};
use serde::Deserialize;

use crate::asker::OWN_WRITE_DEADLINE;
use crate::problem::Problem;
use crate::serve::Portal;
use crate::{login, password};

/// What they say.
#[derive(Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) real_name: String,
    pub(crate) mail: String,
    #[serde(default)]
    pub(crate) affiliation: String,
    pub(crate) reason: String,
}

/// As this master knows it.
pub(crate) fn policy(portal: &Portal) -> AccountPolicy {
    portal
        .master
        .local()
        .state
        .account_policy
        .unwrap_or_default()
}

/// Asks in their name. Each request counts, whatever becomes of it: many from one address wait longer and longer.
pub(crate) async fn register(portal: &Portal, client: IpAddr, wish: Wish) -> Result<(), Problem> {
    let attempt = portal.register_brake.attempt("", client, Instant::now());
    let attempt = attempt.ok_or_else(Problem::too_many_logins)?;
    tokio::time::sleep(attempt.wait).await;
    attempt.failed();
    let state = portal.master.read(OWN_WRITE_DEADLINE).await?.state;
    // A closed door hashes nothing.
    if !state.account_policy.unwrap_or_default().registration {
        return Err(Refusal::from(AccountRefusal::RegistrationClosed).into());
    }
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let apply = AccountCommand::Apply {
        name: wish.name.trim().to_owned(),
        password_hash: password::hash_in_turn(wish.password, client).await?,
        profile: Profile {
            real_name: line(&wish.real_name),
            mail: wish.mail.trim().to_owned(),
            affiliation: line(&wish.affiliation),
        },
        reason: line(&wish.reason),
    };
    login::propose(portal, Command::Account(apply)).await?;
    Ok(())
}
