//! Strategies for what is wished beyond a vnode's size, and for GPUs that come and go.

use docklet_control::amount::{DiskMib, MemoryMib};
use docklet_control::model::{DiskOvercommit, Gpu, GpuWish, Wishes};
use docklet_control::{Command, NewVcluster};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::{amount, count, limit, schedule, size, text, vcluster};

pub fn of_people() -> BoxedStrategy<Command> {
    prop_oneof![
        3 => (text(), count(), size(), wishes(), of(limit::rate()), schedule::rules()).prop_map(
            |(name, vnodes, size, wishes, bandwidth, rules)| {
                let image = "busybox".to_owned();
                let new = NewVcluster { name, image, vnodes, size, wishes, bandwidth, rules };
                Command::CreateVclusterWith(new)
            }
        ),
        2 => (vcluster(), disk())
            .prop_map(|(vcluster, disk_mib)| Command::ResizeVcluster { vcluster, disk_mib }),
    ]
    .boxed()
}

pub fn of_admins() -> BoxedStrategy<Command> {
    let percent = prop_oneof![select(vec![100, 150, 1_000]), amount()];
    percent
        .prop_map(|percent| Command::SetDiskOvercommit {
            overcommit: DiskOvercommit { percent },
        })
        .boxed()
}

fn wishes() -> impl Strategy<Value = Wishes> {
    let model = prop_oneof![
        6 => Just(None),
        2 => select(vec!["A100", "a100-sxm4", "T4"]).prop_map(|model| Some(model.to_owned())),
        1 => text().prop_map(Some),
    ];
    let number = prop_oneof![6 => 0..3_u32, 1 => select(vec![8, 9, u32::MAX])];
    (disk(), number, model).prop_map(|(disk_mib, count, model)| Wishes {
        disk_mib,
        gpus: GpuWish { count, model },
    })
}

/// Around what the workers of these tests have.
fn disk() -> impl Strategy<Value = DiskMib> {
    let usual = select(vec![1_024, 10_240, 10_240, 12_000, 20_480]);
    let odd = select(vec![0, 63, 64, 20_481, 8 << 20, (8 << 20) + 1, u64::MAX]);
    prop_oneof![5 => usual, 1 => odd].prop_map(DiskMib)
}

/// What a worker may say that it has: some of a few, so that two workers may name the same, and lists that make no sense.
pub fn inventory() -> impl Strategy<Value = Vec<Gpu>> {
    let sound = vec![
        vec![],
        vec!["GPU-1"],
        vec!["GPU-1", "GPU-2", "GPU-3"],
        vec!["GPU-2", "GPU-4"],
    ];
    let odd = vec![
        vec!["GPU-1", "GPU-1"],
        vec![""],
        vec!["GPU-1\n"],
        vec!["../x", "GPU 2"],
    ];
    prop_oneof![5 => select(sound), 1 => select(odd)].prop_map(|uuids| gpus(&uuids))
}

pub fn gpus(uuids: &[&str]) -> Vec<Gpu> {
    let gpu = |uuid: &&str| Gpu {
        uuid: (*uuid).to_owned(),
        model: "NVIDIA A100-SXM4-80GB".to_owned(),
        memory_mib: MemoryMib(81_920),
    };
    uuids.iter().map(gpu).collect()
}
