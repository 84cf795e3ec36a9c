//! Strategies for commands about groups of people.

use docklet_control::group::command::GroupCommand;
use docklet_control::id::UserId;
use docklet_control::{Actor, Command};
use proptest::prelude::*;
use proptest::sample::select;

use super::text;

/// A command and who asks for it: mostly the admin, sometimes somebody who may not.
pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    let user = select(vec![1, 1, 1, 1, 2, 3]).prop_map(|id| Actor::User(UserId(id)));
    (user, anything()).boxed()
}

pub fn anything() -> BoxedStrategy<Command> {
    prop_oneof![
        3 => (name(), text()).prop_map(|(name, description)| GroupCommand::Create {
            name,
            description
        }),
        4 => (name(), people()).prop_map(|(group, users)| GroupCommand::Add { group, users }),
        2 => (name(), people()).prop_map(|(group, users)| GroupCommand::Remove { group, users }),
        1 => name().prop_map(|group| GroupCommand::Delete { group }),
        2 => (name(), people())
            .prop_map(|(group, users)| GroupCommand::AddManagers { group, users }),
        1 => (name(), people())
            .prop_map(|(group, users)| GroupCommand::RemoveManagers { group, users }),
    ]
    .prop_map(Command::Group)
    .boxed()
}

/// Few, so that they meet.
pub fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => select(vec!["course", "staff"]).prop_map(str::to_owned),
        1 => text(),
    ]
}

fn people() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(person(), 0..4)
}

pub fn person() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => select(vec!["admin", "ada", "bob", "carl", "op"]).prop_map(str::to_owned),
        1 => text(),
    ]
}
