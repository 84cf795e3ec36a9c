//! Strategies for commands about beans.

use std::collections::BTreeMap;

use docklet_control::bean::command::{BeanCommand, RatesChange, Receiver, SettingsChange};
use docklet_control::id::{Epoch, LogIndex, UserId, VclusterId, WorkerId};
use docklet_control::model::{BeanSettings, Used};
use docklet_control::report::Reading;
use docklet_control::{Actor, Command};
use proptest::prelude::*;
use proptest::sample::select;

use super::{group, number, text, vnode, worker};

/// A command and who asks for it: mostly who may.
pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    let user = select(vec![1, 1, 2, 2, 3]).prop_map(|id| Actor::User(UserId(id)));
    let worker = worker().prop_flat_map(|worker| {
        meter(worker).prop_map(move |command| (Actor::Worker(worker), Command::Bean(command)))
    });
    prop_oneof![
        2 => of_admins().prop_map(|command| (Actor::User(UserId(1)), Command::Bean(command))),
        2 => (user, of_people()).prop_map(|(who, command)| (who, Command::Bean(command))),
        6 => worker,
        2 => of_duties().prop_map(|command| (Actor::Duty, Command::Bean(command))),
    ]
    .boxed()
}

pub fn anything() -> BoxedStrategy<Command> {
    let meter = worker().prop_flat_map(meter);
    prop_oneof![of_admins(), of_people(), meter, of_duties()]
        .prop_map(Command::Bean)
        .boxed()
}

/// Mostly to go on with what is in use.
fn of_admins() -> BoxedStrategy<BeanCommand> {
    let on = prop_oneof![6 => Just(Some(true)), 1 => Just(Some(false)), 2 => Just(None)];
    let birth = prop::option::of(select(vec![0, 1, 150, u64::MAX]));
    let thresholds = prop::collection::vec(select(vec![0, 1, 100, 500, 1_000, u64::MAX]), 0..10);
    let settings = (
        on,
        birth,
        prop::option::of(number()),
        prop::option::of(thresholds),
    )
        .prop_map(|(on, birth, grace_ms, thresholds)| SettingsChange {
            on,
            birth,
            grace_ms,
            thresholds,
            every_ms: None,
        });
    let rate = || prop::option::of(select(vec![0, 1, 500, u64::MAX]));
    let gpus = prop::collection::btree_map(text(), rate(), 0..3);
    let rates = (rate(), rate(), gpus, prop::option::of(any::<bool>())).prop_map(
        |(cpu_s, gpu_h, gpus, whole_hours)| RatesChange {
            cpu_s,
            gpu_h,
            gpus,
            whole_hours,
            ..RatesChange::default()
        },
    );
    prop_oneof![
        5 => settings.prop_map(BeanCommand::Set),
        1 => rates.prop_map(BeanCommand::SetRates),
        1 => whole().prop_map(|settings| BeanCommand::SetAll { settings }),
        3 => grant(),
        1 => take_back(),
    ]
    .boxed()
}

fn whole() -> impl Strategy<Value = BeanSettings> {
    let on = prop_oneof![6 => Just(true), 1 => Just(false)];
    let every_ms = prop_oneof![3 => Just(10_000), 1 => number()];
    let thresholds = prop::collection::vec(beans(), 0..10);
    (on, beans(), number(), thresholds, every_ms).prop_map(
        |(on, birth, grace_ms, thresholds, every_ms)| BeanSettings {
            on,
            birth,
            grace_ms,
            thresholds,
            every_ms,
            ..BeanSettings::default()
        },
    )
}

fn take_back() -> BoxedStrategy<BeanCommand> {
    (receiver(), beans(), text())
        .prop_map(|(of, beans, reason)| BeanCommand::TakeBack { of, beans, reason })
        .boxed()
}

fn receiver() -> impl Strategy<Value = Receiver> {
    prop_oneof![
        2 => group::person().prop_map(Receiver::User),
        1 => group::name().prop_map(Receiver::Group),
    ]
}

fn grant() -> BoxedStrategy<BeanCommand> {
    (receiver(), beans(), text(), prop::option::of(group::name()))
        .prop_map(|(to, beans, reason, from)| BeanCommand::Grant {
            to,
            beans,
            reason,
            from,
        })
        .boxed()
}

fn beans() -> impl Strategy<Value = u64> {
    select(vec![0, 1, 100, 5_000, 1_000_000, u64::MAX])
}

fn of_people() -> BoxedStrategy<BeanCommand> {
    let request = || (10..60_u64).prop_map(LogIndex);
    prop_oneof![
        3 => (beans(), text()).prop_map(|(beans, reason)| BeanCommand::Request { beans, reason }),
        1 => (request(), prop::option::of(group::name()), text()).prop_map(
            |(request, from, reason)| BeanCommand::Approve { request, from, reason }
        ),
        1 => (request(), text()).prop_map(|(request, reason)| BeanCommand::Decline { request, reason }),
        1 => request().prop_map(|request| BeanCommand::Withdraw { request }),
        2 => grant(),
    ]
    .boxed()
}

fn of_duties() -> BoxedStrategy<BeanCommand> {
    let vcluster = (1..5_u64).prop_map(VclusterId);
    prop_oneof![
        Just(BeanCommand::OpenPurses),
        vcluster.prop_map(|vcluster| BeanCommand::Stop { vcluster }),
    ]
    .boxed()
}

fn meter(worker: WorkerId) -> BoxedStrategy<BeanCommand> {
    prop::collection::vec(reading(), 0..4)
        .prop_map(move |readings| BeanCommand::Meter { worker, readings })
        .boxed()
}

fn reading() -> impl Strategy<Value = Reading> {
    let gpus = prop::collection::btree_map(select(vec!["A100", "T4"]), amount(), 0..2);
    let amounts = (amount(), amount(), amount(), amount());
    (vnode(), 1..60_u64, amounts, gpus, prop::bool::weighted(0.2)).prop_map(
        |(vnode, epoch, (run_ms, cpu_ms, disk_mib_ms, network_bytes), gpus, ended)| Reading {
            vnode,
            epoch: Epoch(epoch),
            used: Used {
                run_ms,
                cpu_ms,
                disk_mib_ms,
                network_bytes,
                gpu_ms: owned(gpus),
                ..Used::default()
            },
            ended,
        },
    )
}

fn owned(gpus: BTreeMap<&str, u64>) -> BTreeMap<String, u64> {
    let gpus = gpus.into_iter();
    gpus.map(|(model, ms)| (model.to_owned(), ms)).collect()
}

fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => (0..200_u64).prop_map(|minutes| minutes * 60_000),
        1 => select(vec![0, 1, Used::MOST, u64::MAX]),
    ]
}

/// Readings about placements that there are.
pub fn aim(command: &mut Command, state: &docklet_control::State) {
    let Command::Bean(command) = command else {
        return;
    };
    match command {
        BeanCommand::Meter { readings, .. } => {
            for reading in readings {
                let range = (reading.vnode, Epoch(0))..=(reading.vnode, Epoch(u64::MAX));
                let mut epochs = state.tallies.range(range).map(|((_, epoch), _)| *epoch);
                let some = usize::try_from(reading.epoch.0 % 3).unwrap_or(0);
                let epoch = epochs.nth(some).or_else(|| epochs.next());
                reading.epoch = epoch.unwrap_or(reading.epoch);
            }
        }
        BeanCommand::Approve { request, .. }
        | BeanCommand::Decline { request, .. }
        | BeanCommand::Withdraw { request } => {
            let newest = state.bean_requests.values().map(|row| row.number).max();
            if request.0 % 4 > 0 {
                *request = newest.unwrap_or(*request);
            }
        }
        BeanCommand::Set(_)
        | BeanCommand::SetAll { .. }
        | BeanCommand::SetRates(_)
        | BeanCommand::Grant { .. }
        | BeanCommand::TakeBack { .. }
        | BeanCommand::Request { .. }
        | BeanCommand::OpenPurses
        | BeanCommand::Stop { .. } => {}
    }
}
