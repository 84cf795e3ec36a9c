//! SIGKILL of the leader, of all masters, under load. Nothing acknowledged is lost, and everybody catches up.

use std::time::{Duration, Instant};

use docklet_chaos_tests::{LoadOptions, count};

use crate::{Scene, bars};

/// Between a master's return and the next fault, so many writes.
const BREATH: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_killed_again_and_again_loses_nothing() {
    let mut scene = Scene::open(LoadOptions::default()).await;
    let mut gaps = Vec::new();
    let mut returns = Vec::new();
    for _ in 0..count("CHAOS_LEADER_KILLS", 6) {
        let leader = scene.leader().await;
        let killed = Instant::now();
        scene.cluster.kill(leader).expect("killed");
        scene.load.progress(BREATH).await.expect("the others go on");
        gaps.push(scene.load.longest_gap(killed));
        scene.cluster.run(leader).expect("started again");
        let back = scene.cluster.caught_up(&scene.client, bars::settled());
        returns.push(back.await.expect("caught up"));
        scene.load.progress(BREATH).await.expect("writes");
    }
    let longest_return = returns.iter().max().expect("some");
    let figures = format!("{}; caught up within {longest_return:?}", bars::tell(&gaps));
    scene.close("leader killed", &figures).await;
    let (median, longest) = (Duration::from_secs(1), Duration::from_millis(1_500));
    bars::hold("leader killed", &gaps, median, longest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_masters_killed_at_once_lose_nothing() {
    let mut scene = Scene::open(LoadOptions::default()).await;
    let mut recoveries = Vec::new();
    for _ in 0..count("CHAOS_TOTAL_KILLS", 3) {
        scene.cluster.kill_all().expect("killed");
        let started = Instant::now();
        for master in 0..scene.cluster.count() {
            scene.cluster.run(master).expect("started again");
        }
        scene.load.progress(BREATH).await.expect("writes");
        recoveries.push(scene.load.longest_gap(started));
        let back = scene.cluster.caught_up(&scene.client, bars::settled());
        back.await.expect("caught up");
    }
    scene
        .close("all masters killed", &bars::tell(&recoveries))
        .await;
    let longest = Duration::from_secs(5);
    bars::hold("all masters killed", &recoveries, longest, longest);
}
