//! What settings were.

use super::State;
use crate::model::setting::{SettingHistory, SettingName};

impl State {
    pub(crate) fn put_setting_history(&mut self, history: SettingHistory) {
        self.setting_histories.insert(history.name, history);
    }

    pub(crate) fn remove_setting_history(&mut self, name: &SettingName) {
        self.setting_histories.remove(name);
    }
}
