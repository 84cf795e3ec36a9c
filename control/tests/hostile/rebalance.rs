//! Strategies for commands about evening out workers.

use docklet_control::id::UserId;
use docklet_control::model::RebalancePolicy;
use docklet_control::rebalance::command::{Extent, RebalanceCommand};
use docklet_control::{Actor, Command};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

/// A command and who asks for it: mostly the admin.
pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    let user = select(vec![1, 1, 1, 1, 2]).prop_map(|id| Actor::User(UserId(id)));
    prop_oneof![
        4 => (user, of_admins()),
        1 => (Just(Actor::Duty), Just(Command::Rebalance(RebalanceCommand::Note))),
    ]
    .boxed()
}

pub fn anything() -> BoxedStrategy<Command> {
    prop_oneof![
        4 => of_admins(),
        1 => Just(Command::Rebalance(RebalanceCommand::Note)),
    ]
    .boxed()
}

fn of_admins() -> BoxedStrategy<Command> {
    let extent = (of(permille()), of(count())).prop_map(|(threshold_permille, moves_max)| Extent {
        threshold_permille,
        moves_max,
    });
    prop_oneof![
        3 => policy().prop_map(|policy| RebalanceCommand::SetPolicy { policy }),
        3 => extent.prop_map(|extent| RebalanceCommand::Apply { extent }),
    ]
    .prop_map(Command::Rebalance)
    .boxed()
}

/// Mostly such as lets something move soon.
fn policy() -> BoxedStrategy<RebalancePolicy> {
    let eager = RebalancePolicy {
        enabled: true,
        threshold_permille: 10,
        hold_ms: 1_000,
        at_once: 64,
        moves_max: 100,
        window_ms: 60_000,
    };
    let span = || select(vec![0, 1_000, 60_000, 3_600_000, u64::MAX]);
    let any = (any::<bool>(), permille(), span(), count(), count(), span());
    let any = any.prop_map(
        |(enabled, threshold_permille, hold_ms, at_once, moves_max, window_ms)| RebalancePolicy {
            enabled,
            threshold_permille,
            hold_ms,
            at_once,
            moves_max,
            window_ms,
        },
    );
    prop_oneof![2 => Just(eager), 2 => any].boxed()
}

fn permille() -> impl Strategy<Value = u32> {
    select(vec![0, 1, 10, 200, 1_000, 1_001, u32::MAX])
}

fn count() -> impl Strategy<Value = u32> {
    select(vec![0, 1, 2, 64, 100, 101, u32::MAX])
}
