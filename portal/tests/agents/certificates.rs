//! Agents get their next certificate at their door: for whom they are, and as the log has accepted it.

use crate::support::{ADMIN, Alone, PATIENCE, Worker, next, next_assignment};
use docklet_control::Command;
use docklet_control::agent_wire::{FromAgent, ToAgent};
use docklet_control::certificate::command::CertificateCommand;
use docklet_control::id::{LogIndex, SecretHash, WorkerId};
use docklet_control::model::WorkerStatus;
use docklet_link::authority::{Request, SigningRequest, Statement};
use docklet_link::dial::Dialled;
use docklet_link::{Authority, Credentials, Dialer, Identity, PeerRole, Proof};
use rcgen::{CertificateParams, KeyPair};

/// Asks, and waits for the answer.
async fn ask(link: &mut Dialled, csr_pem: &str) -> Result<String, String> {
    let csr_pem = csr_pem.to_owned();
    let asked = link.send(&FromAgent::Certify { csr_pem }).await;
    asked.expect("sent");
    loop {
        if let ToAgent::Certificate(answer) = next(link).await.expect("connected") {
            return answer;
        }
    }
}

/// Waits for the reason why the connection ends.
async fn reason(link: &mut Dialled) -> String {
    loop {
        if let ToAgent::Resync { reason } = next(link).await.expect("told") {
            return reason;
        }
    }
}

/// A certificate that was issued so many seconds ago, for five minutes.
fn issued_ago(alone: &Alone, authority: &Authority, identity: Identity, ago_s: u64) -> Credentials {
    let signing = SigningRequest::new().expect("a key");
    let issued_ms = alone.master.now().0 - ago_s * 1_000;
    let slack_ms = 300_000;
    let statement = Statement {
        identity,
        number: 0,
        begins_ms: issued_ms - slack_ms,
        ends_ms: issued_ms + 300_000,
    };
    let request = Request::read(&signing.csr_pem).expect("sound");
    let pem = authority.state(request, statement).expect("issued");
    read(alone, &pem, &signing.key_pem)
}

/// A worker of a cluster in which workers' certificates can be issued, and its connection, with a certificate that is of age.
async fn begun() -> (Alone, Worker, Dialled) {
    let alone = Alone::start().await;
    let worker = alone.worker("w1").await;
    let own = issued_ago(&alone, &alone.authority, worker.dialer.identity(), 100);
    let worker = Worker {
        dialer: Dialer::new(own),
        ..worker
    };
    let mut link = worker.connect(LogIndex(0)).await;
    next_assignment(&mut link).await;
    let mut states = alone.master.watch();
    let known = states.wait_for(|frozen| {
        let up = frozen.state.workers.get(&worker.id);
        let up = up.is_some_and(|row| row.status == WorkerStatus::Up);
        up && frozen.state.certificate_of(worker.id).held.is_some()
    });
    let known = tokio::time::timeout(PATIENCE, known).await;
    drop(known.expect("reported in time").expect("lives"));
    (alone, worker, link)
}

fn read(alone: &Alone, pem: &str, key: &str) -> Credentials {
    Credentials::of_pem(alone.authority.certificate_pem(), pem, key).expect("sound")
}

fn proof(own: &Credentials) -> Proof {
    Proof::of_certificate(&own.certificate).expect("sound")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_gets_a_certificate_in_its_own_name_whatever_it_asks_for() {
    let (alone, worker, mut link) = begun().await;
    let key = KeyPair::generate().expect("a key");
    let cluster = worker.dialer.identity().cluster;
    let master = Identity {
        role: PeerRole::Master,
        id: 1,
        cluster,
    };
    let evil = CertificateParams::new([master.to_string()]).expect("names");
    let csr = evil.serialize_request(&key).and_then(|csr| csr.pem());
    let csr = csr.expect("a request");
    let pem = ask(&mut link, &csr).await.expect("issued");
    let own = read(&alone, &pem, &key.serialize_pem());
    assert_eq!(own.identity, worker.dialer.identity());
    let held = alone.master.local().state.certificate_of(worker.id).held;
    let held = held.expect("it is in the state");
    let first = proof(&own);
    assert_eq!(first.number, held.number.0);
    assert_eq!(
        (first.issued_ms(), first.ends_ms),
        (held.issued_at.0 / 1_000 * 1_000, held.ends_at.0)
    );
    // The answer was lost: the same key gets the same one, without another entry. Another key has to wait.
    let before = alone.master.local().state.receipts.len();
    let again = ask(&mut link, &csr).await.expect("issued");
    let again = read(&alone, &again, &key.serialize_pem());
    assert_eq!(proof(&again), first);
    let other = SigningRequest::new().expect("a key");
    let refused = ask(&mut link, &other.csr_pem).await.expect_err("too soon");
    assert!(refused.contains("a moment ago"), "{refused}");
    assert_eq!(alone.master.local().state.receipts.len(), before);
    // It is let in with the new one.
    let renewed = Worker {
        dialer: Dialer::new(own),
        ..worker
    };
    let mut link = renewed.connect(LogIndex(0)).await;
    next_assignment(&mut link).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_request_leaves_no_entry_and_the_connection_goes_on() {
    let (alone, _worker, mut link) = begun().await;
    let before = alone.master.local().index;
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key");
    let p384 = CertificateParams::default().serialize_request(&p384);
    let bad = [
        String::new(),
        "garbage".to_owned(),
        "x".repeat(1 << 20),
        p384.and_then(|csr| csr.pem()).expect("a request"),
    ];
    for csr in bad {
        let refused = ask(&mut link, &csr).await.expect_err("no request");
        assert!(refused.contains("is not sound"), "{refused}");
    }
    assert_eq!(alone.master.local().index, before);
    let good = SigningRequest::new().expect("a key");
    assert!(ask(&mut link, &good.csr_pem).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_no_worker_gets_none() {
    let (alone, worker, _link) = begun().await;
    // As of a worker that joins some time: nobody removed it, and it is not there.
    let identity = Identity {
        id: 1_000_000,
        ..worker.dialer.identity()
    };
    let signing = SigningRequest::new().expect("a key");
    let pem = alone.authority.sign(&signing.csr_pem, identity);
    let own = read(&alone, &pem.expect("signed"), &signing.key_pem);
    let stranger = Worker {
        id: WorkerId(identity.id),
        dialer: Dialer::new(own),
        ..worker
    };
    let mut link = stranger.connect(LogIndex(0)).await;
    let refused = ask(&mut link, &signing.csr_pem)
        .await
        .expect_err("no worker");
    assert!(refused.contains("there is no worker"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_revoked_is_cut_off_with_the_reason_and_let_in_no_more() {
    let (alone, worker, mut link) = begun().await;
    let revoke = CertificateCommand::Readmit {
        worker: worker.id,
        secret_hash: SecretHash([7; 32]),
        ttl_ms: 60_000,
        revoke: true,
    };
    alone.propose(ADMIN, Command::Certificate(revoke)).await;
    let said = reason(&mut link).await;
    assert!(said.contains("docklet worker readmit w1"), "{said}");
    let mut link = worker.connect(LogIndex(0)).await;
    assert!(reason(&mut link).await.contains("is refused"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_authority_or_one_that_has_ended_opens_no_door() {
    let (alone, worker, _link) = begun().await;
    let identity = worker.dialer.identity();
    let foreign = Authority::create(identity.cluster).expect("an authority");
    for (authority, ago_s) in [(&foreign, 100), (&alone.authority, 310)] {
        let own = issued_ago(&alone, authority, identity, ago_s);
        let bad = Worker {
            id: worker.id,
            dialer: Dialer::new(own),
            addr: worker.addr.clone(),
        };
        let heard = match bad.try_connect(LogIndex(0)).await {
            Ok(mut link) => next(&mut link).await.map(|_| ()),
            Err(refused) => Err(refused),
        };
        assert!(heard.is_err());
    }
}
