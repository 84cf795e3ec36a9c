//! Notices: read by whom they are for, told and taken back by who may.

use axum::Json;
use axum::extract::{Path, Query, State};
use docklet_control::id::NoticeId;
use docklet_control::model::Receipt;
use docklet_control::model::notice::{MailWish, Severity};
use docklet_control::notice::command::{Audience, NewNotice, NoticeCommand};
use docklet_control::trash::command::Thing;
use docklet_control::view::notice;
use docklet_control::view::{InboxView, NoticeView};
use docklet_control::{Command, Refusal, trash};
use serde::Deserialize;

use super::Body;
use super::vcluster::Deleted;
use crate::asker::{Asker, propose};
use crate::openapi::Created;
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn list(asker: Asker) -> Json<InboxView> {
    Json(notice::list(&asker.frozen.state, &asker.user))
}

/// What was said to groups and everybody that the asker may take back.
pub(crate) async fn announced(asker: Asker) -> Json<Vec<NoticeView>> {
    Json(notice::announced(&asker.frozen.state, &asker.user))
}

pub(crate) async fn show(
    asker: Asker,
    Path(id): Path<NoticeId>,
) -> Result<Json<NoticeView>, Problem> {
    let found = notice::numbered(&asker.frozen.state, &asker.user, id);
    Ok(Json(found.ok_or_else(|| Refusal::not_found("notice", id))?))
}

async fn ask(
    portal: &Portal,
    asker: &Asker,
    command: NoticeCommand,
) -> Result<Json<Receipt>, Problem> {
    Ok(Json(
        propose(portal, asker, Command::Notice(command)).await?,
    ))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Announced {
    /// One person; or a group; or everybody if neither is given.
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    severity: Severity,
    title: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    link: String,
    #[serde(default)]
    ttl_ms: Option<u64>,
    #[serde(default)]
    mail: bool,
}

pub(crate) async fn announce(
    State(portal): State<Portal>,
    asker: Asker,
    Body(body): Body<Announced>,
) -> Result<Created<Receipt>, Problem> {
    let to = match (body.user, body.group) {
        (Some(user), None) => Audience::User(user),
        (None, Some(group)) => Audience::Group(group),
        (None, None) => Audience::All,
        (Some(_), Some(_)) => {
            let cause = "it is for a person or for a group, not for both".to_owned();
            return Err(Problem::malformed("request body", cause));
        }
    };
    let new = NewNotice {
        to,
        severity: body.severity,
        title: body.title,
        body: body.body,
        link: body.link,
        ttl_ms: body.ttl_ms,
        mail: body.mail,
    };
    let Json(receipt) = ask(&portal, &asker, NoticeCommand::Announce(new)).await?;
    Ok(Created(receipt))
}

pub(crate) async fn withdraw(
    State(portal): State<Portal>,
    asker: Asker,
    Path(notice): Path<NoticeId>,
    Query(query): Query<Deleted>,
) -> Result<Json<Receipt>, Problem> {
    let command = trash::deleting(&asker.frozen.state, Thing::Notice { notice }, query.now);
    Ok(Json(propose(&portal, &asker, command).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HaveRead {
    /// These.
    #[serde(default)]
    notices: Vec<NoticeId>,
    /// Or all up to this one.
    #[serde(default)]
    upto: Option<NoticeId>,
}

pub(crate) async fn read(
    State(portal): State<Portal>,
    asker: Asker,
    Body(HaveRead { notices, upto }): Body<HaveRead>,
) -> Result<Json<Receipt>, Problem> {
    let command = match upto {
        Some(upto) => NoticeCommand::ReadAll { upto },
        None => NoticeCommand::Read { notices },
    };
    ask(&portal, &asker, command).await
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wished {
    wish: MailWish,
}

pub(crate) async fn set_wish(
    State(portal): State<Portal>,
    asker: Asker,
    Body(Wished { wish }): Body<Wished>,
) -> Result<Json<Receipt>, Problem> {
    ask(&portal, &asker, NoticeCommand::SetWish { wish }).await
}
