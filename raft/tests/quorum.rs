//! With five voters nothing is acknowledged by two, whoever of them leads, and an old leader that was cut off with one
//! follower takes nothing back with it. (openraft had a fault here before alpha.28: databendlabs/openraft#1802.)

mod support;

use std::time::Duration;

use docklet_control::Command;
use docklet_control::id::{LogIndex, RequestId};
use docklet_control::model::Role;
use docklet_control::name::Name;
use docklet_link::gate::Barred;
use docklet_raft::ProposeFault;
use support::load::Client;
use support::{ADMIN, Member, PATIENCE, agree, leader_of, voters_of, wait_for};
use tempfile::TempDir;

fn five() -> [TempDir; 5] {
    std::array::from_fn(|_| TempDir::new().expect("directory"))
}

fn user(name: &str) -> Command {
    Command::CreateUser {
        name: name.to_owned(),
        role: Role::User,
        password_hash: "x".to_owned(),
    }
}

async fn propose(
    member: &Member,
    request: RequestId,
    name: &str,
    within: Duration,
) -> Result<LogIndex, ProposeFault> {
    let proposed = member
        .master
        .propose(ADMIN, request, user(name), within)
        .await;
    proposed.map(|receipt| receipt.index)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_of_five_acknowledge_nothing_and_what_they_were_asked_takes_effect_once_at_most() {
    let dirs = five();
    let members = voters_of(&dirs).await;
    let leader = leader_of(&members).await;
    let follower = (leader + 1) % 5;
    let cut_off: Vec<usize> = (0..5)
        .filter(|place| ![leader, follower].contains(place))
        .collect();
    let gates: Vec<_> = cut_off
        .iter()
        .map(|place| members[*place].master.gate())
        .collect();
    let held: Vec<_> = gates.iter().map(|gate| gate.shut(Barred::BOTH)).collect();
    let request = RequestId(4_711);
    for place in [leader, follower] {
        let short = Duration::from_millis(1_500);
        let answer = propose(&members[place], request, "by-two", short).await;
        assert!(
            matches!(answer, Err(ProposeFault::Unknown(_))),
            "{answer:?}"
        );
        assert!(
            members[place].master.read(short).await.is_err(),
            "no quorum confirms what is current"
        );
    }
    drop(held);
    let first = propose(&members[cut_off[0]], request, "by-two", PATIENCE)
        .await
        .expect("once");
    let again = propose(&members[follower], request, "by-two", PATIENCE)
        .await
        .expect("once");
    assert_eq!(first, again);
    agree(&members.iter().collect::<Vec<_>>(), first).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_leader_cut_off_with_one_follower_is_overruled_by_the_other_three() {
    let dirs = five();
    let members = voters_of(&dirs).await;
    let leader = leader_of(&members).await;
    let others: Vec<usize> = (0..5).filter(|place| *place != leader).collect();
    let writer = Client::writes(&members[others[1]].master);
    let (old, with) = (&members[leader], &members[others[0]]);
    let (old_gate, its_gate) = (old.master.gate(), with.master.gate());
    let held = (old_gate.shut(Barred::BOTH), its_gate.shut(Barred::BOTH));
    let short = Duration::from_millis(1_500);
    let minority = propose(old, RequestId(1), "by-the-old-leader", short).await;
    assert!(
        matches!(minority, Err(ProposeFault::Unknown(_))),
        "{minority:?}"
    );
    let elsewhere = || {
        let now = members[others[2]].master.brief_status().leader;
        now.is_some_and(|id| id != old.master.id() && id != with.master.id())
    };
    wait_for("a leader among the three", elsewhere).await;
    let written = propose(&members[others[2]], RequestId(2), "by-three", PATIENCE).await;
    let written = written.expect("three are a majority");
    drop(held);
    let report = writer.stop().await;
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    let last = report.done.iter().filter_map(|done| done.index).max();
    let last = last.expect("something was written").max(written);
    agree(&members.iter().collect::<Vec<_>>(), last).await;
    let state = members[0].master.local().state;
    let name = Name::parse("user", "by-three").expect("a name");
    assert!(state.user_named(&name).is_some());
}
