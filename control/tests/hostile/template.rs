//! Strategies for commands about templates.

use docklet_control::amount::VnodeSize;
use docklet_control::id::UserId;
use docklet_control::model::{Rules, Wishes};
use docklet_control::template::command::{NewRecipe, TemplateCommand, Whom};
use docklet_control::{Actor, Command};
use proptest::prelude::*;
use proptest::sample::select;

use super::{group, image, text};

/// A command and who asks for it: the admin, an operator, managers, and who may not.
pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    let user = select(vec![1, 1, 2, 2, 3, 4, 5]).prop_map(|id| Actor::User(UserId(id)));
    (user, anything()).boxed()
}

pub fn anything() -> BoxedStrategy<Command> {
    let group = || prop::option::of(group::name());
    let whom = (group::name(), group::person()).prop_map(|(group, user)| Whom { group, user });
    prop_oneof![
        3 => (name(), text(), group(), recipe()).prop_map(|(name, description, group, recipe)| {
            TemplateCommand::Publish { name, description, group, recipe }
        }),
        1 => name().prop_map(|name| TemplateCommand::Withdraw { name }),
        4 => (name(), prop::option::of(name()), prop::option::of(whom)).prop_map(
            |(template, name, whom)| TemplateCommand::Clone { template, name, whom }
        ),
    ]
    .prop_map(Command::Template)
    .boxed()
}

/// Few, so that they meet.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => select(vec!["systems", "ai"]).prop_map(str::to_owned),
        1 => text(),
    ]
}

fn recipe() -> impl Strategy<Value = NewRecipe> {
    let image = prop_oneof![5 => Just("busybox".to_owned()), 2 => image::name()];
    let vnodes = select(vec![0, 1, 1, 2, 5_000]);
    (image, vnodes).prop_map(|(image, vnodes)| NewRecipe {
        image,
        vnodes,
        size: VnodeSize::default(),
        wishes: Wishes::default(),
        bandwidth: None,
        rules: Rules::default(),
    })
}
