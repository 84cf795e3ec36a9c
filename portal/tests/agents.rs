//! What agents get at their door: their own assignment when it changes, nothing else, and a reason when they are cut off.

#[path = "agents/certificates.rs"]
mod certificates;
#[allow(dead_code, reason = "the tests of doors use the rest")]
mod support;

use std::time::Duration;

use docklet_control::agent_wire::{FromAgent, ToAgent};
use docklet_control::amount::MemoryMib;
use docklet_control::assignment::assignment;
use docklet_control::id::{LogIndex, WorkerId};
use docklet_control::model::Gpu;
use docklet_control::model::receipt::Subject;
use docklet_control::report::{Reported, VnodeReport};
use docklet_control::{Command, State};
use docklet_link::LinkFault;
use support::{ADMIN, Alone, next, next_assignment};

/// The worker that has a vnode of the vcluster of this name.
fn worker_of(state: &State, name: &str) -> WorkerId {
    let vcluster = state.vclusters.values().find(|v| v.name.as_str() == name);
    let vcluster = vcluster.expect("it was created").id;
    let mut placed = state
        .vnodes_of(vcluster)
        .filter_map(|vnode| vnode.placement);
    placed.next().expect("it was placed").worker
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_agent_gets_its_own_assignment_and_nothing_of_the_others() {
    let alone = Alone::start().await;
    let workers = [alone.worker("w1").await, alone.worker("w2").await];
    alone.image(workers[0].id).await;
    let mut links = Vec::new();
    for worker in &workers {
        let mut link = worker.connect(LogIndex(0)).await;
        assert!(next_assignment(&mut link).await.vnodes.is_empty());
        links.push(link);
    }
    alone.vcluster("one", 1).await;
    let mut indices = Vec::new();
    let placed = alone
        .master
        .watch()
        .wait_for(|f| f.state.unplaced_vnodes().next().is_none() && !f.state.vnodes.is_empty())
        .await
        .expect("lives")
        .clone();
    let with = usize::from(worker_of(&placed.state, "one") != workers[0].id);
    loop {
        let mut got = next_assignment(&mut links[with]).await;
        indices.push(got.index);
        // The door adds what no state has.
        for vnode in &mut got.vnodes {
            assert!(vnode.secret.take().is_some());
        }
        let truth = alone.master.state_at(got.index).await.expect("read");
        assert_eq!(
            got,
            assignment(&truth.expect("kept"), got.worker, got.index)
        );
        if !got.vnodes.is_empty() {
            break;
        }
    }
    assert!(indices.is_sorted());
    // Many changes of the one; the other is asked for a sign of life afterwards, and gets that and nothing before it.
    for _ in 0..20 {
        let vcluster = *placed.state.vclusters.keys().next().expect("one");
        alone
            .propose(ADMIN, Command::StopVcluster { vcluster })
            .await;
        alone
            .propose(ADMIN, Command::StartVcluster { vcluster })
            .await;
    }
    let other = &mut links[1 - with];
    other.send(&FromAgent::Heartbeat).await.expect("sent");
    // That the image is here is known; its own description may be recorded late.
    let mut copied = false;
    loop {
        match next(other).await.expect("connected") {
            ToAgent::Recorded { .. } => {}
            ToAgent::Alive => break,
            // It is to hold a copy of the image as well, as soon as the leader comes to that.
            ToAgent::Assignment(copy) if copy.vnodes.is_empty() && !copied => copied = true,
            unexpected @ (ToAgent::Assignment(_)
            | ToAgent::Behind { .. }
            | ToAgent::Lease { .. }
            | ToAgent::DrillPulse { .. }
            | ToAgent::Certificate(_)
            | ToAgent::Resync { .. }) => panic!("{unexpected:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_has_seen_more_is_sent_away() {
    let alone = Alone::start().await;
    let worker = alone.worker("w1").await;
    let mut link = worker.connect(LogIndex(1_000_000)).await;
    match next(&mut link).await {
        Ok(ToAgent::Behind { applied }) => assert!(applied.0 > 0),
        other => panic!("{other:?}"),
    }
}

/// A worker with a vcluster of a thousand vnodes, whose assignment is longer than what sockets hold.
async fn laden(alone: &Alone) -> support::Worker {
    let worker = alone.worker("w1").await;
    alone.image(worker.id).await;
    let mut link = worker.connect(LogIndex(0)).await;
    next_assignment(&mut link).await;
    alone.vcluster("big", 1_000).await;
    let all_placed =
        |frozen: &docklet_raft::Frozen| frozen.state.vnodes_on(worker.id).count() == 1_000;
    let mut states = alone.master.watch();
    let placed = states.wait_for(all_placed);
    let placed = tokio::time::timeout(support::PATIENCE, placed).await;
    drop(placed.expect("placed in time").expect("lives"));
    worker
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_takes_nothing_in_is_told_why_it_is_cut_off_and_comes_back() {
    let alone = Alone::start().await;
    let worker = laden(&alone).await;
    let mut link = worker.connect(LogIndex(0)).await;
    // Longer than the master takes to compute that and waits for it to be taken in, shorter than it waits to say why.
    tokio::time::sleep(Duration::from_secs(14)).await;
    let reason = loop {
        match next(&mut link).await.expect("it is told") {
            ToAgent::Resync { reason } => break reason,
            ToAgent::Assignment(_)
            | ToAgent::Recorded { .. }
            | ToAgent::Alive
            | ToAgent::Lease { .. }
            | ToAgent::DrillPulse { .. }
            | ToAgent::Certificate(_) => {}
            other @ ToAgent::Behind { .. } => panic!("{other:?}"),
        }
    };
    assert!(reason.contains("does not take in"), "{reason}");
    match next(&mut link).await {
        Err(LinkFault::Closed | LinkFault::Io(_)) => {}
        other => panic!("{other:?}"),
    }
    let mut link = worker.connect(LogIndex(0)).await;
    let again = next_assignment(&mut link).await;
    assert_eq!(again.vnodes.len(), 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_reports_faster_than_a_quorum_records_is_told_so() {
    let alone = Alone::start().await;
    let worker = alone.worker("w1").await;
    alone.image(worker.id).await;
    let created = alone.vcluster("one", 1).await;
    assert!(matches!(created.accepted(), Ok(Subject::Vcluster(_))));
    let mut link = worker.connect(LogIndex(0)).await;
    let report = VnodeReport {
        vnode: docklet_control::id::VnodeId(1),
        epoch: docklet_control::id::Epoch(1),
        seen: Reported::Gone,
    };
    for number in 1..=500 {
        let reports = vec![report.clone(); 100];
        // The door may be shut already.
        if link
            .send(&FromAgent::Report { number, reports })
            .await
            .is_err()
        {
            break;
        }
    }
    loop {
        match next(&mut link).await.expect("it is told") {
            ToAgent::Resync { reason } => {
                assert!(reason.contains("faster"), "{reason}");
                break;
            }
            ToAgent::Assignment(_)
            | ToAgent::Recorded { .. }
            | ToAgent::Alive
            | ToAgent::Lease { .. }
            | ToAgent::DrillPulse { .. }
            | ToAgent::Certificate(_) => {}
            other @ ToAgent::Behind { .. } => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_worker_has_is_known_as_soon_as_it_changes() {
    let alone = Alone::start().await;
    let worker = alone.worker("w1").await;
    let mut link = worker.connect(LogIndex(0)).await;
    next_assignment(&mut link).await;
    let known = |frozen: &docklet_raft::Frozen| frozen.state.workers[&worker.id].facts.clone();
    let mut facts = known(&alone.master.local());
    let card = |name: &str| Gpu {
        uuid: name.to_owned(),
        model: "NVIDIA A100".to_owned(),
        memory_mib: MemoryMib(40_960),
    };
    for gpus in [vec![card("GPU-a"), card("GPU-b")], vec![card("GPU-b")]] {
        facts.capacity.gpus = gpus;
        let told = FromAgent::Facts(facts.clone());
        link.send(&told).await.expect("sent");
        let mut states = alone.master.watch();
        let seen = states.wait_for(|frozen| known(frozen) == facts);
        let seen = tokio::time::timeout(support::PATIENCE, seen).await;
        drop(seen.expect("known in time").expect("lives"));
    }
}
