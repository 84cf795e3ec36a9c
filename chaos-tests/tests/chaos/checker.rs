//! The checker must be able to fail: what a random master has is not linearizable, and it must find that out.

use docklet_chaos_tests::{LoadOptions, Reads};

use crate::Scene;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_reads_on_any_master_are_found_to_be_stale() {
    let options = LoadOptions {
        keys: 8,
        pinned_reads: Reads::Local,
        ..LoadOptions::default()
    };
    let scene = Scene::open(options).await;
    scene.load.progress(500).await.expect("writes");
    let loaded = scene.load.finish().await.expect("nothing impossible");
    println!("local reads: {}", loaded.verdict);
    assert!(!loaded.verdict.broken.is_empty(), "nothing was found");
}
