//! Strategies for commands about names of images and who holds them.

use docklet_control::id::{LogIndex, UserId};
use docklet_control::image::command::{AddImage, ImageCommand};
use docklet_control::model::{ImageQuota, Visibility};
use docklet_control::report::{SaveReport, Saved};
use docklet_control::{Actor, Command};
use proptest::prelude::*;
use proptest::sample::select;

use super::{digest, group, number, spec, text, vnode, worker};

/// A command and who asks for it.
pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    let user = select(vec![1, 2, 2, 3]).prop_map(|id| Actor::User(UserId(id)));
    prop_oneof![
        6 => (user, of_people()),
        1 => (Just(Actor::User(UserId(1))), pull()),
        2 => (Just(Actor::User(UserId(1))), quotas()),
        2 => (Just(Actor::Duty), of_duties()),
        2 => of_workers(),
    ]
    .prop_map(|(who, command)| (who, Command::Image(command)))
    .boxed()
}

pub fn anything() -> BoxedStrategy<Command> {
    prop_oneof![of_people(), pull(), quotas(), of_duties()]
        .prop_map(Command::Image)
        .boxed()
}

/// What may mean an image to somebody.
pub fn name() -> impl Strategy<Value = String> {
    let known = vec![
        "busybox",
        "lab",
        "web",
        "ada/lab",
        "bob/lab",
        "admin/busybox",
        "ada/web",
    ];
    let trouble = vec![
        "/",
        "ada/",
        "/lab",
        "ada/lab/x",
        "../lab",
        "ada/../lab",
        "lab@1",
    ];
    prop_oneof![
        8 => select(known).prop_map(str::to_owned),
        1 => select(trouble).prop_map(str::to_owned),
        1 => text(),
    ]
}

fn person() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(vec!["admin", "ada", "bob"]).prop_map(str::to_owned),
        1 => text(),
    ]
}

fn visibility() -> impl Strategy<Value = Visibility> {
    select(vec![Visibility::Private, Visibility::Public])
}

fn of_people() -> BoxedStrategy<ImageCommand> {
    let title = prop_oneof![
        6 => select(vec!["lab", "web", "busybox"]).prop_map(str::to_owned),
        1 => text(),
    ];
    let environment = select(vec![
        vec![],
        vec!["A=1"],
        vec!["=x"],
        vec!["A=\n"],
        vec!["no"],
    ]);
    let run = (environment, select(vec!["", "/srv", "srv", "/\n"]));
    let said = (
        prop::option::of(text()),
        text(),
        prop::option::of(visibility()),
    );
    prop_oneof![
        6 => (title.clone(), digest(), number(), spec(), run, said, worker()).prop_map(
            |(name, digest, blob_bytes, spec, (environment, directory), said, held_by)| {
                let (description, label, visibility) = said;
                ImageCommand::Add(Box::new(AddImage {
                    name,
                    digest,
                    blob_bytes,
                    spec,
                    environment: environment.into_iter().map(str::to_owned).collect(),
                    directory: directory.to_owned(),
                    description,
                    label,
                    visibility,
                    held_by,
                }))
            }
        ),
        1 => (name(), text()).prop_map(|(image, description)| {
            ImageCommand::Describe { image, description }
        }),
        3 => (name(), person()).prop_map(|(image, with)| ImageCommand::Share { image, with }),
        2 => (name(), person()).prop_map(|(image, with)| ImageCommand::Unshare { image, with }),
        3 => (name(), group::name()).prop_map(|(image, group)| {
            ImageCommand::ShareWithGroup { image, group }
        }),
        1 => (name(), group::name()).prop_map(|(image, group)| {
            ImageCommand::UnshareFromGroup { image, group }
        }),
        2 => (name(), visibility()).prop_map(|(image, visibility)| {
            ImageCommand::SetVisibility { image, visibility }
        }),
        2 => (name(), title).prop_map(|(image, to)| ImageCommand::Rename { image, to }),
        2 => (name(), prop::option::of(digest())).prop_map(|(image, to)| {
            ImageCommand::RollBack { image, to }
        }),
        2 => name().prop_map(|image| ImageCommand::Delete { image }),
        2 => (name(), digest()).prop_map(|(image, version)| {
            ImageCommand::DeleteVersion { image, version }
        }),
        3 => (vnode(), text(), text())
            .prop_map(|(vnode, name, label)| ImageCommand::Save { vnode, name, label }),
        1 => vnode().prop_map(|vnode| ImageCommand::CancelSave { vnode }),
    ]
    .boxed()
}

/// Around the sizes of the images of these tests.
fn quotas() -> BoxedStrategy<ImageCommand> {
    let quota = || {
        let bytes = prop_oneof![
            4 => select(vec![0, 1, 1_000, 1_001, 61_000, 32 << 30]).prop_map(Some),
            1 => number().prop_map(Some),
            1 => Just(None),
        ];
        bytes.prop_map(|bytes| ImageQuota { bytes })
    };
    prop_oneof![
        1 => quota().prop_map(|quota| ImageCommand::SetQuota { quota }),
        1 => (person(), prop::option::of(quota()))
            .prop_map(|(user, quota)| ImageCommand::SetQuotaOf { user, quota }),
    ]
    .boxed()
}

fn pull() -> impl Strategy<Value = ImageCommand> {
    let workers = prop::collection::vec(worker(), 0..3);
    (name(), workers, any::<bool>()).prop_map(|(image, workers, held)| ImageCommand::Pull {
        image,
        workers,
        held,
    })
}

fn of_workers() -> BoxedStrategy<(Actor, ImageCommand)> {
    let saved = prop_oneof![
        text().prop_map(|step| Saved::Working { step }),
        (digest(), number()).prop_map(|(digest, blob_bytes)| Saved::Done { digest, blob_bytes }),
        text().prop_map(|cause| Saved::Failed { cause }),
    ];
    // Numbers are entries: most guesses miss, some hit.
    (worker(), vnode(), 10..60_u64, saved)
        .prop_map(|(worker, vnode, number, saved)| {
            let number = LogIndex(number);
            let report = SaveReport {
                vnode,
                number,
                saved,
            };
            (
                Actor::Worker(worker),
                ImageCommand::ReportSave { worker, report },
            )
        })
        .boxed()
}

fn of_duties() -> BoxedStrategy<ImageCommand> {
    let copies = || prop::collection::vec((digest(), worker()), 0..4);
    prop_oneof![
        (copies(), copies())
            .prop_map(|(added, dropped)| ImageCommand::PlaceCopies { added, dropped }),
        prop::collection::vec(digest(), 0..4).prop_map(|digests| ImageCommand::Forget { digests }),
        Just(ImageCommand::NameOld),
    ]
    .boxed()
}
