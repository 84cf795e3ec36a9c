//! What is shown in handshakes as files and clocks change.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use docklet_link::Authority;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{GivenFiles, Keeper, Public, PublicConfig, Unfit, check_given};

const NAME: &str = "cloud.example.org";
const DAY: Duration = Duration::from_secs(24 * 3_600);
const PATIENCE: Duration = Duration::from_secs(20);

/// A public authority with one that it lets issue, as those of the world are.
struct World {
    root: String,
    middle: String,
    key: KeyPair,
}

/// What is asked of it.
struct Ask<'a> {
    names: &'a [&'a str],
    from: SystemTime,
    until: SystemTime,
    usage: ExtendedKeyUsagePurpose,
}

impl Default for Ask<'_> {
    fn default() -> Self {
        let now = SystemTime::now();
        Self {
            names: &[NAME],
            from: now - DAY,
            until: now + DAY,
            usage: ExtendedKeyUsagePurpose::ServerAuth,
        }
    }
}

impl World {
    fn new() -> Self {
        let authority = |name: &str| {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let root_key = KeyPair::generate().expect("key");
        let root = authority("Root").self_signed(&root_key).expect("root");
        let key = KeyPair::generate().expect("key");
        let issuer = Issuer::from_ca_cert_pem(&root.pem(), &root_key).expect("issuer");
        let middle = authority("Middle")
            .signed_by(&key, &issuer)
            .expect("middle");
        Self {
            root: root.pem(),
            middle: middle.pem(),
            key,
        }
    }

    /// Certificate and key.
    fn issue(&self, ask: &Ask<'_>) -> (String, String) {
        let names = ask.names.iter().map(|name| (*name).to_owned());
        let mut params = CertificateParams::new(names.collect::<Vec<_>>()).expect("names");
        (params.not_before, params.not_after) = (ask.from.into(), ask.until.into());
        params.extended_key_usages = vec![ask.usage.clone()];
        let own = KeyPair::generate().expect("key");
        let issuer = Issuer::from_ca_cert_pem(&self.middle, &self.key).expect("issuer");
        let certificate = params.signed_by(&own, &issuer).expect("certificate");
        (certificate.pem(), own.serialize_pem())
    }

    fn chain(&self, ask: &Ask<'_>) -> (String, String) {
        let (certificate, key) = self.issue(ask);
        (format!("{certificate}{}", self.middle), key)
    }
}

/// Files, and who looks at them.
struct Site {
    dir: TempDir,
    world: World,
    ca: Authority,
}

impl Site {
    fn new() -> Self {
        Self {
            dir: TempDir::new().expect("directory"),
            world: World::new(),
            ca: Authority::create([7; 16]).expect("authority"),
        }
    }

    fn files(&self) -> GivenFiles {
        GivenFiles {
            certificate: self.dir.path().join("tls.crt"),
            key: self.dir.path().join("tls.key"),
        }
    }

    fn put(&self, (certificate, key): &(String, String)) {
        let files = self.files();
        fs::write(&files.certificate, certificate).expect("write");
        fs::write(&files.key, key).expect("write");
        let mode = fs::Permissions::from_mode(0o640);
        fs::set_permissions(&files.key, mode).expect("mode");
    }

    fn judge(&self, names: &[&str]) -> Result<(), Unfit> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        check_given(&self.files(), &names)
    }

    fn config(&self, life: Duration, given: bool) -> PublicConfig {
        let names = [NAME, "127.0.0.1", "localhost"];
        PublicConfig {
            authority: self.ca.clone(),
            names: names.into_iter().map(str::to_owned).collect(),
            service_names: vec!["*.apps.example.org".to_owned()],
            life,
            given: given.then(|| self.files()),
        }
    }

    /// A server that echoes, and its keeper.
    async fn serve(&self, config: PublicConfig) -> (SocketAddr, Public) {
        let (public, keeper): (Public, Keeper) = Public::begin(config).expect("begin");
        let tls = TlsAcceptor::from(Arc::new(public.tls().expect("tls")));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let addr = listener.local_addr().expect("address");
        tokio::spawn(keeper.run());
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let tls = tls.clone();
                tokio::spawn(async move {
                    let Ok(stream) = tls.accept(tcp).await else {
                        return;
                    };
                    let (mut from, mut to) = tokio::io::split(stream);
                    drop(tokio::io::copy(&mut from, &mut to).await);
                });
            }
        });
        (addr, public)
    }

    async fn dial(&self, addr: SocketAddr, name: &str) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        for pem in [self.ca.certificate_pem(), &self.world.root] {
            let root = CertificateDer::from_pem_slice(pem.as_bytes()).expect("pem");
            roots.add(root).expect("root");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).expect("name");
        let tcp = TcpStream::connect(addr).await.expect("connect");
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, tcp).await.expect("handshake")
    }

    /// The fingerprint of what a client of this name is shown.
    async fn shown(&self, addr: SocketAddr, name: &str) -> String {
        fingerprint(&self.dial(addr, name).await)
    }

    async fn until_other(&self, addr: SocketAddr, name: &str, old: &str) -> String {
        let other = async {
            loop {
                let shown = self.shown(addr, name).await;
                if shown != old {
                    return shown;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, other).await;
        waited.expect("another certificate is shown")
    }
}

fn fingerprint(stream: &TlsStream<TcpStream>) -> String {
    let (_, connection) = stream.get_ref();
    let chain = connection.peer_certificates().expect("a certificate");
    hex::encode(Sha256::digest(&chain[0]))
}

#[test]
fn what_cannot_be_used_is_refused_and_says_why() {
    let site = Site::new();
    let good = site.world.chain(&Ask::default());
    site.put(&good);
    assert_eq!(site.judge(&[NAME, "10.0.0.1", "localhost"]), Ok(()));
    let missing = site
        .judge(&["other.example.org"])
        .expect_err("another name");
    assert!(
        missing
            .to_string()
            .contains("not good for other.example.org")
    );

    let (single, key) = site.world.issue(&Ask::default());
    site.put(&(format!("{}{single}", site.world.middle), key));
    assert!(matches!(
        site.judge(&[NAME]),
        Err(Unfit::Order { number: 1, .. })
    ));
    let stranger = World::new().middle;
    let (single, key) = site.world.issue(&Ask::default());
    site.put(&(format!("{single}{stranger}"), key));
    assert!(
        matches!(site.judge(&[NAME]), Err(Unfit::Order { .. })),
        "an issuer of the same name with another key"
    );
    let other = site.world.chain(&Ask::default());
    site.put(&(good.0.clone(), other.1));
    assert!(matches!(site.judge(&[NAME]), Err(Unfit::OtherKey { .. })));
    site.put(&(String::new(), good.1.clone()));
    assert!(matches!(
        site.judge(&[NAME]),
        Err(Unfit::NoCertificate { .. })
    ));
    site.put(&(good.0.clone(), good.0.clone()));
    assert!(matches!(site.judge(&[NAME]), Err(Unfit::NoKey { .. })));
    site.put(&site.world.chain(&Ask {
        usage: ExtendedKeyUsagePurpose::ClientAuth,
        ..Ask::default()
    }));
    assert!(matches!(site.judge(&[NAME]), Err(Unfit::Usage { .. })));
}

#[test]
fn dates_are_judged_by_the_machines_clock() {
    let site = Site::new();
    let now = SystemTime::now();
    site.put(&site.world.chain(&Ask {
        until: now - DAY / 2,
        ..Ask::default()
    }));
    assert!(matches!(site.judge(&[NAME]), Err(Unfit::Ended { .. })));
    site.put(&site.world.chain(&Ask {
        from: now + DAY / 2,
        ..Ask::default()
    }));
    assert!(matches!(site.judge(&[NAME]), Err(Unfit::NotYet { .. })));
}

#[test]
fn a_key_that_everybody_can_read_is_refused() {
    let site = Site::new();
    site.put(&site.world.chain(&Ask::default()));
    let mode = fs::Permissions::from_mode(0o644);
    fs::set_permissions(site.files().key, mode).expect("mode");
    assert!(matches!(site.judge(&[NAME]), Err(Unfit::OpenKey { .. })));
    fs::remove_file(site.files().key).expect("remove");
    assert!(matches!(site.judge(&[NAME]), Err(Unfit::Unreadable { .. })));
}

#[test]
fn a_star_is_one_label_and_no_address() {
    let site = Site::new();
    site.put(&site.world.chain(&Ask {
        names: &["*.example.org"],
        ..Ask::default()
    }));
    assert_eq!(site.judge(&[NAME]), Ok(()));
    assert!(site.judge(&["example.org"]).is_err());
    assert!(site.judge(&["a.cloud.example.org"]).is_err());
}

#[tokio::test]
async fn what_changes_in_the_files_is_taken_over_and_open_connections_stay() {
    let site = Site::new();
    site.put(&site.world.chain(&Ask::default()));
    let (addr, public) = site.serve(site.config(DAY, true)).await;
    let mut open = site.dial(addr, NAME).await;
    let first = fingerprint(&open);
    let own = site.shown(addr, "127.0.0.1").await;
    assert_ne!(first, own, "who comes by address has the cluster's own");

    site.put(&site.world.chain(&Ask::default()));
    let second = site.until_other(addr, NAME, &first).await;
    open.write_all(b"still").await.expect("write");
    let mut answer = [0; 5];
    open.read_exact(&mut answer).await.expect("read");
    assert_eq!(&answer, b"still");

    // Unfit: the old one stays, and the cause is told until the next fit one.
    let files = site.files();
    fs::write(&files.certificate, "nothing").expect("write");
    let told = async {
        loop {
            let seen = public.view("m1", None).certificates;
            if let Some(fault) = &seen[0].fault {
                return fault.clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let fault = tokio::time::timeout(PATIENCE, told).await.expect("told");
    assert!(fault.contains("holds no certificate"), "{fault}");
    assert_eq!(site.shown(addr, NAME).await, second);
    site.put(&site.world.chain(&Ask::default()));
    site.until_other(addr, NAME, &second).await;
    assert_eq!(public.view("m1", None).certificates[0].fault, None);
    assert_eq!(site.shown(addr, "127.0.0.1").await, own);
}

#[tokio::test]
async fn an_authority_that_asks_is_shown_the_answer_and_nothing_else() {
    let site = Site::new();
    let (addr, public) = site.serve(site.config(DAY, false)).await;
    let addr_text = addr.to_string();
    let shown = async |name, digest| super::shows(&addr_text, name, &[digest; 32]).await;
    assert!(!shown(NAME, 7).await, "nothing is being proved");
    let answer = super::challenge(NAME, &[7; 32]).expect("an answer");
    public.follow(None, [(NAME.to_owned(), answer)].into());
    assert!(shown(NAME, 7).await);
    assert!(!shown(NAME, 8).await, "another order's");
    assert!(!shown("other.example.org", 7).await);
    let own = public.view("m1", None).certificates.remove(0);
    assert_eq!(site.shown(addr, NAME).await, own.fingerprint);
}

#[tokio::test]
async fn the_own_one_is_renewed_before_it_ends() {
    let site = Site::new();
    let life = Duration::from_secs(6);
    let (addr, public) = site.serve(site.config(life, false)).await;
    let mut open = site.dial(addr, NAME).await;
    let first = public.view("m1", None).certificates.remove(0);
    assert_eq!(first.fingerprint, fingerprint(&open));
    site.until_other(addr, NAME, &first.fingerprint).await;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now_ms = u64::try_from(now.expect("a clock").as_millis()).expect("fits");
    assert!(now_ms < first.until.0, "before it ended");
    open.write_all(b"x").await.expect("write");
    assert_eq!(open.read_u8().await.expect("read"), b'x');
}
