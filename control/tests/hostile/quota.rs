//! Strategies for commands about quotas and roles.

use docklet_control::id::UserId;
use docklet_control::model::{Bound, QuotaChange, QuotaItem, Role};
use docklet_control::quota::command::QuotaCommand;
use docklet_control::{Actor, Command};
use proptest::prelude::*;
use proptest::sample::select;

use super::group;

/// A command and who asks for it: mostly the admin, sometimes somebody who may not.
pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    let user = select(vec![1, 1, 1, 1, 2, 3]).prop_map(|id| Actor::User(UserId(id)));
    (user, anything()).boxed()
}

pub fn anything() -> BoxedStrategy<Command> {
    let command = prop_oneof![
        1 => change().prop_map(|change| QuotaCommand::SetUsual { change }),
        2 => (group::person(), change())
            .prop_map(|(user, change)| QuotaCommand::SetOfUser { user, change }),
        3 => (group::name(), change())
            .prop_map(|(group, change)| QuotaCommand::SetOfGroup { group, change }),
        3 => (group::name(), group::person(), change())
            .prop_map(|(group, user, change)| QuotaCommand::SetShare { group, user, change }),
    ];
    let role = select(vec![Role::User, Role::Operator, Role::Admin]);
    prop_oneof![
        6 => command.prop_map(Command::Quota),
        1 => (group::person(), role).prop_map(|(user, role)| Command::SetRole { user, role }),
    ]
    .boxed()
}

fn change() -> impl Strategy<Value = QuotaChange> {
    let item = select(QuotaItem::ALL.to_vec());
    let bound = prop_oneof![
        6 => select(vec![0, 1, 2, 3, 500, 2_048, 4_096, 100_000]).prop_map(|n| Some(Bound::AtMost(n))),
        1 => Just(Some(Bound::AtMost(u64::MAX))),
        2 => Just(Some(Bound::Unlimited)),
        2 => Just(None),
    ];
    prop::collection::btree_map(item, bound, 0..4)
}
