//! Certificates that are replaced while listeners and dialers run, and what the authority signs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use docklet_link::authority::{CLOCK_SLACK, Request, SigningRequest, Statement};
use docklet_link::listener::{ClusterListener, Deny, Handler, handler};
use docklet_link::rpc::{self, Caller};
use docklet_link::tls::{self, Expect};
use docklet_link::{
    Authority, Credentials, Dialer, Identity, LinkFault, Own, PeerRole, Proof, Purpose,
};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, HandshakeKind, SignatureScheme};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const CLUSTER: [u8; 16] = [4; 16];
const LONG: Duration = Duration::from_secs(60);

fn identity(role: PeerRole, id: u64) -> Identity {
    Identity {
        role,
        id,
        cluster: CLUSTER,
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.expect("after 1970").as_millis()).expect("a year below 500 millions")
}

/// A certificate that ends so many milliseconds from now, and its key.
fn issued(ca: &Authority, identity: Identity, number: u64, left_ms: i64) -> (String, String) {
    let signing = SigningRequest::new().expect("a key");
    let ends_ms = now_ms().saturating_add_signed(left_ms);
    let statement = Statement {
        identity,
        number,
        begins_ms: ends_ms - 600_000,
        ends_ms,
    };
    let request = Request::read(&signing.csr_pem).expect("sound");
    let pem = ca.state(request, statement).expect("issued");
    (pem, signing.key_pem)
}

fn own(ca: &Authority, identity: Identity, number: u64, left_ms: i64) -> Own {
    let (pem, key) = issued(ca, identity, number, left_ms);
    let own = Credentials::of_pem(ca.certificate_pem(), &pem, &key);
    own.expect("sound").into()
}

fn echo() -> Handler {
    handler(|_, channel| rpc::serve(channel, |_, body| async move { Ok(body.to_vec()) }))
}

/// A listener that answers with the number of the certificate that it is shown.
fn numbers() -> Handler {
    handler(|_, channel: docklet_link::listener::Accepted| {
        let number = channel.proof().map_or(0, |proof| proof.number);
        rpc::serve(channel, move |_, _| async move {
            Ok(number.to_be_bytes().to_vec())
        })
    })
}

async fn listen(own: &Own, serve: Handler) -> String {
    let listener = ClusterListener::bind("127.0.0.1:0", own).await;
    let listener = listener.expect("bound");
    let addr = listener.local_addr().expect("an address").to_string();
    let deny = Deny::new(watch::Sender::new(()).subscribe(), |_| false);
    tokio::spawn(listener.serve([(Purpose::Raft, serve)].into(), deny));
    addr
}

async fn ask(addr: &str, dialer: &Dialer) -> Result<Caller, LinkFault> {
    let master = Expect::Role(PeerRole::Master);
    let caller = Caller::new(dialer.dial(addr, master, Purpose::Raft).await?);
    caller.call(1, b"x", LONG).await?;
    Ok(caller)
}

fn master(id: u64) -> Identity {
    identity(PeerRole::Master, id)
}

#[tokio::test]
async fn the_next_handshake_shows_the_next_certificate_and_open_connections_stay() {
    let ca = Authority::create(CLUSTER).expect("an authority");
    let (ours, theirs) = (
        own(&ca, master(1), 10, 60_000),
        own(&ca, master(2), 20, 60_000),
    );
    let addr = listen(&ours, numbers()).await;
    let dialer = Dialer::new(&theirs);
    let told = async |caller: &Caller| {
        let answer = caller.call(1, &[], LONG).await.expect("answered");
        u64::from_be_bytes(answer[..].try_into().expect("a number"))
    };
    let before = ask(&addr, &dialer).await.expect("reached");
    assert_eq!(told(&before).await, 20);
    let (pem, key) = issued(&ca, master(2), 21, 60_000);
    theirs.replace(&pem, &key).expect("replaced");
    let (pem, key) = issued(&ca, master(1), 11, 60_000);
    ours.replace(&pem, &key).expect("replaced");
    let shown = dialer.connect(&addr, Expect::Exactly(master(1))).await;
    let shown = shown.expect("reached");
    let chain = shown.get_ref().1.peer_certificates().expect("a chain");
    assert_eq!(Proof::of_certificate(&chain[0]).expect("sound").number, 11);
    let after = ask(&addr, &dialer).await.expect("reached");
    assert_eq!(told(&after).await, 21);
    assert_eq!(told(&before).await, 20, "what is open stays as it is");
}

#[tokio::test]
async fn who_shows_a_certificate_that_has_ended_or_not_begun_reaches_nobody() {
    let ca = Authority::create(CLUSTER).expect("an authority");
    let good = own(&ca, master(1), 0, 60_000);
    let addr = listen(&good, echo()).await;
    assert!(
        ask(&addr, &Dialer::new(own(&ca, master(2), 0, 60_000)))
            .await
            .is_ok()
    );
    for left_ms in [-1_000, 700_000] {
        let bad = own(&ca, master(2), 0, left_ms);
        assert!(ask(&addr, &Dialer::new(&bad)).await.is_err(), "{left_ms}");
        let theirs = listen(&bad, echo()).await;
        assert!(
            ask(&theirs, &Dialer::new(&good)).await.is_err(),
            "{left_ms}"
        );
    }
}

#[tokio::test]
async fn the_end_of_the_authoritys_own_certificate_ends_no_link() {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    params.not_before = (SystemTime::now() - 2 * LONG).into();
    params.not_after = (SystemTime::now() - LONG).into();
    let pem = params.self_signed(&key).expect("signed").pem();
    let ca = Authority::load(pem, key.serialize_pem());
    assert!(ca.ends_ms().is_some_and(|ends| ends < now_ms()));
    let addr = listen(&own(&ca, master(1), 0, 60_000), echo()).await;
    let dialer = Dialer::new(own(&ca, master(2), 0, 60_000));
    assert!(ask(&addr, &dialer).await.is_ok());
}

/// The same authority signs what browsers are shown, in names that anybody may choose; the key of that lies elsewhere.
#[tokio::test]
async fn a_certificate_for_browsers_is_none_for_the_cluster() {
    let ca = Authority::create(CLUSTER).expect("an authority");
    let addr = listen(&own(&ca, master(1), 0, 60_000), echo()).await;
    let (pem, key) = ca
        .sign_public(&[master(2).to_string()], LONG)
        .expect("signed");
    let public = Credentials::of_pem(ca.certificate_pem(), &pem, &key).expect("sound");
    assert!(ask(&addr, &Dialer::new(public)).await.is_err());
}

#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let provider = rustls::crypto::ring::default_provider();
        provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A ticket would bring a client back without its certificate being looked at again.
#[tokio::test]
async fn nobody_comes_back_by_a_ticket() {
    let ca = Authority::create(CLUSTER).expect("an authority");
    let server = tls::server_config(own(&ca, master(1), 0, 60_000)).expect("sound");
    let tcp = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let addr = tcp.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = tcp.accept().await {
            let acceptor = tokio_rustls::TlsAcceptor::from(server.clone());
            tokio::spawn(async move {
                use tokio::io::AsyncWriteExt as _;
                let mut stream = acceptor.accept(stream).await.expect("a handshake");
                stream.write_all(b"hello").await.expect("written");
                stream.shutdown().await.expect("closed");
            });
        }
    });
    let theirs = own(&ca, master(2), 0, 60_000);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("a version")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_client_cert_resolver(Arc::new(theirs));
    client.resumption = Resumption::in_memory_sessions(8);
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    for _ in 0..3 {
        let tcp = TcpStream::connect(addr).await.expect("reached");
        let name = ServerName::try_from("docklet").expect("a name");
        let mut stream = connector.connect(name, tcp).await.expect("a handshake");
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.expect("read");
        assert_eq!(said, b"hello");
        let kind = stream.get_ref().1.handshake_kind();
        assert_eq!(kind, Some(HandshakeKind::Full));
    }
}

#[test]
fn only_what_fits_replaces_what_there_is() {
    let ca = Authority::create(CLUSTER).expect("an authority");
    let dir = TempDir::new().expect("a directory");
    let (pem, key) = issued(&ca, master(2), 5, 60_000);
    Credentials::store(dir.path(), ca.certificate_pem(), &pem, &key, None).expect("stored");
    let own = Own::load(dir.path()).expect("loaded");
    let number = |own: &Own| own.proof().expect("sound").number;
    let foreign = Authority::create(CLUSTER).expect("an authority");
    let (other, other_key) = issued(&ca, master(3), 6, 60_000);
    let (agent, agent_key) = issued(&ca, identity(PeerRole::Agent, 2), 6, 60_000);
    let (strange, strange_key) = issued(&foreign, master(2), 6, 60_000);
    let (next, next_key) = issued(&ca, master(2), 6, 60_000);
    let bad = [
        (&other, &other_key, "another master"),
        (&agent, &agent_key, "another role"),
        (&strange, &strange_key, "another authority"),
        (&next, &key, "another key"),
        (&next_key, &next_key, "no certificate"),
        (&next, &next, "no key"),
    ];
    for (pem, key, what) in bad {
        assert!(own.replace(pem, key).is_err(), "{what}");
        assert_eq!(number(&own), 5, "{what}");
        assert_eq!(number(&Own::load(dir.path()).expect("loaded")), 5, "{what}");
    }
    own.replace(&next, &next_key).expect("it fits");
    let again = Own::load(dir.path()).expect("loaded");
    assert_eq!((number(&own), number(&again)), (6, 6));
    tls::server_config(&again).expect("key and certificate fit");
    for name in ["own.key", "own.pem"] {
        let mode = fs::metadata(dir.path().join(name))
            .expect("there")
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600, "{name}");
    }
    // A crash after the first of the two files.
    fs::write(dir.path().join("own.pem"), &pem).expect("written");
    let again = Own::load(dir.path()).expect("loaded");
    assert_eq!(number(&again), 6);
    tls::server_config(&again).expect("key and certificate fit");
}

#[test]
fn a_master_issues_itself_the_next_one_when_two_thirds_have_passed_or_all() {
    let life = Duration::from_secs(900);
    let ca = Authority::create(CLUSTER)
        .expect("an authority")
        .lasting(life);
    let signing = SigningRequest::new().expect("a key");
    let pem = ca.sign(&signing.csr_pem, master(1)).expect("signed");
    let own: Own = Credentials::of_pem(ca.certificate_pem(), &pem, &signing.key_pem)
        .expect("sound")
        .into();
    let first = own.proof().expect("sound");
    let off_by_ms = first.life().as_millis().abs_diff(life.as_millis());
    assert!(off_by_ms <= 1_000, "{off_by_ms}");
    assert!(first.begins_ms <= now_ms() - 299_000, "clocks differ");
    assert_eq!(CLOCK_SLACK, Duration::from_secs(300));
    let due_ms = first.due_ms(Duration::ZERO);
    assert!(due_ms.abs_diff(now_ms() + 600_000) < 3_000);
    assert!(!own.renew_if_due(&ca, due_ms - 1).expect("not yet"));
    assert_eq!(own.proof().expect("sound"), first);
    assert!(own.renew_if_due(&ca, due_ms).expect("renewed"));
    let second = own.now();
    assert!(own.renew_if_due(&ca, first.ends_ms + 1).expect("renewed"));
    assert_ne!(own.now().certificate, second.certificate);
    assert_ne!(own.now().key(), second.key(), "each has a key of its own");
    assert_eq!(own.proof().expect("sound").identity, master(1));
}

#[test]
fn of_a_request_only_the_key_counts() {
    let ca = Authority::create(CLUSTER).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let names = [master(1).to_string(), "evil.example.org".to_owned()];
    let mut params = CertificateParams::new(names).expect("names");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let csr = params.serialize_request(&key).expect("a request");
    let agent = identity(PeerRole::Agent, 7);
    let pem = ca.sign_numbered(&csr.pem().expect("PEM"), agent, 77);
    let own = Credentials::of_pem(
        ca.certificate_pem(),
        &pem.expect("signed"),
        &key.serialize_pem(),
    );
    let own = own.expect("sound");
    assert_eq!(own.identity, agent);
    let (_, parsed) = x509_parser::parse_x509_certificate(&own.certificate).expect("parsed");
    assert!(!parsed.is_ca());
    let text = String::from_utf8_lossy(&own.certificate).into_owned();
    assert!(!text.contains("evil") && !text.contains("1.master"));
    let proof = Proof::of_certificate(&own.certificate).expect("sound");
    assert_eq!(proof.number, 77);
}

#[test]
fn what_is_no_sound_request_is_refused() {
    let of = |algorithm| {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        let csr = CertificateParams::default().serialize_request(&key);
        csr.and_then(|csr| csr.pem()).expect("a request")
    };
    let good = SigningRequest::new().expect("a key").csr_pem;
    let lines: Vec<&str> = good.lines().collect();
    let mut altered = lines.clone();
    let changed = altered[1].replacen(|c: char| c.is_ascii_alphanumeric(), "A", 60);
    altered[1] = &changed;
    let key = KeyPair::generate().expect("a key");
    let names: Vec<String> = (0..300).map(|n| format!("n{n}.example.org")).collect();
    let huge = CertificateParams::new(names).expect("names");
    let huge = huge.serialize_request(&key).and_then(|csr| csr.pem());
    let bad = [
        ("nothing", String::new()),
        ("garbage", "garbage".to_owned()),
        ("binary", "\0\u{1}\u{2}".repeat(300)),
        (
            "an empty request",
            format!("{}\n{}\n", lines[0], lines[lines.len() - 1]),
        ),
        ("half a request", good[..good.len() / 2].to_owned()),
        ("an altered one", altered.join("\n")),
        ("a private key", key.serialize_pem()),
        ("P-384", of(&PKCS_ECDSA_P384_SHA384)),
        ("Ed25519", of(&PKCS_ED25519)),
        ("a huge one", huge.expect("a request")),
        ("a long one", format!("{good}{}", " ".repeat(64 << 20))),
    ];
    assert!(Request::read(&good).is_ok());
    for (what, text) in bad {
        assert!(Request::read(&text).is_err(), "{what}");
    }
}
