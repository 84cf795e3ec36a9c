//! Mails and the server by which they go, for admins.

use axum::Json;
use axum::extract::{Path, Query, State};
use docklet_control::id::MailId;
use docklet_control::model::mail::{MailSecret, MailTls};
use docklet_control::model::{MailServer, Receipt};
use docklet_control::notice::command::NoticeCommand;
use docklet_control::notice::mail::MailCommand;
use docklet_control::view::{MailServerView, MailView, mail};
use docklet_control::{Command, permit};
use serde::Deserialize;

use super::Body;
use crate::asker::{Asker, propose};
use crate::part::{self, Asked, Rows};
use crate::problem::Problem;
use crate::serve::Portal;

/// None if no mails are sent.
pub(crate) async fn server(asker: Asker) -> Result<Json<Option<MailServerView>>, Problem> {
    let state = &asker.frozen.state;
    permit::admin(state, asker.actor(), "see the mail server")?;
    Ok(Json(mail::server(state)))
}

pub(crate) async fn queue(
    asker: Asker,
    Query(asked): Query<Asked>,
) -> Result<Rows<MailView>, Problem> {
    let state = &asker.frozen.state;
    permit::admin(state, asker.actor(), "list mails")?;
    Ok(part::answer(&asked, "/api/v1/mail/queue", |wanted| {
        mail::part(state, wanted)
    }))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GivenMailServer")]
pub(crate) struct Given {
    host: String,
    port: u16,
    tls: MailTls,
    #[serde(default)]
    user: String,
    /// That of before, of the same host and user, if absent.
    #[serde(default)]
    secret: String,
    from: String,
    #[serde(default)]
    authorities: String,
    #[serde(default)]
    portal: String,
}

async fn ask(
    portal: &Portal,
    asker: &Asker,
    command: MailCommand,
) -> Result<Json<Receipt>, Problem> {
    let command = Command::Notice(NoticeCommand::Mail(command));
    Ok(Json(propose(portal, asker, command).await?))
}

pub(crate) async fn set_server(
    State(portal): State<Portal>,
    asker: Asker,
    Body(given): Body<Given>,
) -> Result<Json<Receipt>, Problem> {
    let server = MailServer {
        host: given.host,
        port: given.port,
        tls: given.tls,
        user: given.user,
        secret: MailSecret(given.secret),
        from: given.from,
        authorities: given.authorities,
        portal: given.portal,
    };
    let server = Some(server);
    ask(&portal, &asker, MailCommand::SetServer { server }).await
}

pub(crate) async fn unset_server(
    State(portal): State<Portal>,
    asker: Asker,
) -> Result<Json<Receipt>, Problem> {
    ask(&portal, &asker, MailCommand::SetServer { server: None }).await
}

pub(crate) async fn test(
    State(portal): State<Portal>,
    asker: Asker,
) -> Result<Json<Receipt>, Problem> {
    ask(&portal, &asker, MailCommand::Test).await
}

pub(crate) async fn resend(
    State(portal): State<Portal>,
    asker: Asker,
    Path(mail): Path<MailId>,
) -> Result<Json<Receipt>, Problem> {
    ask(&portal, &asker, MailCommand::Resend { mail }).await
}
