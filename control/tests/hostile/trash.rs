//! The trash, with values that hurt.

use docklet_control::id::{LogIndex, NoticeId, UserId, VclusterId, VnodeId};
use docklet_control::model::kept::KeptKind;
use docklet_control::model::trash::{ReleasePolicy, TrashPolicy};
use docklet_control::snapshot::command::SnapshotOf;
use docklet_control::trash::command::{Thing, TrashCommand};
use docklet_control::{Actor, Command, State};
use proptest::prelude::*;
use proptest::sample::select;

use super::{anybody, digest, group, image, number, text};

pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    let person = select(vec![1, 1, 2, 2, 3]).prop_map(|id| Actor::User(UserId(id)));
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
        4 => thing().prop_map(|thing| TrashCommand::Keep { thing }),
        4 => (kind(), number(), proptest::option::of(text())).prop_map(|(kind, number, name)| {
            let number = LogIndex(number);
            TrashCommand::Recover { kind, number, name }
        }),
        1 => (kind(), number()).prop_map(|(kind, number)| {
            let number = LogIndex(number);
            TrashCommand::Drop { kind, number }
        }),
    ]
    .boxed()
}

fn kind() -> impl Strategy<Value = KeptKind> {
    select(KeptKind::ALL.to_vec())
}

fn thing() -> BoxedStrategy<Thing> {
    let of = prop_oneof![
        vcluster().prop_map(SnapshotOf::Vcluster),
        (1_u64..8).prop_map(|id| SnapshotOf::Vnode(VnodeId(id))),
    ];
    prop_oneof![
        2 => image::name().prop_map(|image| Thing::Image { image }),
        1 => (image::name(), digest()).prop_map(|(image, version)| Thing::ImageVersion { image, version }),
        2 => (of, image::name()).prop_map(|(of, name)| Thing::Snapshots { of, name }),
        1 => group::name().prop_map(|group| Thing::Group { group }),
        1 => text().prop_map(|template| Thing::Template { template }),
        1 => (1_u64..60).prop_map(|entry| Thing::Notice { notice: NoticeId { entry: LogIndex(entry), part: 0 } }),
        2 => (select(vec![1, 2, 2, 3, 4]), any::<bool>())
            .prop_map(|(user, with_data)| Thing::Account { user: UserId(user), with_data }),
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
    let Command::Trash(command) = command else {
        return;
    };
    match command {
        TrashCommand::Undelete { vcluster, .. } | TrashCommand::Purge { vcluster } => {
            if let Some((known, _)) = state.trashed.first() {
                *vcluster = *known;
            }
        }
        TrashCommand::Recover { kind, number, .. } | TrashCommand::Drop { kind, number } => {
            if let Some(known) = state.kept.values().find(|kept| kept.kind() == *kind) {
                *number = known.number;
            }
        }
        TrashCommand::Keep { thing } => aim_at(thing, state),
        TrashCommand::Discard { .. }
        | TrashCommand::SetPolicy { .. }
        | TrashCommand::Empty
        | TrashCommand::Warn { .. }
        | TrashCommand::Release { .. } => {}
    }
}

fn aim_at(thing: &mut Thing, state: &State) {
    match thing {
        Thing::Image { image } => {
            if let Some((_, title)) = state.image_titles.first() {
                *image = format!("{}", title.name);
            }
        }
        Thing::ImageVersion { image, version } => {
            let mut titles = state.image_titles.values();
            if let Some(title) = titles.find(|title| title.versions.len() > 1) {
                *image = format!("{}", title.name);
                *version = title.versions[0].digest;
            }
        }
        Thing::Snapshots { of, name } => {
            let mut there = state.snapshots.values();
            if let Some(snapshot) = there.find(|snapshot| snapshot.is_taken()) {
                *of = SnapshotOf::Vnode(snapshot.vnode);
                *name = snapshot.name.to_string();
            }
        }
        Thing::Group { group } => {
            if let Some((_, known)) = state.groups.first() {
                *group = known.name.to_string();
            }
        }
        Thing::Template { template } => {
            if let Some((name, _)) = state.templates.first() {
                *template = name.to_string();
            }
        }
        Thing::Notice { notice } => {
            if let Some((known, _)) = state.notices.first() {
                *notice = *known;
            }
        }
        Thing::Account { .. } => {}
    }
}
