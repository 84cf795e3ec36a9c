//! SIGSTOP of the leader: it keeps its connections, believes to lead when it wakes, and must answer nothing stale.

use std::time::{Duration, Instant};

use docklet_chaos_tests::{LoadOptions, count};
use rand::Rng;

use crate::{Scene, bars};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_leader_answers_nothing_stale_when_it_wakes() {
    let options = LoadOptions {
        // Readers that ask only the frozen one must still be waiting when it wakes.
        deadline: Duration::from_secs(15),
        ..LoadOptions::default()
    };
    let mut scene = Scene::open(options).await;
    let longest_ms = count("CHAOS_FREEZE_MS", 2_500);
    let mut gaps = Vec::new();
    for _ in 0..count("CHAOS_FREEZES", 6) {
        let leader = scene.leader().await;
        let length = Duration::from_millis(rand::rng().random_range(300..longest_ms));
        let frozen = Instant::now();
        scene.cluster.freeze(leader).expect("frozen");
        tokio::time::sleep(length).await;
        scene.cluster.thaw(leader).expect("thawed");
        scene.load.progress(50).await.expect("writes go on");
        gaps.push(scene.load.longest_gap(frozen));
        let back = scene.cluster.caught_up(&scene.client, bars::settled());
        back.await.expect("caught up");
    }
    scene.close("leader frozen", &bars::tell(&gaps)).await;
    let (median, longest) = (Duration::from_secs(1), Duration::from_millis(1_500));
    bars::hold("leader frozen", &gaps, median, longest);
}
