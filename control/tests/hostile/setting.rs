//! Settings as such, with values that hurt.

use docklet_control::amount::DiskMib;
use docklet_control::id::{LogIndex, UserId};
use docklet_control::model::account::AccountPolicy;
use docklet_control::model::setting::{SettingName, SettingValue};
use docklet_control::model::trash::TrashPolicy;
use docklet_control::model::{
    Autopilot, Bandwidth, BeanSettings, DiskOvercommit, HomeUsual, ImageQuota, KbitPerS, Quota,
    RebalancePolicy,
};
use docklet_control::setting::command::SettingCommand;
use docklet_control::{Actor, Command};
use proptest::prelude::*;
use proptest::sample::select;

use super::{anybody, identity, number};

pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    let who = prop_oneof![4 => Just(Actor::User(UserId(1))), 1 => anybody()];
    (who, command().prop_map(Command::Setting)).boxed()
}

pub fn command() -> BoxedStrategy<SettingCommand> {
    let name = || select(SettingName::ALL.to_vec());
    prop_oneof![
        3 => value().prop_map(|value| SettingCommand::Set { value }),
        3 => name().prop_map(|name| SettingCommand::Undo { name }),
        1 => (name(), number()).prop_map(|(name, change)| SettingCommand::Restore {
            name,
            change: LogIndex(change),
        }),
    ]
    .boxed()
}

fn value() -> BoxedStrategy<SettingValue> {
    let rate = || proptest::option::of(0_u32..2_000_000).prop_map(|rate| rate.map(KbitPerS));
    let bandwidth =
        move || (rate(), rate()).prop_map(|(sent, received)| Bandwidth { sent, received });
    prop_oneof![
        any::<u64>().prop_map(|ms| SettingValue::Autopilot(Autopilot {
            contact_ms: ms,
            ..Autopilot::default()
        })),
        bandwidth().prop_map(SettingValue::Bandwidth),
        bandwidth().prop_map(SettingValue::BandwidthCeiling),
        any::<u32>().prop_map(|percent| SettingValue::DiskOvercommit(DiskOvercommit { percent })),
        any::<u64>().prop_map(|mib| SettingValue::UsualHome(HomeUsual {
            disk_mib: DiskMib(mib)
        })),
        Just(SettingValue::UsualQuota(Quota::default())),
        proptest::option::of(any::<u64>())
            .prop_map(|bytes| SettingValue::ImageQuota(ImageQuota { bytes })),
        any::<bool>().prop_map(|enabled| SettingValue::Rebalance(RebalancePolicy {
            enabled,
            ..RebalancePolicy::default()
        })),
        any::<bool>()
            .prop_map(|registration| SettingValue::Registration(AccountPolicy { registration })),
        (0_u32..20).prop_map(|undo_minutes| SettingValue::Trash(TrashPolicy {
            undo_minutes,
            release: None,
        })),
        proptest::option::of(identity::provider())
            .prop_map(|provider| SettingValue::Oidc(provider.map(Box::new))),
        proptest::option::of(identity::pam()).prop_map(SettingValue::Pam),
        (any::<bool>(), 0_u64..2_000_000).prop_map(|(on, birth)| {
            let settings = BeanSettings {
                on,
                birth,
                ..BeanSettings::default()
            };
            SettingValue::Beans(Box::new(settings))
        }),
        Just(SettingValue::Mail(None)),
        Just(SettingValue::Acme(None)),
    ]
    .boxed()
}
