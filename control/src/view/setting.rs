//! Settings as admins see them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{LogIndex, UnixMs};
use crate::model::setting::{SettingChange, SettingName, SettingValue};
use crate::setting;
use crate::state::State;

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SettingView {
    pub name: SettingName,
    /// What it is, as its own command has it.
    pub value: Value,
    /// Changes that are kept, the newest first.
    pub changes: Vec<SettingChangeView>,
}

/// One change of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SettingChangeView {
    /// The entry.
    pub change: LogIndex,
    pub at: UnixMs,
    /// Who changed it, if that account is still there.
    pub by: Option<String>,
    pub before: Value,
    pub after: Value,
}

/// All settings.
#[must_use]
pub fn list(state: &State) -> Vec<SettingView> {
    let names = SettingName::ALL.into_iter();
    names.map(|name| show(state, name)).collect()
}

/// One of them.
#[must_use]
pub fn show(state: &State, name: SettingName) -> SettingView {
    let history = state.setting_histories.get(&name);
    let changes = history.into_iter().flat_map(|history| &history.changes);
    let mut changes: Vec<_> = changes.map(|change| show_change(state, change)).collect();
    changes.reverse();
    SettingView {
        name,
        value: plain(&setting::value(state, name)),
        changes,
    }
}

fn show_change(state: &State, change: &SettingChange) -> SettingChangeView {
    let by = change.by.and_then(|user| state.users.get(&user));
    SettingChangeView {
        change: change.index,
        at: change.at,
        by: by.map(|user| user.name.to_string()),
        before: plain(&change.before),
        after: plain(&change.after),
    }
}

/// The value without its name around it.
fn plain(value: &SettingValue) -> Value {
    let json = serde_json::to_value(value).expect("plain data has a JSON form");
    match json {
        Value::Object(fields) => fields
            .into_iter()
            .next()
            .map(|(_, value)| value)
            .unwrap_or_default(),
        other @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)) => other,
    }
}
