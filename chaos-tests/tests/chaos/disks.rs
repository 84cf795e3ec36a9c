//! The leader's disk fills up, or fails: it acknowledges nothing more, says why and ends; the others go on.

use std::time::{Duration, Instant};

use docklet_chaos_tests::{ClusterOptions, DiskKind, LoadOptions};

use crate::{Scene, bars};

/// From the disk's fault to the next accepted write: the failure must be met, then a leader elected.
const LONGEST: Duration = Duration::from_secs(2);

/// A leader that has lost its disk.
struct Lost {
    scene: Scene,
    leader: usize,
    gap: Duration,
}

async fn leader_loses_its_disk(kind: DiskKind) -> Lost {
    let cluster = ClusterOptions {
        // Whoever leads has such a disk.
        disks: (0..3).map(|master| (master, kind)).collect(),
        ..ClusterOptions::default()
    };
    let mut scene = Scene::open_on(cluster, LoadOptions::default()).await;
    let leader = scene.leader().await;
    let begun = Instant::now();
    let disk = scene.cluster.disk(leader).expect("a disk of its own");
    disk.fill().expect("filled");
    let code = scene.cluster.ended(leader).expect("it ends by itself");
    assert_eq!(code, Some(1), "{}", scene.cluster.logs());
    scene.load.progress(100).await.expect("the others go on");
    let said = std::fs::read_to_string(scene.cluster.log_of(leader)).expect("a log");
    let end = said.lines().find(|line| line.starts_with("docklet: "));
    let dir = scene.cluster.dir_of(leader).display().to_string();
    assert!(end.is_some_and(|line| line.contains(&dir)), "{said}");
    Lost {
        leader,
        gap: scene.load.longest_gap(begun),
        scene,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_disk_is_full_says_so_and_ends() {
    let mut lost = leader_loses_its_disk(DiskKind::Small(48)).await;
    let disk = lost.scene.cluster.disk(lost.leader).expect("its disk");
    disk.relieve().expect("room");
    lost.scene.cluster.run(lost.leader).expect("started again");
    let back = lost
        .scene
        .cluster
        .caught_up(&lost.scene.client, bars::settled());
    back.await.expect("caught up");
    lost.scene
        .close("disk full", &bars::tell(&[lost.gap]))
        .await;
    bars::hold("disk full", &[lost.gap], LONGEST, LONGEST);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_disk_fails_says_so_and_ends() {
    let lost = leader_loses_its_disk(DiskKind::Rotten(48)).await;
    lost.scene
        .close("disk fails", &bars::tell(&[lost.gap]))
        .await;
    bars::hold("disk fails", &[lost.gap], LONGEST, LONGEST);
}
