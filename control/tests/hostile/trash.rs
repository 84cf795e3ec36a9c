//! The trash, with values that hurt.

use docklet_control::id::{UserId, VclusterId};
use docklet_control::model::trash::{ReleasePolicy, TrashPolicy};
use docklet_control::trash::command::TrashCommand;
use docklet_control::{Actor, Command, State};
use proptest::prelude::*;
use proptest::sample::select;

use super::{anybody, number, text};

pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    let person = select(vec![1, 2, 2, 3]).prop_map(|id| Actor::User(UserId(id)));
    prop_oneof![
        5 => (person, of_people()),
        1 => (Just(Actor::User(UserId(1))), policy()),
        2 => (Just(Actor::Duty), of_duty()),
        1 => (anybody(), command()),
    ]
    .prop_map(|(who, command)| (who, Command::Trash(command)))
    .boxed()
}

pub fn command() -> BoxedStrategy<TrashCommand> {
    prop_oneof![of_people(), policy(), of_duty()].boxed()
}

fn vcluster() -> impl Strategy<Value = VclusterId> {
    prop_oneof![4 => 1_u64..6, 1 => number()].prop_map(VclusterId)
}

fn of_people() -> BoxedStrategy<TrashCommand> {
    prop_oneof![
        3 => vcluster().prop_map(|vcluster| TrashCommand::Discard { vcluster }),
        2 => (vcluster(), proptest::option::of(text()))
            .prop_map(|(vcluster, name)| TrashCommand::Undelete { vcluster, name }),
        1 => vcluster().prop_map(|vcluster| TrashCommand::Purge { vcluster }),
    ]
    .boxed()
}

fn policy() -> BoxedStrategy<TrashCommand> {
    let days = || prop_oneof![Just(0), 1_u32..3, any::<u32>()];
    let release = (days(), days(), days()).prop_map(|(warn, grace, keep)| ReleasePolicy {
        warn_after_days: warn,
        grace_days: grace,
        keep_days: keep,
    });
    let minutes = prop_oneof![Just(0), 1_u32..20, any::<u32>()];
    (minutes, proptest::option::of(release))
        .prop_map(|(undo_minutes, release)| TrashCommand::SetPolicy {
            policy: TrashPolicy {
                undo_minutes,
                release,
            },
        })
        .boxed()
}

fn of_duty() -> BoxedStrategy<TrashCommand> {
    let some = || proptest::collection::vec(vcluster(), 0..4);
    prop_oneof![
        Just(TrashCommand::Empty),
        some().prop_map(|vclusters| TrashCommand::Warn { vclusters }),
        some().prop_map(|vclusters| TrashCommand::Release { vclusters }),
    ]
    .boxed()
}

/// Commands name what is there, now and then.
pub fn aim(command: &mut Command, state: &State) {
    let Command::Trash(TrashCommand::Undelete { vcluster, .. } | TrashCommand::Purge { vcluster }) =
        command
    else {
        return;
    };
    if let Some((known, _)) = state.trashed.first() {
        *vcluster = *known;
    }
}
