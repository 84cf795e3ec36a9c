//! A worker has a lease only of a leader that is sure of its quorum, and while the state says that it is up.

mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use docklet_control::id::{MasterId, RequestId, SecretHash, WorkerId};
use docklet_control::model::{JoinRole, WorkerCapacity, WorkerFacts, WorkerStatus};
use docklet_control::{Actor, Command};
use docklet_link::gate::Barred;
use support::{Member, PATIENCE, dirs, leader_of, three, wait_for};

const SECRET: SecretHash = SecretHash([5; 32]);

async fn propose(member: &Member, actor: Actor, command: Command) -> u64 {
    let request = RequestId(rand::random());
    let proposed = member
        .master
        .propose(actor, request, command, PATIENCE)
        .await;
    proposed.expect("accepted").index.0
}

/// A worker that is up.
async fn worker(member: &Member) -> WorkerId {
    let token = Command::CreateJoinToken {
        secret_hash: SECRET,
        role: JoinRole::Agent,
        ttl_ms: 60_000,
        uses: 1,
    };
    member.command(token).await;
    let join = Command::JoinWorker {
        secret_hash: SECRET,
        name: "w1".to_owned(),
        data_addr: "192.0.2.1:7443".to_owned(),
        underlay: IpAddr::V4(Ipv4Addr::LOCALHOST),
        capacity: WorkerCapacity::default(),
    };
    let worker = WorkerId(propose(member, Actor::Door(MasterId(1)), join).await);
    let facts = WorkerFacts::default();
    let describe = Command::DescribeWorker { worker, facts };
    propose(member, Actor::Worker(worker), describe).await;
    worker
}

fn status(member: &Member, worker: WorkerId) -> WorkerStatus {
    member.master.local().state.workers[&worker].status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_leader_that_is_cut_off_grants_no_lease_and_the_next_one_does() {
    let dirs = dirs();
    let members = three(&dirs).await;
    let leader = leader_of(&members).await;
    let worker = worker(&members[leader]).await;
    for member in &members {
        let granted = member.master.lease(worker).await.expect("a lease");
        assert!(member.master.local().index >= granted);
    }
    assert_eq!(members[leader].master.lease(WorkerId(9_999)).await, None);
    // Nobody hears it, and it hears nobody. It goes on believing that it leads for a while.
    let gate = members[leader].master.gate();
    let shut = gate.shut(Barred::BOTH);
    assert_eq!(members[leader].master.lease(worker).await, None);
    let next = &members[(leader + 1) % 3];
    let begun = std::time::Instant::now();
    while next.master.lease(worker).await.is_none() {
        assert!(begun.elapsed() < PATIENCE, "nobody grants anything");
    }
    assert_eq!(members[leader].master.lease(worker).await, None);
    drop(shut);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_worker_that_is_down_has_no_lease_before_it_is_up_again() {
    let dirs = dirs();
    let members = three(&dirs).await;
    let leader = &members[leader_of(&members).await];
    let worker = worker(leader).await;
    assert!(leader.master.lease(worker).await.is_some());
    let silent = std::time::Instant::now();
    wait_for("a worker that is down", || {
        status(leader, worker) == WorkerStatus::Down
    })
    .await;
    let after = silent.elapsed();
    assert!(after > Duration::from_secs(4), "{after:?}");
    // That it is heard again is an entry of its own.
    assert_eq!(leader.master.lease(worker).await, None);
    wait_for("a worker that is up", || {
        status(leader, worker) == WorkerStatus::Up
    })
    .await;
    assert!(leader.master.lease(worker).await.is_some());
}
