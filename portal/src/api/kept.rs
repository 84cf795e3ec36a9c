//! What else than vclusters was deleted and can be had back.

use axum::Json;
use axum::extract::{Path, State};
use docklet_control::id::LogIndex;
use docklet_control::model::Receipt;
use docklet_control::trash::command::TrashCommand;
use docklet_control::view::kept::{self, KeptView};
use docklet_control::{Command, Refusal};

use super::Body;
use super::trash::Restored;
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn list(asker: Asker) -> Json<Vec<KeptView>> {
    Json(kept::list(&asker.frozen.state, &asker.user))
}

fn find(asker: &Asker, number: LogIndex) -> Result<KeptView, Refusal> {
    let views = kept::list(&asker.frozen.state, &asker.user);
    let view = views.into_iter().find(|view| view.number == number);
    view.ok_or_else(|| Refusal::not_found("deleted thing", number))
}

pub(crate) async fn restore(
    State(portal): State<Portal>,
    asker: Asker,
    Path(number): Path<LogIndex>,
    Body(body): Body<Restored>,
) -> Result<Json<Receipt>, Problem> {
    let (kind, name) = (find(&asker, number)?.kind, body.name);
    let command = Command::Trash(TrashCommand::Recover { kind, number, name });
    Ok(Json(propose(&portal, &asker, command).await?))
}

pub(crate) async fn purge(
    State(portal): State<Portal>,
    asker: Asker,
    Path(number): Path<LogIndex>,
) -> Result<Json<Receipt>, Problem> {
    let kind = find(&asker, number)?.kind;
    let command = Command::Trash(TrashCommand::Drop { kind, number });
    Ok(Json(propose(&portal, &asker, command).await?))
}
