//! What pages and API do alike with accounts: finding one, and making secrets of which only hashes enter the log.

use std::collections::BTreeSet;

use docklet_control::account::command::{AccountCommand, Proof};
use docklet_control::account::refusal::AccountRefusal;
use docklet_control::id::{LogIndex, UserId};
use docklet_control::model::account::{FactorSecret, Scope};
use docklet_control::model::{Receipt, User};
use docklet_control::view::account::{self, ApplicationView};
use docklet_control::{Command, Refusal, permit};

use crate::asker::{Asker, OWN_WRITE_DEADLINE, now, propose};
use crate::problem::Problem;
use crate::serve::Portal;
use crate::{login, password, totp};

/// The account of that name, if the asker may see it: their own, or any for an admin.
pub(crate) fn find<'a>(asker: &'a Asker, name: &str) -> Result<&'a User, Problem> {
    let found = account::named(&asker.frozen.state, &asker.user, name);
    let absent = || Refusal::not_found("user", name.escape_debug());
    Ok(found.ok_or_else(absent)?)
}

/// A request for an account, for admins.
pub(crate) fn application(asker: &Asker, id: LogIndex) -> Result<ApplicationView, Problem> {
    let state = &asker.frozen.state;
    permit::admin(state, asker.actor(), "look at requests for accounts")?;
    let found = account::application(state, id);
    Ok(found.ok_or_else(|| Refusal::not_found("request for an account", id))?)
}

/// A password that is hashed only for whoever may set it.
pub(crate) async fn new_password(
    asker: &Asker,
    user: UserId,
    password: String,
) -> Result<Command, Problem> {
    let command = |password_hash| Command::ChangePassword {
        user,
        password_hash,
    };
    permit::check(&asker.frozen.state, asker.actor(), &command(String::new()))?;
    Ok(command(
        password::hash_in_turn(password, asker.address()).await?,
    ))
}

/// A token's text, and what makes it one.
pub(crate) fn new_token(name: String, scopes: BTreeSet<Scope>, ttl_ms: u64) -> (String, Command) {
    let secret = format!("docklet_{}", login::fresh_secret());
    let command = AccountCommand::CreateToken {
        id: login::hash_of(&secret),
        name,
        scopes,
        ttl_ms,
    };
    (secret, Command::Account(command))
}

/// A secret for the asker's device, and the address that says it.
pub(crate) async fn begin_factor(
    portal: &Portal,
    asker: &Asker,
) -> Result<(FactorSecret, String), Problem> {
    let secret = totp::fresh_secret();
    let begin = AccountCommand::BeginFactor {
        secret: secret.clone(),
    };
    propose(portal, asker, Command::Account(begin)).await?;
    Ok((secret.clone(), uri(asker, &secret)))
}

/// What the asker's device reads.
pub(crate) fn uri(asker: &Asker, secret: &FactorSecret) -> String {
    let settings = asker.frozen.state.settings.as_ref();
    let cluster = settings.map_or_else(|| "docklet".to_owned(), |row| row.name.to_string());
    totp::uri(&cluster, asker.user.name.as_str(), secret)
}

/// The device has the secret: from now on it counts. Answers codes for when it is lost.
pub(crate) async fn confirm_factor(
    portal: &Portal,
    asker: &Asker,
    code: &str,
) -> Result<(Vec<String>, Receipt), Problem> {
    let state = portal.master.read(OWN_WRITE_DEADLINE).await?.state;
    let account = state.account_of(asker.user.id);
    let proof = account
        .factor
        .as_ref()
        .map(|row| totp::proof(row, code, now()));
    let step = match proof {
        Some(Some(Proof::Code { step })) => step,
        Some(Some(Proof::Recovery { .. } | Proof::Nothing) | None) => {
            return Err(Refusal::from(AccountRefusal::CodeWrong).into());
        }
        // What is to be refused, decide says.
        None => 0,
    };
    let codes = totp::fresh_recovery();
    let recovery = codes.iter().map(|code| totp::hash_of(code)).collect();
    let confirm = AccountCommand::ConfirmFactor { step, recovery };
    let receipt = propose(portal, asker, Command::Account(confirm)).await?;
    Ok((codes, receipt))
}
