//! Settings of the whole cluster in one place: what they are, what they were, and going back. Each has a command of its own,
//! which says what may be set; this asks the same. Since version 3 (ADR 0033).

pub mod command;

use crate::account::command::AccountCommand;
use crate::account::event::AccountEvent;
use crate::acme::command::AcmeCommand;
use crate::acme::event::AcmeEvent;
use crate::bean::command::BeanCommand;
use crate::bean::event::BeanEvent;
use crate::command::Command;
use crate::event::{Change, Event};
use crate::identity::command::IdentityCommand;
use crate::identity::event::IdentityEvent;
use crate::image::command::ImageCommand;
use crate::image::event::ImageEvent;
use crate::limit::command::LimitCommand;
use crate::limit::event::LimitEvent;
use crate::model::setting::{SettingChange, SettingHistory, SettingName, SettingValue};
use crate::model::{ClusterVersion, QuotaChange, QuotaItem};
use crate::notice::command::NoticeCommand;
use crate::notice::event::NoticeEvent;
use crate::notice::mail::{MailCommand, MailEvent};
use crate::quota::command::QuotaCommand;
use crate::quota::event::QuotaEvent;
use crate::rebalance::command::RebalanceCommand;
use crate::rebalance::event::RebalanceEvent;
use crate::state::State;
use crate::trash::command::TrashCommand;
use crate::trash::event::TrashEvent;

/// The version from which on changes are kept.
pub const SINCE: ClusterVersion = ClusterVersion(3);

/// What a setting is now, whether it was ever set or not.
#[must_use]
pub fn value(state: &State, name: SettingName) -> SettingValue {
    match name {
        SettingName::Autopilot => SettingValue::Autopilot(state.autopilot()),
        SettingName::Bandwidth => SettingValue::Bandwidth(state.bandwidth.unwrap_or_default()),
        SettingName::BandwidthCeiling => SettingValue::BandwidthCeiling(state.bandwidth_ceiling()),
        SettingName::DiskOvercommit => SettingValue::DiskOvercommit(state.overcommit_of_disks()),
        SettingName::UsualHome => SettingValue::UsualHome(state.usual_home()),
        SettingName::UsualQuota => {
            SettingValue::UsualQuota(state.usual_quota.clone().unwrap_or_default())
        }
        SettingName::ImageQuota => SettingValue::ImageQuota(state.image_quota()),
        SettingName::Rebalance => SettingValue::Rebalance(state.rebalance_policy()),
        SettingName::Registration => {
            SettingValue::Registration(state.account_policy.unwrap_or_default())
        }
        SettingName::Trash => SettingValue::Trash(state.trash_policy()),
        SettingName::Oidc => SettingValue::Oidc(state.provider().cloned().map(Box::new)),
        SettingName::Pam => SettingValue::Pam(state.pam().cloned()),
        SettingName::Beans => {
            let settings = state.bean_settings.clone();
            SettingValue::Beans(Box::new(settings.unwrap_or_default()))
        }
        SettingName::Mail => SettingValue::Mail(state.mail_server.clone().map(Box::new)),
        SettingName::Acme => {
            let acme = state.acme.as_ref();
            SettingValue::Acme(acme.map(|acme| Box::new(acme.setting.clone())))
        }
    }
}

/// What asks for this value.
#[must_use]
pub fn command(value: SettingValue) -> Command {
    match value {
        SettingValue::Autopilot(autopilot) => Command::SetAutopilot { autopilot },
        SettingValue::Bandwidth(bandwidth) => Command::LimitBandwidth { bandwidth },
        SettingValue::BandwidthCeiling(ceiling) => {
            Command::Limit(LimitCommand::SetBandwidthCeiling { ceiling })
        }
        SettingValue::DiskOvercommit(overcommit) => Command::SetDiskOvercommit { overcommit },
        SettingValue::UsualHome(usual) => Command::Limit(LimitCommand::SetUsualHome { usual }),
        SettingValue::UsualQuota(quota) => {
            let items = QuotaItem::ALL.into_iter();
            // What it does not say is taken back.
            let change: QuotaChange = items
                .map(|item| (item, quota.0.get(&item).copied()))
                .collect();
            Command::Quota(QuotaCommand::SetUsual { change })
        }
        SettingValue::ImageQuota(quota) => Command::Image(ImageCommand::SetQuota { quota }),
        SettingValue::Rebalance(policy) => {
            Command::Rebalance(RebalanceCommand::SetPolicy { policy })
        }
        SettingValue::Registration(policy) => Command::Account(AccountCommand::SetRegistration {
            open: policy.registration,
        }),
        SettingValue::Trash(policy) => Command::Trash(TrashCommand::SetPolicy { policy }),
        SettingValue::Oidc(provider) => {
            Command::Identity(IdentityCommand::SetProvider { provider })
        }
        SettingValue::Pam(pam) => Command::Identity(IdentityCommand::SetPam { pam }),
        SettingValue::Beans(settings) => Command::Bean(BeanCommand::SetAll {
            settings: *settings,
        }),
        SettingValue::Mail(server) => {
            Command::Notice(NoticeCommand::Mail(MailCommand::SetServer {
                server: server.map(|server| *server),
            }))
        }
        SettingValue::Acme(Some(setting)) => Command::Acme(AcmeCommand::Set { setting: *setting }),
        SettingValue::Acme(None) => Command::Acme(AcmeCommand::Off),
    }
}

/// The setting that an event is about.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever is new sets nothing for the whole cluster until it is said here"
)]
fn changed_by(event: &Event) -> Option<SettingName> {
    let name = match event {
        Event::AutopilotSet { .. } => SettingName::Autopilot,
        Event::BandwidthLimited { .. } => SettingName::Bandwidth,
        Event::Limit(LimitEvent::BandwidthCeilingSet { .. }) => SettingName::BandwidthCeiling,
        Event::DiskOvercommitSet { .. } => SettingName::DiskOvercommit,
        Event::Limit(LimitEvent::UsualHomeSet { .. }) => SettingName::UsualHome,
        Event::Quota(QuotaEvent::UsualSet { .. }) => SettingName::UsualQuota,
        Event::Image(ImageEvent::QuotaSet { .. }) => SettingName::ImageQuota,
        Event::Rebalance(RebalanceEvent::PolicySet { .. }) => SettingName::Rebalance,
        Event::Account(AccountEvent::PolicySet { .. }) => SettingName::Registration,
        Event::Trash(TrashEvent::PolicySet { .. }) => SettingName::Trash,
        Event::Identity(IdentityEvent::ProviderSet { .. }) => SettingName::Oidc,
        Event::Identity(IdentityEvent::PamSet { .. }) => SettingName::Pam,
        Event::Bean(BeanEvent::Set { .. }) => SettingName::Beans,
        Event::Notice(NoticeEvent::Mail(MailEvent::ServerSet { .. })) => SettingName::Mail,
        Event::Acme(AcmeEvent::Set { .. } | AcmeEvent::Unset) => SettingName::Acme,
        _ => return None,
    };
    Some(name)
}

/// What the setting that `event` changes is before it, if what it was is to be kept.
pub(crate) fn before(state: &State, event: &Event) -> Option<SettingValue> {
    let name = changed_by(event)?;
    (state.version() >= SINCE).then(|| value(state, name))
}

/// Keeps what a setting was before the event that has just changed it.
pub(crate) fn keep(state: &mut State, before: SettingValue, change: &Change) {
    let name = before.name();
    let after = value(state, name);
    if after == before {
        return;
    }
    let known = state.setting_histories.get(&name).cloned();
    let mut history = known.unwrap_or_else(|| SettingHistory {
        name,
        changes: imbl::Vector::new(),
    });
    history.changes.push_back(SettingChange {
        index: change.index,
        at: change.at,
        by: change.actor.user(),
        before,
        after,
    });
    while history.changes.len() > SettingHistory::CHANGES_MAX {
        history.changes.pop_front();
    }
    state.put_setting_history(history);
}
