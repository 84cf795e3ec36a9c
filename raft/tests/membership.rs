//! Masters come and go while clients work: 1 -> 3 -> 5 -> 3, the leader among those that go, a dead one replaced, a
//! wiped one back under another id, and no way back for whoever was removed.

#![expect(
    clippy::print_stdout,
    reason = "the figures are for whoever reads the test's output"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use docklet_control::id::{MasterId, RequestId, SecretHash};
use docklet_control::model::ClusterVersion;
use docklet_control::view::{self, MasterRole};
use docklet_control::{Command, Refusal};
use docklet_link::JoinSecret;
use docklet_link::identity::PeerRole;
use docklet_raft::{JoinKind, ProposeFault, join};
use support::load::Client;
use support::{
    ADMIN, Member, PATIENCE, agree, fingerprint, first, hurry, joined, leader_of, token, voters,
    wait_for,
};
use tempfile::TempDir;

/// A group that grows and shrinks, and all ids that it ever had.
struct Group {
    dirs: Vec<TempDir>,
    members: Vec<Member>,
    ids: BTreeSet<MasterId>,
}

impl Group {
    async fn begun() -> Self {
        let dir = TempDir::new().expect("directory");
        let member = first(dir.path()).await;
        let ids = BTreeSet::from([member.master.id()]);
        Self {
            dirs: vec![dir],
            members: vec![member],
            ids,
        }
    }

    async fn grow(&mut self, token: &JoinSecret, name: &str) {
        let dir = TempDir::new().expect("directory");
        let member = joined(token, dir.path(), name).await;
        self.take_in(dir, member);
    }

    fn take_in(&mut self, dir: TempDir, member: Member) {
        assert!(self.ids.insert(member.master.id()), "an id came twice");
        self.dirs.push(dir);
        self.members.push(member);
    }

    fn id(&self, place: usize) -> MasterId {
        self.members[place].master.id()
    }

    /// Asks through another member than the one that goes, which then notices and does not lead at that moment.
    async fn remove(&mut self, place: usize) -> Member {
        let (goes, asked) = (self.id(place), (place + 1) % self.members.len());
        let master = self.members[place].master.clone();
        let told = tokio::spawn(async move {
            master.removed().await;
            master.is_leader()
        });
        self.removed(asked, goes).await.expect("removed");
        let told = tokio::time::timeout(PATIENCE, told).await;
        let led = told.expect("the removed one notices").expect("no panic");
        assert!(!led, "it led until it was removed");
        self.members.remove(place)
    }

    async fn removed(&self, asked: usize, goes: MasterId) -> Result<(), ProposeFault> {
        let request = RequestId(rand::random());
        let through = &self.members[asked].master;
        let removal = through.remove_master(ADMIN, request, goes, false, PATIENCE);
        removal.await.map(|_| ())
    }

    /// Waits until exactly the living members are in the group, and so many of them vote.
    async fn settled(&self, voting: usize) {
        let ids: BTreeSet<MasterId> = self.members.iter().map(|m| m.master.id()).collect();
        let as_wanted = |member: &Member| {
            let status = member.master.status();
            let known: BTreeSet<MasterId> = status.members.iter().map(|m| m.id).collect();
            known == ids && voters(member) == voting
        };
        wait_for("members as wanted", || self.members.iter().all(as_wanted)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn masters_come_and_go_under_load_and_nothing_is_lost() {
    let mut group = Group::begun().await;
    let through = &group.members[0].master;
    let (writers, readers) = (
        [Client::writes(through), Client::writes(through)],
        [Client::reads(through), Client::reads(through)],
    );
    let move_to = |member: &Member| {
        let clients = writers.iter().chain(&readers);
        clients.for_each(|client| client.go_through(&member.master));
    };
    let mut steps = vec![("one", Instant::now())];

    let many = token(&group.members[0], PeerRole::Master, 9).await;
    group.grow(&many, "m2").await;
    group.grow(&many, "m3").await;
    group.settled(3).await;
    steps.push(("grown to three", Instant::now()));

    group.grow(&many, "m4").await;
    group.grow(&many, "m5").await;
    group.settled(5).await;
    steps.push(("grown to five", Instant::now()));

    // The leader is among those that go. Clients work through the one that goes last of all.
    let leader = leader_of(&group.members).await;
    let last = (leader + 1) % 5;
    move_to(&group.members[last]);
    let stays = group.id(last);
    let gone = group.remove(leader).await;
    group.settled(3).await;
    steps.push(("leader removed", Instant::now()));
    let mut removed = vec![gone];
    let follower = (0..4).find(|place| group.id(*place) != stays);
    removed.push(group.remove(follower.expect("four are left")).await);
    group.settled(3).await;
    steps.push(("shrunk to three", Instant::now()));

    // One dies, is replaced, and both its name and its address are the new one's.
    let leader = leader_of(&group.members).await;
    let dies = (0..3).find(|place| *place != leader && group.id(*place) != stays);
    let dead = group.members.remove(dies.expect("three are left"));
    let (dead_id, addr) = (dead.master.id(), dead.addr.clone());
    dead.stop().await;
    group.replace(dead_id, &addr).await;
    group.settled(3).await;
    steps.push(("dead one replaced", Instant::now()));

    let mut failed = Vec::new();
    let mut waits = BTreeMap::new();
    let mut written = Vec::new();
    for client in writers.into_iter().chain(readers) {
        let report = client.stop().await;
        for pair in steps.windows(2) {
            let longest = report.longest_between(pair[0].1, pair[1].1);
            let known = waits.entry(pair[1].0).or_insert(longest);
            *known = longest.max(*known);
        }
        failed.extend(report.failed);
        written.extend(report.done.into_iter().filter(|done| done.index.is_some()));
    }
    println!(
        "1 -> 3 -> 5 -> 3, a dead master replaced, {} writes: longest operation during each step {waits:?}",
        written.len()
    );
    assert!(failed.is_empty(), "{failed:?}");
    let index = written.iter().filter_map(|done| done.index).max();
    let all: Vec<&Member> = group.members.iter().collect();
    agree(&all, index.expect("something was written")).await;
    let state = group.members[0].master.local().state;
    let names: BTreeSet<&str> = state
        .users
        .values()
        .map(|user| user.name.as_str())
        .collect();
    let lost: Vec<_> = written
        .iter()
        .filter(|done| !names.contains(done.name.as_str()))
        .collect();
    assert!(
        lost.is_empty(),
        "{} acknowledged writes are lost",
        lost.len()
    );
    for gone in removed {
        returns_in_vain(gone).await;
    }
}

impl Group {
    /// Lets a new master take a dead one's place, with a fresh directory.
    async fn replace(&mut self, dead: MasterId, addr: &str) {
        let asked = &self.members[0];
        let token = JoinSecret::generate(
            PeerRole::Master,
            self.members.iter().map(|m| m.addr.clone()).collect(),
            fingerprint(asked),
        );
        let name = asked.master.local().state.masters[&dead].name.to_string();
        // With an invitation that is not for this, the name is told to be taken and by whom.
        let other = support::token(asked, PeerRole::Master, 1).await;
        let dir = TempDir::new().expect("directory");
        let kind = || JoinKind::Master {
            name: name.clone(),
            cluster_addr: addr.to_owned(),
            public_addr: "127.0.0.1:1".to_owned(),
            knows: ClusterVersion::FIRST,
        };
        match join(&other, kind(), dir.path()).await {
            Err(ProposeFault::Refused(Refusal::MasterNameHeld { id, .. })) => {
                assert_eq!(id, dead.0);
            }
            other => panic!("{:?}", other.map(|_| ())),
        }
        let command = Command::ReplaceMaster {
            master: dead,
            secret_hash: SecretHash(token.secret_hash()),
            ttl_ms: 60_000,
        };
        asked.command(command).await;
        join(&token, kind(), dir.path()).await.expect("joined");
        let member = Member::run(dir.path(), addr).await;
        self.take_in(dir, member);
    }
}

/// Whoever was removed comes back with its certificate: nobody talks to it, and it learns why.
async fn returns_in_vain(gone: Member) {
    let (dir, addr) = gone.stop().await;
    let back = Member::run(&dir, &addr).await;
    let told = tokio::time::timeout(PATIENCE, back.master.removed());
    told.await.expect("it is told that it was removed");
    assert!(!back.master.is_leader());
    let short = Duration::from_millis(300);
    assert!(back.master.read(short).await.is_err(), "nobody answers it");
    back.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_was_away_when_it_was_removed_is_told_so_when_it_returns() {
    let mut group = Group::begun().await;
    let many = token(&group.members[0], PeerRole::Master, 2).await;
    group.grow(&many, "m2").await;
    group.grow(&many, "m3").await;
    group.settled(3).await;
    let away = group.members.pop().expect("three");
    let id = away.master.id();
    let (dir, addr) = away.stop().await;
    group.removed_at_last(id).await;
    group.settled(2).await;
    let back = Member::run(&dir, &addr).await;
    assert!(
        back.master.local().state.masters.contains_key(&id),
        "it does not know yet"
    );
    let told = tokio::time::timeout(PATIENCE, back.master.removed());
    told.await.expect("it is told that it was removed");
    back.stop().await;
}

impl Group {
    /// Waits until the leader has noticed that somebody is gone.
    async fn hears_nothing_of_one(&self, leader: usize) {
        let silent = || {
            let members = self.members[leader].master.brief_status().members;
            let others = members
                .iter()
                .filter(|m| m.voter && m.id != self.id(leader));
            others
                .filter(|m| m.heard_ms_ago.is_none_or(|ms| ms > 700))
                .count()
                == 1
        };
        wait_for("silence of the dead one", silent).await;
    }

    /// The leader must first notice that the others answer.
    async fn removed_at_last(&self, goes: MasterId) {
        let begun = Instant::now();
        loop {
            match self.removed(0, goes).await {
                Ok(()) => return,
                Err(ProposeFault::Refused(Refusal::QuorumAtRisk { .. }))
                    if begun.elapsed() < PATIENCE => {}
                Err(fault) => panic!("{fault:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_cost_the_quorum_is_refused_and_changes_nothing() {
    let mut group = Group::begun().await;
    match group.removed(0, group.id(0)).await {
        Err(ProposeFault::Refused(Refusal::LastMaster { .. })) => {}
        other => panic!("{other:?}"),
    }
    let many = token(&group.members[0], PeerRole::Master, 2).await;
    group.grow(&many, "m2").await;
    group.grow(&many, "m3").await;
    group.settled(3).await;
    let leader = leader_of(&group.members).await;
    let dies = (leader + 1) % 3;
    let dead = group.members.remove(dies);
    dead.stop().await;
    let leader = leader_of(&group.members).await;
    group.hears_nothing_of_one(leader).await;
    let before = group.members[leader].master.local().hash();
    for place in 0..2 {
        match group.removed(1 - place, group.id(place)).await {
            Err(ProposeFault::Refused(Refusal::QuorumAtRisk { .. })) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(before, group.members[leader].master.local().hash());
    assert_eq!(voters(&group.members[leader]), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_master_gives_way_to_one_that_waits() {
    let mut group = Group::begun().await;
    hurry(&group.members[0], Some(1_500)).await;
    let many = token(&group.members[0], PeerRole::Master, 3).await;
    for name in ["m2", "m3", "m4"] {
        group.grow(&many, name).await;
    }
    group.settled(3).await;
    let leader = leader_of(&group.members).await;
    let votes = |id: MasterId| {
        let status = group.members[leader].master.status();
        status.members.iter().any(|m| m.id == id && m.voter)
    };
    let dies = (0..4).find(|place| *place != leader && votes(group.id(*place)));
    let dead = group.members.remove(dies.expect("two other voters"));
    dead.stop().await;
    group.settled(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_chooses_who_leads() {
    let mut group = Group::begun().await;
    let many = token(&group.members[0], PeerRole::Master, 2).await;
    group.grow(&many, "m2").await;
    match group.members[0]
        .master
        .transfer(ADMIN, group.id(1), PATIENCE)
        .await
    {
        Err(ProposeFault::Refused(Refusal::CannotLead { .. })) => {}
        other => panic!("a learner cannot lead: {other:?}"),
    }
    group.grow(&many, "m3").await;
    group.settled(3).await;
    for next in [1, 2, 0] {
        let asked = &group.members[(next + 1) % 3].master;
        asked
            .transfer(ADMIN, group.id(next), PATIENCE)
            .await
            .expect("transferred");
        assert_eq!(leader_of(&group.members).await, next);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_master_leads_no_more_and_is_not_drained_where_it_is_needed() {
    let mut group = Group::begun().await;
    let alone = &group.members[0].master;
    match alone.drain(ADMIN, alone.id(), PATIENCE).await {
        Err(ProposeFault::Refused(Refusal::QuorumAtRisk { .. })) => {}
        other => panic!("{other:?}"),
    }
    let many = token(&group.members[0], PeerRole::Master, 2).await;
    group.grow(&many, "m2").await;
    group.grow(&many, "m3").await;
    group.settled(3).await;
    let leader = leader_of(&group.members).await;
    let asked = &group.members[(leader + 1) % 3].master;
    let drained = asked.drain(ADMIN, group.id(leader), PATIENCE).await;
    drained.expect("drained");
    assert!(!group.members[leader].master.is_leader());
    group.members.remove(leader).stop().await;
    let leader = leader_of(&group.members).await;
    group.hears_nothing_of_one(leader).await;
    match group.members[leader]
        .master
        .drain(ADMIN, group.id(1 - leader), PATIENCE)
        .await
    {
        Err(ProposeFault::Refused(Refusal::QuorumAtRisk { .. })) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_master_shows_the_group_as_the_leader_sees_it() {
    let mut group = Group::begun().await;
    let many = token(&group.members[0], PeerRole::Master, 3).await;
    for name in ["m2", "m3", "m4"] {
        group.grow(&many, name).await;
    }
    group.settled(3).await;
    let leader = leader_of(&group.members).await;
    let leader = group.id(leader);
    for member in &group.members {
        let observed = member.master.observe().await;
        let view = view::master::group(&member.master.local().state, &observed);
        let role = |role| view.masters.iter().filter(|m| m.role == role).count();
        assert_eq!(view.leader, Some(leader));
        assert_eq!(
            [
                role(MasterRole::Leader),
                role(MasterRole::Voter),
                role(MasterRole::Learner)
            ],
            [1, 2, 1]
        );
        for shown in &view.masters {
            assert!(shown.lag.is_some_and(|lag| lag < 100), "{shown:?}");
            assert!(
                shown.version.is_some() && shown.certificate_expires_at.is_some(),
                "{shown:?}"
            );
        }
    }
}
