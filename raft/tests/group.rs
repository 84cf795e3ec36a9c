//! Three masters in one process, over real mutual TLS on loopback and real redb files.

mod support;

use std::net::IpAddr;

use docklet_control::id::RequestId;
use docklet_control::model::{ClusterVersion, Role, WorkerCapacity};
use docklet_control::{Command, Refusal};
use docklet_link::Credentials;
use docklet_link::identity::PeerRole;
use docklet_raft::{JoinKind, ProposeFault, StoreClient, join};
use support::{ADMIN, Member, PATIENCE, agree, dirs, first, free_addr, three, token};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_master_takes_writes_and_reads_what_any_other_wrote() {
    let dirs = dirs();
    let members = three(&dirs).await;
    for (number, member) in members.iter().enumerate() {
        member.write(&format!("user-{number}")).await;
        for reader in &members {
            let frozen = reader.master.read(PATIENCE).await.expect("read");
            assert_eq!(
                frozen.state.users.len(),
                number + 2,
                "admin and those so far"
            );
        }
    }
    let last = members[0].master.local().index;
    agree(&members.each_ref(), last).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_repeated_through_another_master_takes_effect_once() {
    let dirs = dirs();
    let members = three(&dirs).await;
    let request = RequestId(77);
    let first = members[0]
        .write_as(request, "once")
        .await
        .expect("accepted");
    let again = members[1]
        .write_as(request, "once")
        .await
        .expect("the first receipt");
    assert_eq!(first, again);
    match members[2].write_as(RequestId(78), "once").await {
        Err(ProposeFault::Refused(Refusal::NameTaken { .. })) => {}
        other => panic!("another request is another matter: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_writes_and_reads_through_whichever_master_answers() {
    let dirs = dirs();
    let members = three(&dirs).await;
    let follower = members.iter().find(|m| !m.master.is_leader());
    let follower = follower.expect("two do not lead").addr.clone();
    // Nobody listens at the first address.
    let addrs = [free_addr(), follower];
    let credentials = Credentials::load(&members[0].dir).expect("credentials");
    let client = StoreClient::new(credentials, &addrs, 1);
    let ask = |name: &str| Command::CreateUser {
        name: name.to_owned(),
        role: Role::User,
        password_hash: "x".to_owned(),
    };
    let request = RequestId(rand::random());
    let first = client.propose(ADMIN, request, ask("ada"), PATIENCE).await;
    let again = client.propose(ADMIN, request, ask("ada"), PATIENCE).await;
    let first = first.expect("accepted");
    assert_eq!(first, again.expect("the first receipt"));
    let (user, index) = client.user_named("ada", PATIENCE).await.expect("read");
    assert!(user.is_some() && index >= first.index);
    let other = client.propose(ADMIN, RequestId(rand::random()), ask("ada"), PATIENCE);
    match other.await {
        Err(ProposeFault::Refused(Refusal::NameTaken { .. })) => {}
        other => panic!("{other:?}"),
    }
    let status = client.status_at(1, PATIENCE).await.expect("status");
    assert_eq!(status.members.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_after_the_leader_stopped_and_it_comes_back_without_replaying_history() {
    let dirs = dirs();
    let [one, two, three] = three(&dirs).await;
    for number in 0..20 {
        one.write(&format!("before-{number}")).await;
    }
    let applied = one.master.local().index;
    let (dir, addr) = one.stop().await;
    let written = two.write("meanwhile").await;
    three
        .master
        .wait_applied(written, PATIENCE)
        .await
        .expect("replicated");
    let one = Member::run(&dir, &addr).await;
    assert!(
        one.master.local().index >= applied,
        "goes on where it stopped"
    );
    let last = one.write("after").await;
    agree(&[&one, &two, &three], last).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_admits_once_and_only_in_its_role() {
    let dirs = dirs();
    let one = first(dirs[0].path()).await;
    let token = token(&one, PeerRole::Agent, 1).await;
    let agent = || JoinKind::Agent {
        name: "w1".to_owned(),
        data_addr: "127.0.0.1:7".to_owned(),
        underlay: IpAddr::from([127, 0, 0, 1]),
        capacity: WorkerCapacity::default(),
    };
    let master = JoinKind::Master {
        name: "m2".to_owned(),
        cluster_addr: "127.0.0.1:7".to_owned(),
        public_addr: "127.0.0.1:8".to_owned(),
        knows: ClusterVersion::FIRST,
    };
    let before = one.master.local().state.masters.len();
    refused(
        join(&token, master, dirs[1].path()).await,
        &Refusal::JoinTokenWorthless,
    );
    let answer = join(&token, agent(), dirs[1].path())
        .await
        .expect("first use");
    assert!(
        answer.ca_key_pem.is_none(),
        "the authority's key is for masters"
    );
    refused(
        join(&token, agent(), dirs[2].path()).await,
        &Refusal::JoinTokenWorthless,
    );
    assert_eq!(one.master.local().state.masters.len(), before);
}

fn refused<T>(result: Result<T, ProposeFault>, wanted: &Refusal) {
    match result {
        Err(ProposeFault::Refused(refusal)) => assert_eq!(refusal, *wanted),
        other => panic!("should be refused: {:?}", other.map(|_| ())),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_another_cluster_reaches_nobody() {
    let dirs = dirs();
    let one = first(dirs[0].path()).await;
    let mut token = token(&one, PeerRole::Agent, 1).await;
    token.ca_fingerprint[0] ^= 1;
    let kind = JoinKind::Agent {
        name: "w1".to_owned(),
        data_addr: "127.0.0.1:7".to_owned(),
        underlay: IpAddr::from([127, 0, 0, 1]),
        capacity: WorkerCapacity::default(),
    };
    match join(&token, kind, dirs[1].path()).await {
        Err(ProposeFault::Unknown(_)) => {}
        other => panic!("{:?}", other.map(|_| ())),
    }
    assert!(one.master.local().state.workers.is_empty());
}
