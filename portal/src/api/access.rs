//! How one gets in: logging in and out, one's logins, tokens of programs, the second factor.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, Path, Query, State};
use docklet_control::account::command::AccountCommand;
use docklet_control::id::{LogIndex, UserId};
use docklet_control::model::account::Scope;
use docklet_control::model::{Receipt, SessionKind};
use docklet_control::view::account::{self, LoginView};
use docklet_control::{Command, Refusal};
use serde::{Deserialize, Serialize};

use super::Body;
use crate::asker::{Asker, propose};
use crate::login::{self, Credentials};
use crate::openapi::Created;
use crate::problem::Problem;
use crate::serve::Portal;
use crate::{accounts, totp};

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogIn {
    user: String,
    password: String,
    code: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct LoggedIn {
    token: String,
    index: LogIndex,
    expires_in_s: u64,
}

pub(crate) async fn log_in(
    State(portal): State<Portal>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    Body(body): Body<LogIn>,
) -> Result<Json<LoggedIn>, Problem> {
    let given = Credentials {
        name: body.user,
        password: body.password,
        code: body.code,
    };
    let opened = login::log_in(&portal, client.ip(), given, SessionKind::Token).await?;
    Ok(Json(LoggedIn {
        token: opened.secret,
        index: opened.index,
        expires_in_s: opened.ttl.as_secs(),
    }))
}

pub(crate) async fn log_out(
    State(portal): State<Portal>,
    asker: Asker,
) -> Result<Json<Receipt>, Problem> {
    let command = Command::CloseSession { id: asker.session };
    Ok(Json(propose(&portal, &asker, command).await?))
}

/// Whose logins; one's own if nobody is named.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Whose {
    user: Option<String>,
}

impl Whose {
    fn id(&self, asker: &Asker) -> Result<UserId, Problem> {
        match &self.user {
            Some(name) => Ok(accounts::find(asker, name)?.id),
            None => Ok(asker.user.id),
        }
    }
}

pub(crate) async fn logins(
    asker: Asker,
    Query(whose): Query<Whose>,
) -> Result<Json<Vec<LoginView>>, Problem> {
    let user = whose.id(&asker)?;
    let state = &asker.frozen.state;
    Ok(Json(account::logins(state, user, asker.session)))
}

pub(crate) async fn end(
    State(portal): State<Portal>,
    asker: Asker,
    Path(number): Path<LogIndex>,
    Query(whose): Query<Whose>,
) -> Result<Json<Receipt>, Problem> {
    let user = whose.id(&asker)?;
    let command = Command::Account(AccountCommand::EndLogin { user, number });
    Ok(Json(propose(&portal, &asker, command).await?))
}

/// All but the one by which this is asked, which is nobody else's.
pub(crate) async fn end_others(
    State(portal): State<Portal>,
    asker: Asker,
    Query(whose): Query<Whose>,
) -> Result<Json<Receipt>, Problem> {
    let user = whose.id(&asker)?;
    let keep = asker.session;
    let command = Command::Account(AccountCommand::EndOtherLogins { user, keep });
    Ok(Json(propose(&portal, &asker, command).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewAccessToken")]
pub(crate) struct NewToken {
    name: String,
    scopes: BTreeSet<Scope>,
    ttl_s: u64,
}

/// The secret leaves in this answer and is stored nowhere.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "MadeToken")]
pub(crate) struct Made {
    token: String,
    receipt: Receipt,
}

pub(crate) async fn create_token(
    State(portal): State<Portal>,
    asker: Asker,
    Body(body): Body<NewToken>,
) -> Result<Created<Made>, Problem> {
    let ttl_ms = body.ttl_s.saturating_mul(1_000);
    let (token, command) = accounts::new_token(body.name, body.scopes, ttl_ms);
    let receipt = propose(&portal, &asker, command).await?;
    Ok(Created(Made { token, receipt }))
}

/// One's own token of that name ends.
pub(crate) async fn revoke_token(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
) -> Result<Json<Receipt>, Problem> {
    let user = asker.user.id;
    let mut logins = asker.frozen.state.logins_of(user);
    let named = logins.find(|login| {
        let token = login.token.as_ref();
        token.is_some_and(|token| token.name.as_str() == name)
    });
    let absent = || Refusal::not_found("token", name.escape_debug());
    let number = named.ok_or_else(absent)?.number;
    let command = Command::Account(AccountCommand::EndLogin { user, number });
    Ok(Json(propose(&portal, &asker, command).await?))
}

/// What one's device takes in.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Begun {
    secret: String,
    uri: String,
}

pub(crate) async fn begin_factor(
    State(portal): State<Portal>,
    asker: Asker,
) -> Result<Json<Begun>, Problem> {
    let (secret, uri) = accounts::begin_factor(&portal, &asker).await?;
    let secret = totp::base32(&secret.0);
    Ok(Json(Begun { secret, uri }))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ShownCode")]
pub(crate) struct Shown {
    code: String,
}

/// Shown this once.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Confirmed {
    recovery: Vec<String>,
}

pub(crate) async fn confirm_factor(
    State(portal): State<Portal>,
    asker: Asker,
    Body(Shown { code }): Body<Shown>,
) -> Result<Json<Confirmed>, Problem> {
    let (recovery, _) = accounts::confirm_factor(&portal, &asker, &code).await?;
    Ok(Json(Confirmed { recovery }))
}
