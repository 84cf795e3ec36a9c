//! Settings of the whole cluster: what they are and were, and going back.

use axum::Json;
use axum::extract::{Path, State};
use docklet_control::id::LogIndex;
use docklet_control::model::Receipt;
use docklet_control::model::setting::{SettingName, SettingValue};
use docklet_control::setting::command::SettingCommand;
use docklet_control::view::setting::{self, SettingView};
use docklet_control::{Command, Refusal, permit};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Body;
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;

const ACTION: &str = "look at settings";

/// The setting that is called so.
///
/// # Errors
/// There is none.
pub(crate) fn named(word: &str) -> Result<SettingName, Refusal> {
    let name = SettingName::of_word(word);
    name.ok_or_else(|| Refusal::not_found("setting", word.escape_debug()))
}

pub(crate) async fn list(asker: Asker) -> Result<Json<Vec<SettingView>>, Problem> {
    permit::admin(&asker.frozen.state, asker.actor(), ACTION)?;
    Ok(Json(setting::list(&asker.frozen.state)))
}

pub(crate) async fn show(
    asker: Asker,
    Path(name): Path<String>,
) -> Result<Json<SettingView>, Problem> {
    permit::admin(&asker.frozen.state, asker.actor(), ACTION)?;
    Ok(Json(setting::show(&asker.frozen.state, named(&name)?)))
}

/// The value alone, as it is shown.
pub(crate) async fn set(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Body(value): Body<Value>,
) -> Result<Json<Receipt>, Problem> {
    let name = named(&name)?;
    refuse_keys(name)?;
    let value: SettingValue = serde_json::from_value(json!({ name.word(): value }))
        .map_err(|fault| Problem::malformed(name.word(), fault))?;
    let command = Command::Setting(SettingCommand::Set { value });
    Ok(Json(propose(&portal, &asker, command).await?))
}

/// Keys of ACME are sealed by the door of that setting, and come in no other way.
fn refuse_keys(name: SettingName) -> Result<(), Refusal> {
    if name != SettingName::Acme {
        return Ok(());
    }
    Err(Refusal::Malformed {
        what: "setting".to_owned(),
        cause: "acme is set with `docklet tls acme`; only going back is done here".to_owned(),
    })
}

#[derive(Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Back {
    /// To what it was after the change by this entry; to what it was before the last change if absent.
    to: Option<LogIndex>,
}

/// What asks to go back.
pub(crate) fn back(name: SettingName, to: Option<LogIndex>) -> Command {
    Command::Setting(match to {
        Some(change) => SettingCommand::Restore { name, change },
        None => SettingCommand::Undo { name },
    })
}

pub(crate) async fn undo(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Body(body): Body<Back>,
) -> Result<Json<Receipt>, Problem> {
    let command = back(named(&name)?, body.to);
    Ok(Json(propose(&portal, &asker, command).await?))
}
