//! Settings: setting one and going back is what the command of that setting does. Since version 3.

use super::{Decision, Ground, decide as decide_entry};
use crate::command::Entry;
use crate::model::setting::{SettingChange, SettingName, SettingValue};
use crate::refusal::Refusal;
use crate::setting;
use crate::setting::command::SettingCommand;

pub(super) fn decide(ground: Ground<'_>, command: &SettingCommand) -> Result<Decision, Refusal> {
    let value = match command {
        SettingCommand::Set { value } => value.clone(),
        SettingCommand::Undo { name } => last(ground, *name)?.before.clone(),
        SettingCommand::Restore { name, change } => {
            let kept = changes(ground, *name).find(|kept| kept.index == *change);
            let kept = kept.ok_or_else(|| Refusal::not_found("change of this setting", change))?;
            kept.after.clone()
        }
    };
    be(ground, value)
}

/// The same as the setting's own command, which says what may be set and by whom.
fn be(ground: Ground<'_>, value: SettingValue) -> Result<Decision, Refusal> {
    let entry = Entry {
        command: setting::command(value),
        ..ground.entry.clone()
    };
    decide_entry(ground.state, ground.index, &entry)
}

fn changes(ground: Ground<'_>, name: SettingName) -> impl Iterator<Item = &SettingChange> {
    let history = ground.state.setting_histories.get(&name);
    history.into_iter().flat_map(|history| &history.changes)
}

fn last(ground: Ground<'_>, name: SettingName) -> Result<&SettingChange, Refusal> {
    let last = changes(ground, name).last();
    last.ok_or_else(|| {
        Refusal::not_found("change that could be undone of the setting", name.word())
    })
}
