//! What can be asked of settings as such, since version 3.

use serde::{Deserialize, Serialize};

use crate::id::LogIndex;
use crate::model::setting::{SettingName, SettingValue};

/// Asks for something of one setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SettingCommand {
    /// It is this from now on.
    Set { value: SettingValue },
    /// It is again what it was before its last change. That is a change like others: undoing twice brings back what was undone.
    Undo { name: SettingName },
    /// It is again what it was after the change by that entry.
    Restore { name: SettingName, change: LogIndex },
}

impl SettingCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Set { .. } => "SetSetting",
            Self::Undo { .. } => "UndoSetting",
            Self::Restore { .. } => "RestoreSetting",
        }
    }
}
