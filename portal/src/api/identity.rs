//! Who else says who people are, for admins; and letting go of one's connections.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use docklet_control::id::IdentityId;
use docklet_control::identity::command::IdentityCommand;
use docklet_control::model::Receipt;
use docklet_control::model::account::LoginWay;
use docklet_control::model::identity::{ClientSecret, Newcomers, OidcProvider, PamDoor};
use docklet_control::view::identity::{self, ProviderView};
use docklet_control::{Command, permit};
use serde::Deserialize;

use super::Body;
use crate::accounts;
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;

async fn ask(
    portal: &Portal,
    asker: &Asker,
    command: IdentityCommand,
) -> Result<Json<Receipt>, Problem> {
    Ok(Json(
        propose(portal, asker, Command::Identity(command)).await?,
    ))
}

/// None if people log in without one.
pub(crate) async fn provider(asker: Asker) -> Result<Json<Option<ProviderView>>, Problem> {
    let state = &asker.frozen.state;
    permit::admin(state, asker.actor(), "see the OpenID provider")?;
    Ok(Json(identity::provider(state)))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GivenProvider")]
pub(crate) struct Given {
    label: String,
    issuer: String,
    client_id: String,
    /// That of before, of the same issuer and client, if absent.
    #[serde(default)]
    secret: String,
    #[serde(default)]
    domains: BTreeSet<String>,
    #[serde(default)]
    newcomers: Newcomers,
    #[serde(default)]
    authorities: String,
    #[serde(default)]
    portal: String,
}

pub(crate) async fn set_provider(
    State(portal): State<Portal>,
    asker: Asker,
    Body(given): Body<Given>,
) -> Result<Json<Receipt>, Problem> {
    let provider = OidcProvider {
        label: given.label,
        issuer: given.issuer,
        client_id: given.client_id,
        secret: ClientSecret(given.secret),
        domains: given.domains,
        newcomers: given.newcomers,
        authorities: given.authorities,
        portal: given.portal,
    };
    let provider = Some(Box::new(provider));
    ask(&portal, &asker, IdentityCommand::SetProvider { provider }).await
}

pub(crate) async fn unset_provider(
    State(portal): State<Portal>,
    asker: Asker,
) -> Result<Json<Receipt>, Problem> {
    let provider = None;
    ask(&portal, &asker, IdentityCommand::SetProvider { provider }).await
}

/// None if nobody logs in so.
pub(crate) async fn pam(asker: Asker) -> Result<Json<Option<PamDoor>>, Problem> {
    let state = &asker.frozen.state;
    permit::admin(state, asker.actor(), "see who logs in by PAM")?;
    Ok(Json(identity::pam(state)))
}

pub(crate) async fn set_pam(
    State(portal): State<Portal>,
    asker: Asker,
    Body(pam): Body<PamDoor>,
) -> Result<Json<Receipt>, Problem> {
    let pam = Some(pam);
    ask(&portal, &asker, IdentityCommand::SetPam { pam }).await
}

pub(crate) async fn unset_pam(
    State(portal): State<Portal>,
    asker: Asker,
) -> Result<Json<Receipt>, Problem> {
    ask(&portal, &asker, IdentityCommand::SetPam { pam: None }).await
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Way {
    way: LoginWay,
}

pub(crate) async fn set_way(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Body(Way { way }): Body<Way>,
) -> Result<Json<Receipt>, Problem> {
    let user = accounts::find(&asker, &name)?.id;
    ask(&portal, &asker, IdentityCommand::SetWay { user, way }).await
}

pub(crate) async fn disconnect(
    State(portal): State<Portal>,
    asker: Asker,
    Path((name, identity)): Path<(String, IdentityId)>,
) -> Result<Json<Receipt>, Problem> {
    let user = accounts::find(&asker, &name)?.id;
    let command = IdentityCommand::Disconnect { user, identity };
    ask(&portal, &asker, command).await
}
