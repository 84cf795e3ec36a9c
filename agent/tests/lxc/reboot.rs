//! A worker that comes back after a loss of power, with no master in reach: what it was assigned is on its disk.

use std::fs;

use docklet_agent::host::Act;
use docklet_agent::lxc::Helpers;
use docklet_agent::{masters, run};
use docklet_control::id::VnodeId;
use docklet_control::model::VnodeWanted::{Running, Stopped};
use docklet_link::Authority;

use crate::support::{
    CLUSTER, HELPER, Worker, in_own_network, observe, perform, round, run_in, until,
};

const RUNS: VnodeId = VnodeId(7);
const STAYS: VnodeId = VnodeId(8);

#[test]
fn a_worker_that_reboots_with_no_master_in_reach_starts_its_vnodes() {
    let mut worker = Worker::new(&Authority::create(CLUSTER).expect("an authority"), 5);
    // Nobody listens there.
    worker.config.masters = vec!["127.0.0.1:1".to_owned()];
    let wanted = worker.assignment(vec![worker.vnode(7, Running), worker.vnode(8, Running)]);
    in_own_network(async {
        move_here(&mut worker);
        let host = worker.open();
        round(&host, &wanted).await;
        run_in(&worker, 7, "echo kept > /root/kept && sync");
        let stopped = worker.assignment(vec![worker.vnode(7, Running), worker.vnode(8, Stopped)]);
        round(&host, &stopped).await;
        masters::store(&host.state().assignment(), &stopped).expect("stored");
    });
    let before = worker.init_pid(RUNS);
    worker.lose_power();
    assert_eq!(worker.init_pid(RUNS), None);
    in_own_network(async {
        move_here(&mut worker);
        let agent = tokio::spawn(run(worker.config.clone()));
        let kept = tokio::task::block_in_place(|| {
            until("file of the vnode that runs again", || {
                assert!(!agent.is_finished(), "the agent ended");
                let after = worker.init_pid(RUNS)?;
                assert_ne!(Some(after), before);
                fs::read_to_string(format!("/proc/{after}/root/root/kept")).ok()
            })
        });
        assert_eq!(kept, "kept\n");
        agent.abort();
        drop(agent.await);
        let host = worker.open();
        let seen = observe(&host).await.vnodes;
        assert!(seen[&RUNS].running && !seen[&STAYS].running);
        let answer = ["ping", "-c", "1", "-W", "5", "10.64.0.7"];
        run_in(&worker, 7, &answer.join(" "));
        for id in [RUNS, STAYS] {
            perform(&host, Act::Remove(id)).await;
        }
    });
}

/// Its helpers work from now on in the network that the caller is in, as an agent's do.
fn move_here(worker: &mut Worker) {
    worker.config.helpers = Helpers::copied(HELPER).expect("a thread");
}
