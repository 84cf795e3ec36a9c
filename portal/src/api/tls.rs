//! The public certificates of the master that is asked, those between masters and workers, and how the cluster gets itself some; for admins.

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use docklet_control::acme::command::AcmeCommand;
use docklet_control::model::Receipt;
use docklet_control::model::acme::{AcmeBinding, AcmeSetting};
use docklet_control::view::acme;
use docklet_control::{Command, permit};
use serde::Deserialize;

use super::Body;
use crate::asker::{Asker, propose};
use crate::between;
use crate::problem::Problem;
use crate::public::TlsView;
use crate::serve::Portal;

pub(crate) async fn show(
    State(portal): State<Portal>,
    asker: Asker,
) -> Result<Json<TlsView>, Problem> {
    let state = &asker.frozen.state;
    permit::admin(state, asker.actor(), "see the public certificates")?;
    let observed = portal.master.observe().await;
    let cluster = between::show(&portal, state, &observed);
    Ok(Json(TlsView {
        cluster: Some(cluster),
        ..portal.public.view(&portal.name, acme::show(state))
    }))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GivenAcme")]
pub(crate) struct Given {
    directory: String,
    #[serde(default)]
    contacts: Vec<String>,
    domains: Vec<String>,
    #[serde(default)]
    authorities: String,
    #[serde(default)]
    external_account: Option<ExternalAccount>,
    #[serde(default)]
    terms_agreed: bool,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExternalAccount {
    key_id: String,
    /// As authorities hand it out: base64 for URLs.
    key: String,
}

async fn ask(
    portal: &Portal,
    asker: &Asker,
    command: AcmeCommand,
) -> Result<Json<Receipt>, Problem> {
    let command = Command::Acme(command);
    Ok(Json(propose(portal, asker, command).await?))
}

pub(crate) async fn set(
    State(portal): State<Portal>,
    asker: Asker,
    Body(given): Body<Given>,
) -> Result<Json<Receipt>, Problem> {
    let binding = given.external_account.map(|account| {
        let key = URL_SAFE_NO_PAD.decode(account.key.trim().trim_end_matches('='));
        let key = key.map_err(|_| {
            let cause = "it is not base64 as authorities hand it out".to_owned();
            Problem::malformed("key of the external account", cause)
        })?;
        Ok::<_, Problem>(AcmeBinding {
            key_id: account.key_id,
            key: portal.seal.close(&key),
        })
    });
    let setting = AcmeSetting {
        directory: given.directory,
        contacts: given.contacts,
        domains: given.domains,
        authorities: given.authorities,
        binding: binding.transpose()?,
        terms_agreed: given.terms_agreed,
    };
    ask(&portal, &asker, AcmeCommand::Set { setting }).await
}

pub(crate) async fn unset(
    State(portal): State<Portal>,
    asker: Asker,
) -> Result<Json<Receipt>, Problem> {
    ask(&portal, &asker, AcmeCommand::Off).await
}

pub(crate) async fn renew(
    State(portal): State<Portal>,
    asker: Asker,
) -> Result<Json<Receipt>, Problem> {
    ask(&portal, &asker, AcmeCommand::Renew).await
}
