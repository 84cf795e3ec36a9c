//! A live cluster is upgraded: each master is stopped, gets the newer program and starts again, while clients write.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use docklet_chaos_tests::{ADMIN, ClusterOptions, LoadOptions, PATIENCE, program, program_before};
use docklet_control::model::{Bandwidth, ClusterVersion};
use docklet_control::{Command, Refusal};
use docklet_raft::ProposeFault;

use crate::{Scene, bars};

/// What came with the newest version.
fn newest() -> Command {
    Command::LimitBandwidth {
        bandwidth: Bandwidth::default(),
    }
}

/// What a master ends with whose program is too old.
const TOO_OLD: i32 = 9;

impl Scene {
    /// Asks for what came with the newer version; whether it was accepted.
    async fn accepts_the_new(&self) -> bool {
        let request = self.client.new_request().await.expect("an entry is known");
        let asked = self.client.propose(ADMIN, request, newest(), PATIENCE);
        match asked.await {
            Ok(_) => true,
            Err(ProposeFault::Refused(Refusal::VersionTooLow { .. })) => false,
            Err(fault) => panic!("{fault:?}"),
        }
    }

    /// Gives a master another program; answers the longest time without writes.
    async fn upgrade(&mut self, master: usize, to: PathBuf) -> Duration {
        let told = Instant::now();
        self.cluster.stop(master).expect("stopped");
        self.install(master, to).await;
        self.load.longest_gap(told)
    }

    /// Starts a master that does not run with another program.
    async fn install(&mut self, master: usize, to: PathBuf) {
        self.cluster.install(master, to);
        self.cluster.run(master).expect("started again");
        let back = self.cluster.caught_up(&self.client, bars::settled());
        back.await.expect("caught up");
        self.load.progress(50).await.expect("writes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn masters_are_upgraded_one_by_one_while_clients_write() {
    let (older, newer) = (
        program_before().expect("the older docklet is built"),
        program().expect("docklet is built"),
    );
    let cluster = ClusterOptions {
        program: Some(older.clone()),
        ..ClusterOptions::default()
    };
    let mut scene = Scene::open_on(cluster, LoadOptions::default()).await;
    let count = scene.cluster.count();

    // The leader is the last: so the log is written by an old one first, and by a new one in the end.
    let leader = scene.leader().await;
    let mut gaps = Vec::new();
    for step in 1..=count {
        assert!(!scene.accepts_the_new().await, "before step {step}");
        let master = (leader + step) % count;
        gaps.push(scene.upgrade(master, newer.clone()).await);
    }
    let begun = Instant::now();
    while !scene.accepts_the_new().await {
        assert!(begun.elapsed() < PATIENCE, "the version does not rise");
    }
    let risen = begun.elapsed();
    assert_ne!(scene.leader().await, leader, "it handed over");

    // There is no way back, and whoever tries it is told so.
    let follower = scene.follower().await;
    scene.cluster.stop(follower).expect("stopped");
    scene.cluster.install(follower, older);
    scene.cluster.run(follower).expect("started");
    let code = scene.cluster.ended(follower).expect("it ends by itself");
    let said = std::fs::read_to_string(scene.cluster.log_of(follower)).expect("its output");
    assert_eq!(code, Some(TOO_OLD), "{said}");
    let knows = ClusterVersion::CURRENT.0 - 1;
    let told = format!("knows cluster versions up to {knows}");
    assert!(said.contains(&told), "{said}");
    scene.install(follower, newer).await;

    let figures = format!("{}, the version rose within {risen:?}", bars::tell(&gaps));
    scene.close("upgraded one by one", &figures).await;
    let longest = Duration::from_secs(1);
    bars::hold("upgraded one by one", &gaps, longest, longest);
}
