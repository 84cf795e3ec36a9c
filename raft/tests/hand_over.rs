//! An orderly stop of the leader is no pause: leadership goes to another first.

#![expect(
    clippy::print_stdout,
    reason = "the figures are for whoever reads the test's output"
)]

mod support;

use std::time::{Duration, Instant};

use support::load::Client;
use support::{Member, agree, dirs, leader_of, three, wait_for};

/// Hand-overs measured.
const ROUNDS: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_leader_that_stops_in_order_keeps_no_writer_waiting() {
    let dirs = dirs();
    let mut members = Vec::from(three(&dirs).await);
    let writer = Client::writes(&members[0].master);
    let (mut spans, mut took) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let leader = leader_of(&members).await;
        let other = (leader + 1) % members.len();
        writer.go_through(&members[other].master);
        let before = members[other].master.local().index;
        wait_for("writes through another master", || {
            members[other].master.local().index.0 > before.0 + 5
        })
        .await;
        let began = Instant::now();
        let (dir, addr) = members.remove(leader).stop().await;
        took.push(began.elapsed());
        spans.push((began, Instant::now()));
        members.push(Member::run(&dir, &addr).await);
        let back = members.len() - 1;
        let reached = members[0].master.local().index;
        wait_for("return of the one that stopped", || {
            members[back].master.local().index >= reached
        })
        .await;
    }
    let report = writer.stop().await;
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    let mut waits: Vec<Duration> = spans
        .iter()
        .map(|(from, to)| report.longest_between(*from, *to))
        .collect();
    waits.sort();
    took.sort();
    println!(
        "{ROUNDS} orderly stops of the leader: longest write during each, median {:?}, max {:?}; \
         the stop itself took {:?}, max {:?}; {} writes",
        waits[ROUNDS / 2],
        waits[ROUNDS - 1],
        took[ROUNDS / 2],
        took[ROUNDS - 1],
        report.done.len(),
    );
    let last = report.done.iter().filter_map(|done| done.index).max();
    let all: Vec<&Member> = members.iter().collect();
    agree(&all, last.expect("something was written")).await;
}
