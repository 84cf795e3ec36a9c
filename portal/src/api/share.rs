//! Shared terminals: which there are, making one, and ending one.

use axum::Json;
use axum::extract::{Path, State};
use docklet_control::Command;
use docklet_control::id::LogIndex;
use docklet_control::model::Receipt;
use docklet_control::terminal::command::TerminalCommand;
use docklet_control::view::ShareView;
use docklet_control::view::terminal as views;
use serde::{Deserialize, Serialize};

use super::Body;
use crate::asker::{Asker, now, propose};
use crate::login;
use crate::pages::share::parse_session;
use crate::problem::Problem;
use crate::serve::Portal;
use crate::shared;
use crate::worker::find_vnode;

pub(crate) async fn list(asker: Asker) -> Json<Vec<ShareView>> {
    Json(views::list(&asker.frozen.state, &asker.user, now()))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WantedShare")]
pub(crate) struct Wanted {
    /// 32 hexadecimal digits, as they were given when the terminal was opened.
    session: String,
    /// Guests may type, too.
    #[serde(default)]
    types: bool,
    minutes: u32,
}

/// What is told this once.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Shared {
    /// A path, on whichever master.
    link: String,
    receipt: Receipt,
}

pub(crate) async fn share(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode)): Path<(String, String)>,
    Body(wanted): Body<Wanted>,
) -> Result<Json<Shared>, Problem> {
    let vnode = find_vnode(&asker.frozen.state, &asker.user, &vcluster, &vnode)?.id;
    let secret = shared::new_secret();
    let command = TerminalCommand::Share {
        vnode,
        session: parse_session(&wanted.session)?,
        secret: login::hash_of(&secret),
        types: wanted.types,
        minutes: wanted.minutes,
    };
    let receipt = propose(&portal, &asker, Command::Terminal(command)).await?;
    let link = shared::path(&secret);
    Ok(Json(Shared { link, receipt }))
}

pub(crate) async fn end(
    State(portal): State<Portal>,
    asker: Asker,
    Path(share): Path<LogIndex>,
) -> Result<Json<Receipt>, Problem> {
    let command = Command::Terminal(TerminalCommand::Unshare { share });
    Ok(Json(propose(&portal, &asker, command).await?))
}
