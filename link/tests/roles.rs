//! Who may reach whom, over real TLS on loopback.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use docklet_link::authority::SigningRequest;
use docklet_link::identity::{Identity, PeerRole};
use docklet_link::listener::{ClusterListener, Deny, Handler, handler};
use docklet_link::rpc::{self, Caller};
use docklet_link::tls::Expect;
use docklet_link::{Authority, Credentials, Dialer, LinkFault, Purpose, authority, dial};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const CLUSTER: [u8; 16] = [4; 16];

fn identity(role: PeerRole, id: u64) -> Identity {
    Identity {
        role,
        id,
        cluster: CLUSTER,
    }
}

/// Credentials that `ca` signed for this identity.
fn signed(ca: &Authority, identity: Identity) -> Credentials {
    let dir = TempDir::new().expect("a directory");
    let signing = SigningRequest::new().expect("a key");
    let own = ca.sign(&signing.csr_pem, identity).expect("signed");
    let pem = ca.certificate_pem();
    Credentials::store(dir.path(), pem, &own, &signing.key_pem, None).expect("stored");
    Credentials::load(dir.path()).expect("loaded")
}

/// Answers every call with its own bytes, except method 9, which never answers.
fn echo() -> Handler {
    handler(|_, channel| {
        rpc::serve(channel, |method, body| async move {
            if method == 9 {
                std::future::pending::<()>().await;
            }
            Ok(body.to_vec())
        })
    })
}

/// A master's listener that removed master 66.
async fn listen(ca: &Authority) -> String {
    let own = signed(ca, identity(PeerRole::Master, 1));
    let listener = ClusterListener::bind("127.0.0.1:0", &own)
        .await
        .expect("bound");
    let addr = listener.local_addr().expect("an address").to_string();
    let purposes = [
        Purpose::Raft,
        Purpose::Agent,
        Purpose::Join,
        Purpose::Standing,
    ];
    let handlers: HashMap<_, _> = purposes.map(|purpose| (purpose, echo())).into();
    let deny = Deny::new(watch::Sender::new(()).subscribe(), |peer| peer.id == 66);
    tokio::spawn(listener.serve(handlers, deny));
    addr
}

/// Whether a call for this purpose gets an answer.
async fn answered(addr: &str, own: Credentials, expect: Expect, purpose: Purpose) -> bool {
    match Dialer::new(own).dial(addr, expect, purpose).await {
        Ok(channel) => {
            let caller = Caller::new(channel);
            let call = caller.call(1, b"x", Duration::from_secs(5));
            call.await.is_ok()
        }
        Err(_) => false,
    }
}

#[tokio::test]
async fn a_purpose_is_open_to_its_role_only() {
    let ca = Authority::create(CLUSTER).expect("an authority");
    let addr = listen(&ca).await;
    let any = Expect::Role(PeerRole::Master);
    let cases = [
        (PeerRole::Master, 2, Purpose::Raft, true),
        (PeerRole::Agent, 3, Purpose::Agent, true),
        (PeerRole::Agent, 3, Purpose::Raft, false),
        (PeerRole::Master, 2, Purpose::Agent, false),
        (PeerRole::Master, 2, Purpose::Join, false),
        (PeerRole::Master, 66, Purpose::Raft, false),
        (PeerRole::Master, 66, Purpose::Standing, true),
        (PeerRole::Agent, 66, Purpose::Agent, false),
        (PeerRole::Agent, 3, Purpose::Standing, true),
        (PeerRole::Agent, 3, Purpose::Join, false),
    ];
    for (role, id, purpose, wanted) in cases {
        let own = signed(&ca, identity(role, id));
        let got = answered(&addr, own, any, purpose).await;
        assert_eq!(got, wanted, "{role:?} {id} for {purpose:?}");
    }
}

#[tokio::test]
async fn a_removed_peer_is_cut_off_at_once_and_others_are_not() {
    let ca = Authority::create(CLUSTER).expect("an authority");
    let own = signed(&ca, identity(PeerRole::Master, 1));
    let listener = ClusterListener::bind("127.0.0.1:0", &own)
        .await
        .expect("bound");
    let addr = listener.local_addr().expect("an address").to_string();
    let (removed, removals) = (Arc::new(AtomicU64::new(0)), watch::Sender::new(()));
    let known = removed.clone();
    let deny = Deny::new(removals.subscribe(), move |peer| {
        peer.id == known.load(Ordering::SeqCst)
    });
    tokio::spawn(listener.serve([(Purpose::Raft, echo())].into(), deny));
    let caller = async |id| {
        let dialer = Dialer::new(signed(&ca, identity(PeerRole::Master, id)));
        let expect = Expect::Role(PeerRole::Master);
        let channel = dialer.dial(&addr, expect, Purpose::Raft).await;
        Caller::new(channel.expect("reached"))
    };
    let (goes, stays) = (caller(66).await, caller(2).await);
    let long = Duration::from_secs(60);
    assert!(goes.call(1, &[], long).await.is_ok());
    let under_way = tokio::spawn({
        let goes = goes.clone();
        async move { goes.call(9, &[], long).await }
    });
    removed.store(66, Ordering::SeqCst);
    removals.send_replace(());
    let ended = under_way.await.expect("no panic");
    assert!(matches!(ended, Err(LinkFault::Closed)), "{ended:?}");
    assert!(stays.call(1, &[], long).await.is_ok());
    let again = caller(66).await.call(1, &[], long).await;
    assert!(matches!(again, Err(LinkFault::Closed)), "{again:?}");
}

#[tokio::test]
async fn a_connection_on_which_nobody_can_call_any_more_closes() {
    let (ours, theirs) = tokio::io::duplex(1_024);
    drop(Caller::new(docklet_link::Channel::new(ours)));
    let mut theirs = docklet_link::Channel::new(theirs);
    let closed = tokio::time::timeout(Duration::from_secs(5), theirs.recv::<u8>()).await;
    assert!(matches!(closed, Ok(Err(LinkFault::Closed))), "{closed:?}");
}

#[tokio::test]
async fn a_dialler_reaches_only_whom_it_expects() {
    let ca = Authority::create(CLUSTER).expect("an authority");
    let addr = listen(&ca).await;
    let own = || signed(&ca, identity(PeerRole::Master, 2));
    let one = Expect::Exactly(identity(PeerRole::Master, 1));
    let other = Expect::Exactly(identity(PeerRole::Master, 5));
    let agent = Expect::Role(PeerRole::Agent);
    assert!(answered(&addr, own(), one, Purpose::Raft).await);
    assert!(!answered(&addr, own(), other, Purpose::Raft).await);
    assert!(!answered(&addr, own(), agent, Purpose::Raft).await);
}

#[tokio::test]
async fn a_certificate_of_another_authority_opens_nothing() {
    let ca = Authority::create(CLUSTER).expect("an authority");
    let foreign = Authority::create(CLUSTER).expect("an authority");
    let addr = listen(&ca).await;
    let own = signed(&foreign, identity(PeerRole::Master, 2));
    assert!(!answered(&addr, own, Expect::Role(PeerRole::Master), Purpose::Raft).await);
}

#[tokio::test]
async fn without_a_certificate_there_is_the_join_door_of_the_right_cluster_only() {
    let ca = Authority::create(CLUSTER).expect("an authority");
    let addr = listen(&ca).await;
    let fingerprint = authority::fingerprint(&signed(&ca, identity(PeerRole::Master, 9)).ca);
    let channel = dial::dial_join(&addr, fingerprint).await.expect("reached");
    let call = Caller::new(channel);
    let answer = call.call(1, b"hello", Duration::from_secs(5)).await;
    assert_eq!(&answer.expect("answered")[..], b"hello");
    let mut wrong = fingerprint;
    wrong[0] ^= 1;
    assert!(dial::dial_join(&addr, wrong).await.is_err());
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_and_others_go_on() {
    let ca = Authority::create(CLUSTER).expect("an authority");
    let addr = listen(&ca).await;
    let dialer = Dialer::new(signed(&ca, identity(PeerRole::Master, 2)));
    let master = Expect::Role(PeerRole::Master);
    let channel = dialer
        .dial(&addr, master, Purpose::Raft)
        .await
        .expect("reached");
    let caller = Caller::new(channel);
    let late = caller.call(9, &[], Duration::from_millis(50)).await;
    assert!(matches!(late, Err(LinkFault::Deadline(50))), "{late:?}");
    let next = caller.call(1, &[1, 2], Duration::from_secs(5)).await;
    assert_eq!(&next.expect("answered")[..], [1, 2]);
}

#[tokio::test]
async fn a_dead_peer_fails_the_calls_that_wait_for_it() {
    let (ours, theirs) = tokio::io::duplex(1_024);
    let caller = Caller::new(docklet_link::Channel::new(ours));
    let waiting = tokio::spawn({
        let caller = caller.clone();
        async move { caller.call(1, &[], Duration::from_secs(60)).await }
    });
    drop(theirs);
    let result = waiting.await.expect("no panic");
    assert!(matches!(result, Err(LinkFault::Closed)), "{result:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_begin_in_the_order_in_which_they_were_sent() {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let begun = Arc::new(Mutex::new(Vec::new()));
    let seen = begun.clone();
    let server = rpc::serve(docklet_link::Channel::new(theirs), move |_, body| {
        let seen = seen.clone();
        async move {
            seen.lock().expect("no panic").push(body.to_vec());
            // The rest of each goes on beside the others.
            tokio::task::yield_now().await;
            Ok(body.to_vec())
        }
    });
    tokio::spawn(server);
    let caller = Caller::new(docklet_link::Channel::new(ours));
    let bodies: Vec<Vec<u8>> = (0..1_000_u32).map(|n| n.to_be_bytes().to_vec()).collect();
    let mut under_way = Vec::new();
    for body in &bodies {
        under_way.push(caller.begin(1, body).await.expect("sent"));
    }
    for (call, body) in under_way.into_iter().zip(&bodies) {
        assert_eq!(&call.answer().await.expect("answered")[..], &body[..]);
    }
    assert_eq!(*begun.lock().expect("no panic"), bodies);
}

/// Opens so many connections from this address and says nothing; answers those that are left when the others were closed,
/// which is before a handshake would have to be there.
async fn silent(addr: &str, from: [u8; 4], opened: usize, closed: usize) -> Vec<JoinHandle<()>> {
    let (told, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let mut all = Vec::new();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(4);
    for nth in 0..opened {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((from, 0).into()).expect("an address");
        let mut tcp = socket
            .connect(addr.parse().expect("one"))
            .await
            .expect("there");
        let told = told.clone();
        all.push(tokio::spawn(async move {
            let ended = tcp.read(&mut [0; 1]).await;
            drop(ended);
            told.send(nth).expect("somebody counts");
        }));
    }
    for _ in 0..closed {
        let ended = tokio::time::timeout_at(deadline, ends.recv()).await;
        ended.expect("what is too much is closed at once");
    }
    assert!(ends.try_recv().is_err(), "no more than that");
    all
}

#[tokio::test]
async fn one_address_has_so_many_connections_that_say_nothing() {
    let ca = Authority::create(CLUSTER).expect("an authority");
    let own = signed(&ca, identity(PeerRole::Master, 1));
    let listener = ClusterListener::bind("127.0.0.1:0", &own)
        .await
        .expect("bound")
        .strangers(5);
    let addr = listener.local_addr().expect("an address").to_string();
    let deny = Deny::new(watch::Sender::new(()).subscribe(), |_| false);
    tokio::spawn(listener.serve([(Purpose::Raft, echo())].into(), deny));
    let here = silent(&addr, [127, 0, 0, 1], 8, 3).await;
    let there = silent(&addr, [127, 0, 0, 2], 6, 1).await;
    for held in here.into_iter().chain(there) {
        held.abort();
    }
    // Whoever says what they come for is no stranger: as many as like come in.
    let (any, own) = (
        Expect::Role(PeerRole::Master),
        signed(&ca, identity(PeerRole::Master, 2)),
    );
    let mut callers = Vec::new();
    while callers.len() < 8 {
        let dialled = Dialer::new(own.clone())
            .dial(&addr, any, Purpose::Raft)
            .await;
        // Those that were given up make room a moment later.
        let Ok(channel) = dialled else { continue };
        let caller = Caller::new(channel);
        if caller.call(1, b"x", Duration::from_secs(5)).await.is_ok() {
            callers.push(caller);
        }
    }
}
