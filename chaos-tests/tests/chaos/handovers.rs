//! SIGTERM of the leader: it hands leadership over first, and nobody waits.

use std::time::{Duration, Instant};

use docklet_chaos_tests::{LoadOptions, count};

use crate::{Scene, bars};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_told_to_stop_hands_over_first() {
    let mut scene = Scene::open(LoadOptions::default()).await;
    let mut gaps = Vec::new();
    for _ in 0..count("CHAOS_STOPS", 5) {
        let leader = scene.leader().await;
        let told = Instant::now();
        scene.cluster.stop(leader).expect("stopped");
        scene.load.progress(50).await.expect("the others go on");
        gaps.push(scene.load.longest_gap(told));
        scene.cluster.run(leader).expect("started again");
        let back = scene.cluster.caught_up(&scene.client, bars::settled());
        back.await.expect("caught up");
        scene.load.progress(50).await.expect("writes");
    }
    scene.close("leader stopped", &bars::tell(&gaps)).await;
    let longest = Duration::from_millis(100);
    bars::hold("leader stopped", &gaps, longest, longest);
}
