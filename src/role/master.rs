//! Masters: making the first, joining, running.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use docklet_agent::open_files;
use docklet_control::Refusal;
use docklet_control::command::InitCluster;
use docklet_control::id::MasterId;
use docklet_control::model::{ClusterId, ClusterVersion};
use docklet_link::authority::SigningRequest;
use docklet_link::frame::Purpose;
use docklet_link::identity::{Identity, PeerRole};
use docklet_link::listener::ClusterListener;
use docklet_link::{Authority, Credentials, JoinSecret, Own};
use docklet_portal::public::{self, PublicConfig, Unfit};
use docklet_portal::{Dispatcher, PortalConfig, agents_door};
use docklet_raft::{
    HistoryLimits, JoinKind, Master, MasterConfig, ProposeFault, RaftFault, Timing, join,
};
use tokio::signal::unix::{SignalKind, signal};

use super::anew;
use super::certificate;
use super::config::{self, MasterFile};
use super::removed;
use crate::cli::{Dir, Print};
use crate::client;
use crate::client::output::remark;
use crate::exit::{Class, Failure};

/// Each step of an orderly stop may take this long.
const STOP_DEADLINE: Duration = Duration::from_secs(5);
/// A removed master goes on to answer for so long.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Make a new cluster with this machine as its first master
    Init(Init),
    /// Make this machine a master of an existing cluster
    Join(Join),
    /// Run this machine's master until it is told to stop
    Run(Dir),
    /// List masters, as their leader sees them
    List(Print),
    /// Remove a master for ever, unless that would cost the quorum
    Remove(client::master::Remove),
    /// Let another take a master's place: prints what to run there
    Replace(client::master::Replace),
    /// Make a master safe to stop: another leads, and a quorum is there without it
    Drain(client::master::Act),
    /// Let a master lead
    Transfer(client::master::Act),
    /// Show or change how the leader looks after the masters by itself
    Autopilot(client::master::AutopilotCommand),
    /// Let the one master that is left go on alone, when the others are lost for ever
    Recover(anew::Recover),
}

// Where a master listens.
#[derive(Args)]
pub struct Addresses {
    #[command(flatten)]
    dir: Dir,
    /// Name for people
    #[arg(long)]
    pub(super) name: String,
    /// Address and port for masters and agents
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) cluster_addr: SocketAddr,
    /// Address and port for people and programs
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) public_addr: SocketAddr,
    /// Name below which services of vnodes are, as apps.example.org: browsers open them at names like s7.apps.example.org
    #[arg(long, value_name = "NAME")]
    proxy_domain: Option<String>,
    /// Address and port for services alone, which masters of one machine may share; that of the portal if absent
    #[arg(long, value_name = "ADDR:PORT", requires = "proxy_domain")]
    proxy_addr: Option<SocketAddr>,
    /// A further public address, which masters of one machine may share
    #[arg(long, value_name = "ADDR:PORT")]
    shared_addr: Option<SocketAddr>,
    /// A name that the public certificate is good for; may be given several times
    #[arg(long = "public-name")]
    public_names: Vec<String>,
    /// PEM file with a certificate for the public names that somebody else issued
    #[arg(long, value_name = "FILE", requires = "public_key")]
    public_certificate: Option<PathBuf>,
    /// PEM file with its key
    #[arg(long, value_name = "FILE", requires = "public_certificate")]
    public_key: Option<PathBuf>,
}

#[derive(Args)]
pub struct Init {
    #[command(flatten)]
    addresses: Addresses,
    #[arg(long, default_value = "docklet")]
    cluster_name: String,
    /// Users' subnets are cut from this
    #[arg(long, default_value = "10.64.0.0/10")]
    cluster_net: ipnetwork::Ipv4Network,
    /// Prefix length of a user's subnet
    #[arg(long, default_value_t = 22)]
    user_prefix: u8,
    /// CPU that may be promised, in percent of what there is
    #[arg(long, default_value_t = 400)]
    cpu_overcommit_percent: u32,
    /// Memory that may be promised, in percent of what there is
    #[arg(long, default_value_t = 100)]
    memory_overcommit_percent: u32,
    /// File with the first admin's password
    #[arg(long, value_name = "FILE")]
    admin_password_file: PathBuf,
    #[arg(long, default_value = "admin")]
    admin: String,
}

#[derive(Args)]
pub struct Join {
    /// Token from `docklet token create --role master`
    token: String,
    #[command(flatten)]
    addresses: Addresses,
}

pub async fn run(command: Command, knows: ClusterVersion) -> anyhow::Result<ExitCode> {
    match command {
        Command::Init(init) => initialise(init, knows).await,
        Command::Join(join) => join_cluster(join, knows).await,
        Command::Run(dir) => serve(&dir.dir, knows).await,
        Command::List(print) => client::master::list(print).await,
        Command::Remove(remove) => client::master::remove(remove).await,
        Command::Replace(replace) => client::master::replace(replace).await,
        Command::Drain(act) => client::master::drain(act).await,
        Command::Transfer(act) => client::master::transfer(act).await,
        Command::Autopilot(command) => client::master::autopilot(command).await,
        Command::Recover(ask) => anew::recover(ask).await,
    }
}

impl Addresses {
    /// The directory that is meant.
    pub(super) fn dir(&self) -> &Path {
        &self.dir.dir
    }

    pub(super) fn file(&self) -> MasterFile {
        let mut names = self.public_names.clone();
        names.push(self.public_addr.ip().to_string());
        names.extend(self.shared_addr.map(|addr| addr.ip().to_string()));
        names.push("localhost".to_owned());
        names.sort();
        names.dedup();
        let timing = Timing::default();
        MasterFile {
            name: self.name.clone(),
            cluster_listen: self.cluster_addr,
            public_listen: std::iter::once(self.public_addr)
                .chain(self.shared_addr)
                .collect(),
            public_names: names,
            proxy_domain: self.proxy_domain.clone(),
            proxy_listen: self.proxy_addr.into_iter().collect(),
            proxy_port: None,
            portal_url: None,
            public_certificate: self.public_certificate.as_deref().map(whole),
            public_key: self.public_key.as_deref().map(whole),
            own_certificate_s: config::own_certificate_s(),
            cluster_certificate_s: config::cluster_certificate_s(),
            heartbeat_ms: timing.heartbeat_ms,
            election_min_ms: timing.election_min_ms,
            election_max_ms: timing.election_max_ms,
            history_mib: config::history_mib(),
            history_days: config::history_days(),
            streams_per_person: config::bounds::streams_per_person(),
            terminals_per_person: config::bounds::terminals_per_person(),
            transfers_per_person: config::bounds::transfers_per_person(),
            tunnels_per_person: config::bounds::tunnels_per_person(),
            persons_per_address: config::bounds::persons_per_address(),
            connections_per_address: config::bounds::connections_per_address(),
            connections_max: config::bounds::connections_max(),
        }
    }

    /// What cannot be used is told before anything is made.
    pub(super) fn refuse_unfit(&self) -> anyhow::Result<()> {
        let file = self.file();
        match file.given()? {
            Some(given) => public::check_given(&given, &file.public_names)
                .map_err(|unfit| Failure::new(Class::Invalid, unfit.to_string()).into()),
            None => Ok(()),
        }
    }

    fn refuse_used(&self) -> anyhow::Result<()> {
        removed::refuse(&self.dir.dir)?;
        if self.dir.dir.join("own.key").exists() {
            let text = format!(
                "{} holds a master already: choose another --dir",
                self.dir.dir.display()
            );
            return Err(Failure::new(Class::Conflict, text).into());
        }
        Ok(())
    }
}

/// The path as whoever runs the master finds it, wherever that is run.
fn whole(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Turns a refusal into an exit code of its class.
pub fn failure(fault: ProposeFault) -> anyhow::Error {
    match fault {
        ProposeFault::Refused(refusal) => {
            use docklet_control::RefusalClass;
            let class = match refusal.class() {
                RefusalClass::Invalid => Class::Invalid,
                RefusalClass::Unauthenticated | RefusalClass::Forbidden => Class::Denied,
                RefusalClass::NotFound => Class::NotFound,
                RefusalClass::Conflict => Class::Conflict,
            };
            Failure::new(class, refusal.to_string()).into()
        }
        ProposeFault::Unknown(fault) => anyhow::Error::new(fault),
    }
}

async fn initialise(init: Init, knows: ClusterVersion) -> anyhow::Result<ExitCode> {
    init.addresses.refuse_used()?;
    init.addresses.refuse_unfit()?;
    let dir = &init.addresses.dir.dir;
    refuse_filled(dir)?;
    let made = make_cluster(&init, dir, knows).await;
    if made.is_err() {
        // It was absent or empty: what is there now is half a master, and in the way of the next attempt.
        drop(std::fs::remove_dir_all(dir));
    }
    made?;
    remark(&format!(
        "Cluster made. Run its first master with: docklet master run --dir {}",
        dir.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// A fresh file system's own directory is no content: masters may have a disk of their own.
fn refuse_filled(dir: &Path) -> anyhow::Result<()> {
    let counts = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.file_name() != "lost+found")
    };
    let filled = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.any(counts));
    if filled {
        let text = format!("{} is not empty: choose another --dir", dir.display());
        return Err(Failure::new(Class::Conflict, text).into());
    }
    Ok(())
}

async fn make_cluster(init: &Init, dir: &Path, knows: ClusterVersion) -> anyhow::Result<()> {
    let password = std::fs::read_to_string(&init.admin_password_file);
    let password =
        password.with_context(|| format!("read {}", init.admin_password_file.display()))?;
    let hash = docklet_portal::hash_password(password.trim_end_matches('\n'))
        .map_err(|refusal| Failure::new(Class::Invalid, refusal.to_string()))?;
    let identity = Identity {
        role: PeerRole::Master,
        id: 1,
        cluster: rand::random(),
    };
    let credentials = first_credentials(dir, identity)?;
    let master = start(
        dir,
        credentials.into(),
        Timing::default(),
        HistoryLimits::default(),
        knows,
    )
    .await?;
    let initialised = master.initialize(first_entry(init, identity, hash)).await;
    master.shutdown().await;
    initialised.map_err(failure)?;
    config::write(&dir.join("master.toml"), &init.addresses.file())
}

fn first_credentials(dir: &Path, identity: Identity) -> anyhow::Result<Credentials> {
    let authority = Authority::create(identity.cluster)?;
    let signing = SigningRequest::new()?;
    let own = authority.sign(&signing.csr_pem, identity)?;
    let (ca, ca_key) = (authority.certificate_pem(), Some(authority.key_pem()));
    Credentials::store(dir, ca, &own, &signing.key_pem, ca_key)?;
    Ok(Credentials::load(dir)?)
}

fn first_entry(init: &Init, identity: Identity, admin_password_hash: String) -> InitCluster {
    let addresses = &init.addresses;
    InitCluster {
        cluster: ClusterId(identity.cluster),
        cluster_name: init.cluster_name.clone(),
        cluster_net: init.cluster_net,
        user_prefix: init.user_prefix,
        cpu_overcommit_percent: init.cpu_overcommit_percent,
        memory_overcommit_percent: init.memory_overcommit_percent,
        worker_timeout_ms: 5_000,
        admin_name: init.admin.clone(),
        admin_password_hash,
        master: MasterId(identity.id),
        master_name: addresses.name.clone(),
        cluster_addr: addresses.cluster_addr.to_string(),
        public_addr: addresses.public_addr.to_string(),
    }
}

async fn start(
    dir: &Path,
    credentials: Own,
    timing: Timing,
    history: HistoryLimits,
    knows: ClusterVersion,
) -> anyhow::Result<Master> {
    let config = MasterConfig {
        data_dir: dir.to_owned(),
        credentials,
        timing,
        history,
        knows,
    };
    match Master::start(config).await {
        Ok(master) => Ok(master),
        Err(RaftFault::TooOld(refusal)) => Err(too_old(dir, &refusal)),
        Err(fault) => Err(fault).with_context(|| format!("start the master in {}", dir.display())),
    }
}

async fn join_cluster(ask: Join, knows: ClusterVersion) -> anyhow::Result<ExitCode> {
    ask.addresses.refuse_used()?;
    ask.addresses.refuse_unfit()?;
    let dir = &ask.addresses.dir.dir;
    let token: JoinSecret = ask.token.parse().map_err(super::agent::bad_token)?;
    let kind = JoinKind::Master {
        name: ask.addresses.name.clone(),
        cluster_addr: ask.addresses.cluster_addr.to_string(),
        public_addr: ask.addresses.public_addr.to_string(),
        knows,
    };
    let answer = join(&token, kind, dir).await.map_err(failure)?;
    config::write(&dir.join("master.toml"), &ask.addresses.file())?;
    remark(&format!(
        "Joined as master {} at entry {}. Run it with: docklet master run --dir {}",
        answer.id,
        answer.index,
        dir.display()
    ));
    Ok(ExitCode::SUCCESS)
}

async fn serve(dir: &Path, knows: ClusterVersion) -> anyhow::Result<ExitCode> {
    removed::refuse(dir)?;
    let files = open_files::raise()?;
    let file: MasterFile = config::read(&dir.join("master.toml"))?;
    let credentials = Own::load(dir)?;
    let authority = Credentials::authority(dir)?.lasting(file.cluster_life()?);
    certificate::renew(&credentials, &authority).await?;
    let proxy = file.proxy()?;
    let public = PublicConfig {
        authority: authority.clone(),
        names: file.public_names.clone(),
        service_names: file.service_names(),
        life: file.own_life()?,
        given: file.given()?,
    };
    check_public(&public)?;
    let listener = ClusterListener::bind(&file.cluster_listen.to_string(), &credentials).await?;
    let master = start(
        dir,
        credentials.clone(),
        file.timing(),
        file.history(),
        knows,
    )
    .await?;
    let listener = listener.through(master.gate());
    let program = std::env::current_exe().context("find this program")?;
    master.may_be_stopped(program.clone());
    let secrets = authority.deriver()?;
    let renewing = certificate::keep(credentials.clone(), authority.clone());
    let sealing_key = secrets.derive("what browsers keep", b"");
    let mut doors = master.doors(authority.clone());
    let dispatcher = Dispatcher::start(&master);
    let agents = agents_door::door(master.clone(), dispatcher.clone(), secrets, authority);
    doors.insert(Purpose::Agent, agents);
    let portal = docklet_portal::serve(PortalConfig {
        master: master.clone(),
        dispatcher,
        credentials,
        name: file.name.clone(),
        listen: file.public_listen.clone(),
        proxy,
        proxy_listen: file.proxy_listen.clone(),
        public,
        headers_deadline: docklet_portal::HEADERS_DEADLINE,
        idle_deadline: docklet_portal::IDLE_DEADLINE,
        bounds: file.bounds(files),
        sealing_key,
        program,
    });
    tracing::info!(name = file.name, public = ?file.public_listen, "master runs");
    let doors = async {
        tokio::select! {
            () = listener.serve(doors, master.deny()) => Ok(Ended::Stopped),
            () = renewing => Ok(Ended::Stopped),
            ended = portal => ended.context("serve the public listener").map(|()| Ended::Stopped),
            fault = master.failed() => Err(store_failed(dir, fault)),
            _ = master.diverged() => Ok(Ended::Diverged),
            () = removed_and_told(&master) => Ok(Ended::Removed),
        }
    };
    let ended = serve_until_told(&master, doors).await?;
    // Everything is made durable, but not for ever.
    drop(tokio::time::timeout(STOP_DEADLINE, master.shutdown()).await);
    match ended {
        Ended::Stopped => Ok(ExitCode::SUCCESS),
        Ended::Diverged => Err(begin_anew()),
        Ended::Removed => Err(removed::leave(dir, master.id().0)?.into()),
    }
}

/// A certificate that can never be used is told before the master starts. One that has ended is used: a master that
/// does not vote is worse than one that browsers warn of.
fn check_public(public: &PublicConfig) -> anyhow::Result<()> {
    let Some(given) = &public.given else {
        return Ok(());
    };
    match public::check_given(given, &public.names) {
        Ok(()) | Err(Unfit::Ended { .. } | Unfit::NotYet { .. }) => Ok(()),
        Err(unfit) => Err(Failure::new(Class::Invalid, unfit.to_string()).into()),
    }
}

/// Waits until this master was removed, and a moment longer: somebody may have asked for it here.
async fn removed_and_told(master: &Master) {
    master.removed().await;
    tracing::error!(master = %master.id(), "this master was removed from its cluster, and stops");
    tokio::time::sleep(LAST_ANSWERS).await;
}

/// How serving came to its end.
enum Ended {
    Stopped,
    /// The state is not that of the others: it is taken anew at the next start, and nobody is served before.
    Diverged,
    /// The cluster goes on without this master, for ever.
    Removed,
}

/// Puts a fresh process with the same arguments in the place of this one; comes back only if that fails.
fn begin_anew() -> anyhow::Error {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return anyhow::Error::new(error).context("find this program"),
    };
    let error = std::process::Command::new(program)
        .args(std::env::args_os().skip(1))
        .exec();
    anyhow::Error::new(error).context("start this program anew")
}

/// What there is to say when the store failed: the cause, what it means, and what to do.
fn store_failed(dir: &Path, fault: RaftFault) -> anyhow::Error {
    if let RaftFault::TooOld(refusal) = &fault {
        return too_old(dir, refusal);
    }
    anyhow::Error::new(fault).context(format!(
        "this master has stopped, because its store in {} failed; nothing acknowledged is lost, and the other masters \
         go on while most of them run. Free or replace that disk and start this master again",
        dir.display()
    ))
}

/// What there is to say when this program knows less than the cluster has agreed on.
fn too_old(dir: &Path, refusal: &Refusal) -> anyhow::Error {
    let text = format!("the master in {} does not run: {refusal}", dir.display());
    Failure::new(Class::TooOld, text).into()
}

/// Serves; when told to stop, it hands leadership over while the doors are still open, then closes them.
async fn serve_until_told(
    master: &Master,
    doors: impl Future<Output = anyhow::Result<Ended>>,
) -> anyhow::Result<Ended> {
    let mut stop = signal(SignalKind::terminate())?;
    let told = async {
        tokio::select! {
            _ = stop.recv() => tracing::info!("told to stop"),
            _ = tokio::signal::ctrl_c() => tracing::info!("interrupted"),
        }
        drop(tokio::time::timeout(STOP_DEADLINE, master.hand_over()).await);
    };
    tokio::select! {
        ended = doors => ended,
        () = told => Ok(Ended::Stopped),
    }
}
