//! Masters cut off from each other by dropped packets: whole, one way, in part, some of them.

use std::time::{Duration, Instant};

use docklet_chaos_tests::{Cluster, LoadOptions, count};

use crate::{Scene, bars};

/// A cut lasts at least this long: several elections.
const CUT: Duration = Duration::from_secs(2);
const MEDIAN: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_millis(1_500);

/// Cuts again and again what `cut` cuts off the leader. The rest goes on; after healing all come to the same state.
async fn leader_cut_off(title: &str, cut: impl Fn(&Cluster, usize) -> anyhow::Result<()>) {
    let scene = Scene::open(LoadOptions::default()).await;
    let mut gaps = Vec::new();
    for _ in 0..count("CHAOS_CUTS", 2) {
        let leader = scene.leader().await;
        let begun = Instant::now();
        cut(&scene.cluster, leader).expect("rules");
        tokio::time::sleep(CUT).await;
        scene.load.progress(50).await.expect("the majority writes");
        gaps.push(scene.load.longest_gap(begun));
        scene.cluster.network().heal().expect("healed");
        let back = scene.cluster.caught_up(&scene.client, bars::settled());
        back.await.expect("caught up");
    }
    scene.close(title, &bars::tell(&gaps)).await;
    bars::hold(title, &gaps, MEDIAN, LONGEST);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_isolated_leader_is_replaced_and_serves_no_stale_read() {
    leader_cut_off("leader isolated", |cluster, leader| {
        cluster.network().isolate(leader)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_can_only_speak_is_replaced() {
    leader_cut_off("leader deaf", |cluster, leader| {
        cluster.network().deafen(leader)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_can_only_hear_is_replaced() {
    leader_cut_off("leader mute", |cluster, leader| {
        cluster.network().mute(leader)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_seen_by_one_follower_only_stays() {
    let scene = Scene::open(LoadOptions::default()).await;
    let leader = scene.leader().await;
    let term = term(&scene).await;
    let begun = Instant::now();
    let far = scene.follower().await;
    scene.cluster.network().cut(leader, far).expect("rules");
    tokio::time::sleep(CUT).await;
    scene.load.progress(50).await.expect("two of three write");
    let gap = scene.load.longest_gap(begun);
    scene.cluster.network().heal().expect("healed");
    let back = scene.cluster.caught_up(&scene.client, bars::settled());
    back.await.expect("caught up");
    assert_eq!(
        term_of(&scene, leader).await,
        Some(term),
        "no election was needed"
    );
    scene.close("bridge", &bars::tell(&[gap])).await;
    bars::hold("bridge", &[gap], LONGEST, LONGEST);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_comes_back_unseats_nobody() {
    let scene = Scene::open(LoadOptions::default()).await;
    let (leader, term) = (scene.leader().await, term(&scene).await);
    let follower = scene.follower().await;
    scene.cluster.network().isolate(follower).expect("rules");
    tokio::time::sleep(CUT).await;
    scene.cluster.network().heal().expect("healed");
    let back = scene.cluster.caught_up(&scene.client, bars::settled());
    let back = back.await.expect("caught up");
    assert_eq!(
        term_of(&scene, leader).await,
        Some(term),
        "pre-vote keeps the leader"
    );
    scene
        .close("follower cut off", &format!("back after {back:?}"))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lossy_network_slows_but_loses_nothing() {
    let scene = Scene::open(LoadOptions::default()).await;
    let begun = Instant::now();
    scene.cluster.network().lossy(30).expect("rules");
    for _ in 0..count("CHAOS_CUTS", 2) {
        scene.load.progress(20).await.expect("writes");
    }
    let gap = scene.load.longest_gap(begun);
    scene.cluster.network().heal().expect("healed");
    let back = scene.cluster.caught_up(&scene.client, bars::settled());
    back.await.expect("caught up");
    scene.close("30 % loss", &bars::tell(&[gap])).await;
}

async fn term(scene: &Scene) -> u64 {
    let leader = scene.leader().await;
    term_of(scene, leader).await.expect("the leader answers")
}

/// The term in which this master leads.
async fn term_of(scene: &Scene, leader: usize) -> Option<u64> {
    let statuses = scene.cluster.statuses(&scene.client).await;
    let status = statuses.into_iter().find(|(master, _)| *master == leader);
    status
        .filter(|(_, status)| status.role == "leader")
        .map(|(_, status)| status.term)
}
