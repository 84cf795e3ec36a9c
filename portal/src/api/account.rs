//! Accounts: requests for them, and what admins and their people do with them.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, Path, Query, State};
use docklet_control::account::command::{AccountCommand, Proof};
use docklet_control::id::LogIndex;
use docklet_control::model::account::{AccountPolicy, Profile};
use docklet_control::model::{Receipt, Role, User};
use docklet_control::trash::command::Thing;
use docklet_control::view::account::{self, ApplicationView, UserView};
use docklet_control::{Command, permit, trash};
use serde::{Deserialize, Serialize};

use super::Body;
use crate::asker::{Asker, propose};
use crate::login;
use crate::openapi::Heard;
use crate::part::{self, Asked, Rows};
use crate::problem::Problem;
use crate::register::{self, Wish};
use crate::serve::Portal;
use crate::{accounts, password};

#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registration {
    open: bool,
}

/// For everybody, logged in or not.
pub(crate) async fn registration(State(portal): State<Portal>) -> Json<Registration> {
    let AccountPolicy { registration: open } = register::policy(&portal);
    Json(Registration { open })
}

pub(crate) async fn set_registration(
    State(portal): State<Portal>,
    asker: Asker,
    Body(Registration { open }): Body<Registration>,
) -> Result<Json<Receipt>, Problem> {
    ask(&portal, &asker, AccountCommand::SetRegistration { open }).await
}

/// Of a stranger. The answer says no more than that it was taken.
pub(crate) async fn register(
    State(portal): State<Portal>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    Body(wish): Body<Wish>,
) -> Result<Heard, Problem> {
    register::register(&portal, client.ip(), wish).await?;
    Ok(Heard)
}

pub(crate) async fn applications(asker: Asker) -> Result<Json<Vec<ApplicationView>>, Problem> {
    let state = &asker.frozen.state;
    permit::admin(state, asker.actor(), "list requests for accounts")?;
    Ok(Json(account::applications(state)))
}

pub(crate) async fn application(
    asker: Asker,
    Path(id): Path<LogIndex>,
) -> Result<Json<ApplicationView>, Problem> {
    Ok(Json(accounts::application(&asker, id)?))
}

#[derive(Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AccountApproval")]
pub(crate) struct Approval {
    #[serde(default)]
    name: Option<String>,
}

pub(crate) async fn approve(
    State(portal): State<Portal>,
    asker: Asker,
    Path(application): Path<LogIndex>,
    Body(Approval { name }): Body<Approval>,
) -> Result<Json<Receipt>, Problem> {
    let command = AccountCommand::Approve { application, name };
    ask(&portal, &asker, command).await
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AccountReason")]
pub(crate) struct Reason {
    reason: String,
}

pub(crate) async fn decline(
    State(portal): State<Portal>,
    asker: Asker,
    Path(application): Path<LogIndex>,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Json<Receipt>, Problem> {
    let command = AccountCommand::Decline {
        application,
        reason,
    };
    ask(&portal, &asker, command).await
}

pub(crate) async fn users(asker: Asker, Query(asked): Query<Asked>) -> Rows<UserView> {
    part::answer(&asked, "/api/v1/users", |wanted| {
        account::part(&asker.frozen.state, &asker.user, wanted)
    })
}

pub(crate) async fn user(
    asker: Asker,
    Path(name): Path<String>,
) -> Result<Json<UserView>, Problem> {
    let user = accounts::find(&asker, &name)?;
    Ok(Json(account::show(&asker.frozen.state, user)))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    name: String,
    password: String,
    role: Role,
}

pub(crate) async fn create_user(
    State(portal): State<Portal>,
    asker: Asker,
    Body(body): Body<NewUser>,
) -> Result<Json<Receipt>, Problem> {
    // Whoever may not shall not make the master work.
    permit::admin(&asker.frozen.state, asker.actor(), "CreateUser")?;
    let command = Command::CreateUser {
        name: body.name,
        role: body.role,
        password_hash: password::hash_in_turn(body.password, asker.address()).await?,
    };
    Ok(Json(propose(&portal, &asker, command).await?))
}

pub(crate) async fn lock(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Json<Receipt>, Problem> {
    let user = accounts::find(&asker, &name)?.id;
    ask(&portal, &asker, AccountCommand::Lock { user, reason }).await
}

pub(crate) async fn unlock(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
) -> Result<Json<Receipt>, Problem> {
    let user = accounts::find(&asker, &name)?.id;
    ask(&portal, &asker, AccountCommand::Unlock { user }).await
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deletion {
    /// With what it owns.
    #[serde(default)]
    with_data: bool,
    /// For good, without the time in which it could be undone.
    #[serde(default)]
    now: bool,
}

pub(crate) async fn delete(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Query(Deletion { with_data, now }): Query<Deletion>,
) -> Result<Json<Receipt>, Problem> {
    let user = accounts::find(&asker, &name)?.id;
    let thing = Thing::Account { user, with_data };
    let command = trash::deleting(&asker.frozen.state, thing, now);
    Ok(Json(propose(&portal, &asker, command).await?))
}

pub(crate) async fn set_profile(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Body(profile): Body<Profile>,
) -> Result<Json<Receipt>, Problem> {
    let user = accounts::find(&asker, &name)?.id;
    ask(
        &portal,
        &asker,
        AccountCommand::SetProfile { user, profile },
    )
    .await
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPassword {
    password: String,
    /// The one before, of oneself.
    current: Option<String>,
    /// What one's device shows, of oneself with a second factor.
    code: Option<String>,
}

pub(crate) async fn change_password(
    State(portal): State<Portal>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    asker: Asker,
    Path(name): Path<String>,
    Body(body): Body<NewPassword>,
) -> Result<Json<Receipt>, Problem> {
    let user = accounts::find(&asker, &name)?.clone();
    if user.id == asker.user.id {
        confirm(&portal, client, &user, body.current, body.code.as_deref()).await?;
    }
    let command = accounts::new_password(&asker, user.id, body.password).await?;
    Ok(Json(propose(&portal, &asker, command).await?))
}

async fn confirm(
    portal: &Portal,
    client: SocketAddr,
    user: &User,
    current: Option<String>,
    code: Option<&str>,
) -> Result<Proof, Problem> {
    let absent = || Problem::malformed("current password", "it is missing");
    let current = current.ok_or_else(absent)?;
    login::confirm(portal, client.ip(), user, current, code).await
}

/// How one's own second factor is removed.
#[derive(Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FactorRemoval")]
pub(crate) struct Removal {
    password: Option<String>,
    code: Option<String>,
}

pub(crate) async fn remove_factor(
    State(portal): State<Portal>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    asker: Asker,
    Path(name): Path<String>,
    Body(removal): Body<Removal>,
) -> Result<Json<Receipt>, Problem> {
    let user = accounts::find(&asker, &name)?.clone();
    let own = user.id == asker.user.id;
    let code = removal.code.as_deref();
    let proof = if own {
        confirm(&portal, client, &user, removal.password, code).await?
    } else {
        Proof::Nothing
    };
    let user = user.id;
    ask(
        &portal,
        &asker,
        AccountCommand::RemoveFactor { user, proof },
    )
    .await
}

async fn ask(
    portal: &Portal,
    asker: &Asker,
    command: AccountCommand,
) -> Result<Json<Receipt>, Problem> {
    Ok(Json(
        propose(portal, asker, Command::Account(command)).await?,
    ))
}
