//! Two workers, their network and the outside: the outside and each vnode are namespaces.
//!
//! ```text
//! outside 198.51.100.7 ── router 198.51.100.1, 192.0.2.1 ─┬─ worker 1, 192.0.2.11 ── vnodes
//!                         (also where masters would be)   └─ worker 2, 192.0.2.12 ── vnodes
//! ```

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use docklet_agent::fault::AgentFault;
use docklet_agent::host::linux::LinuxHost;
use docklet_agent::host::{Act, Host, Observation};
use docklet_agent::network::{names, plug, space};
use docklet_agent::vnode_dir::make_dir;
use docklet_control::assignment::{AssignedNetwork, AssignedPort, AssignedVnode, Fabric};
use docklet_control::id::{NetworkId, VnodeId};
use docklet_control::model::vnode::MacAddress;
use docklet_control::model::{PortNumber, Protocol, PublicPort, VnodeWanted};
use docklet_link::Authority;
use nix::sched::{CloneFlags, setns, unshare};
use tempfile::TempDir;

use crate::support::{self, CLUSTER, command};

pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Whoever gets no answer within this time gets none.
pub const PATIENCE: Duration = Duration::from_millis(600);

/// Everything but the workers.
pub struct Site {
    ca: Authority,
    pub outside: Space,
    /// Names the outside as the workers' name server.
    pub resolv_conf: PathBuf,
    dir: TempDir,
}

/// A network namespace that goes when it is dropped.
pub struct Space(pub PathBuf);

impl Space {
    fn new(dir: &Path, name: &str) -> Self {
        let path = dir.join(name);
        space::hold(&path).expect("a namespace");
        let made = Self(path);
        made.ip("link set lo up\n");
        made
    }

    /// Does something in it.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        space::within(&self.0, || Ok(act())).expect("in the namespace")
    }

    pub fn ip(&self, batch: &str) {
        let run = || docklet_agent::command::run("ip", &["-batch", "-"], batch);
        self.within(run).expect("iproute2 does it");
    }

    pub fn command(&self, program: &str, arguments: &[&str]) -> String {
        self.within(|| command(program, arguments))
    }

    pub fn nft(&self, commands: &str) {
        let run = || docklet_agent::command::run("nft", &["-f", "-"], commands);
        self.within(run).expect("nftables does it");
    }

    /// Whoever connects is told who they seem to be, and hears again what they say.
    pub fn serve_tcp(&self, at: impl Into<SocketAddr>, tag: &'static str) {
        let at = at.into();
        let listener = self.within(|| TcpListener::bind(at)).expect("a listener");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || echo(stream, tag));
            }
        });
    }

    /// The same with datagrams.
    pub fn serve_udp(&self, at: impl Into<SocketAddr>, tag: &'static str) {
        let at = at.into();
        let socket = self.within(|| UdpSocket::bind(at)).expect("a socket");
        std::thread::spawn(move || {
            let mut buffer = [0; 2_048];
            while let Ok((_, from)) = socket.recv_from(&mut buffer) {
                // Whoever hears no answer says so.
                let _ = socket.send_to(told(tag, from).as_bytes(), from);
            }
        });
    }

    /// What a TCP server says to whoever connects from here; none if it cannot be reached for long.
    pub fn hear_tcp(&self, at: impl Into<SocketAddr>) -> Option<String> {
        Some(greeting(&mut self.reach(at)?))
    }

    /// A connection; none if there is none to be had for long. A first packet may be lost while addresses are found.
    pub fn reach(&self, at: impl Into<SocketAddr>) -> Option<TcpStream> {
        let at = at.into();
        (0..10).find_map(|_| self.connect(at))
    }

    /// One attempt to connect.
    pub fn connect(&self, at: impl Into<SocketAddr>) -> Option<TcpStream> {
        let at = at.into();
        let connected = self.within(|| TcpStream::connect_timeout(&at, PATIENCE));
        connected.ok()
    }

    /// What a UDP server answers to here; none if it does not for long.
    pub fn hear_udp(&self, at: impl Into<SocketAddr>) -> Option<String> {
        self.ask_udp(at.into(), 20)
    }

    /// Whether no UDP server answers within a moment.
    pub fn misses_udp(&self, at: impl Into<SocketAddr>) -> bool {
        self.ask_udp(at.into(), 3).is_none()
    }

    fn ask_udp(&self, at: SocketAddr, attempts: u8) -> Option<String> {
        let socket = self
            .within(|| UdpSocket::bind("0.0.0.0:0"))
            .expect("a socket");
        socket.set_read_timeout(Some(PATIENCE / 3)).expect("set");
        let mut buffer = [0; 2_048];
        for _ in 0..attempts {
            if socket.send_to(b"who am I", at).is_err() {
                continue;
            }
            if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                assert_eq!(from, at, "somebody else answers");
                return Some(String::from_utf8_lossy(&buffer[..length]).trim().to_owned());
            }
        }
        None
    }
}

impl Space {
    /// That of the calling thread: the router's.
    pub fn here() -> Self {
        Self("/proc/thread-self/ns/net".into())
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // After a failure there may be nothing to release.
        let _ = space::release(&self.0);
    }
}

fn told(tag: &str, from: SocketAddr) -> String {
    format!("{tag} hears {}\n", from.ip())
}

fn echo(mut stream: TcpStream, tag: &str) -> std::io::Result<()> {
    let from = stream.peer_addr()?;
    stream.write_all(told(tag, from).as_bytes())?;
    let mut buffer = [0; 2_048];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length])?;
    }
}

pub fn greeting(stream: &mut TcpStream) -> String {
    let mut said = String::new();
    let mut byte = [0];
    stream.set_read_timeout(Some(PATIENCE * 5)).expect("set");
    while !said.ends_with('\n') {
        stream.read_exact(&mut byte).expect("a greeting");
        said.push(byte[0].into());
    }
    said.trim().to_owned()
}

impl Site {
    /// Runs a test in a network namespace of its own, which is the router.
    pub fn run(test: impl FnOnce(Site)) {
        assert!(
            nix::unistd::geteuid().is_root(),
            "namespaces need root: run the tests as root"
        );
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
        let dir = tempfile::Builder::new()
            .prefix("docklet-network-test-")
            .tempdir_in("/var/tmp")
            .expect("a directory");
        space::set_parameter("ipv4/ip_forward", "1").expect("a router");
        let outside = Space::new(dir.path(), "outside");
        let batch = format!(
            "\
link set lo up
link add under type bridge forward_delay 0
address add {ROUTER}/24 dev under
link set under up
link add far type veth peer name eth0 netns {}
address add 198.51.100.1/24 dev far
link set far up
",
            outside.0.display()
        );
        ip(&batch);
        outside.ip(&format!(
            "address add {OUTSIDE}/24 dev eth0\nlink set eth0 up\nroute add default via 198.51.100.1\n"
        ));
        let resolv_conf = dir.path().join("resolv.conf");
        std::fs::write(&resolv_conf, format!("nameserver {OUTSIDE}\n")).expect("written");
        test(Self {
            ca: Authority::create(CLUSTER).expect("an authority"),
            outside,
            resolv_conf,
            dir,
        });
    }

    /// What vnodes must not reach.
    pub fn fabric(&self) -> Fabric {
        Fabric {
            machines: vec![
                (ROUTER, ROUTER),
                (Ipv4Addr::new(192, 0, 2, 11), Ipv4Addr::new(192, 0, 2, 12)),
            ],
            cluster_net: Some("10.64.0.0/16".parse().expect("a net")),
            portals: vec![SocketAddrV4::new(ROUTER, 8_443)],
        }
    }

    /// A worker without anything on it.
    pub fn worker(&self, number: u8) -> Node {
        let space = Space::new(self.dir.path(), &format!("worker-{number}"));
        let address = Ipv4Addr::new(192, 0, 2, 10 + number);
        ip(&format!(
            "link add w{number} type veth peer name uplink netns {}\nlink set w{number} master under up\n",
            space.0.display()
        ));
        space.ip(&format!(
            "address add {address}/24 dev uplink\nlink set uplink up\nroute add default via {ROUTER}\n"
        ));
        let mut files = support::Worker::empty(&self.ca, number.into());
        files.config.underlay = IpAddr::V4(address);
        files.config.resolv_conf.clone_from(&self.resolv_conf);
        let agent = Agent::start(&space.0, &files);
        Node {
            agent: Some(agent),
            files,
            address,
            dir: self.dir.path().to_owned(),
            space,
        }
    }

    /// A segment of vnodes on these workers, as the one of them with this number is told.
    pub fn network(&self, id: u64, workers: &[u8], at: u8) -> AssignedNetwork {
        let others = workers.iter().filter(|number| **number != at);
        AssignedNetwork {
            id: NetworkId(id),
            peers: others
                .map(|number| IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10 + number)))
                .collect(),
            subnet: Some("10.64.0.0/22".parse().expect("a subnet")),
            ports: Vec::new(),
        }
    }
}

fn ip(batch: &str) {
    docklet_agent::command::run("ip", &["-batch", "-"], batch).expect("iproute2 does it");
}

/// The agent's host, with threads in the worker's namespace as if it had been started there.
struct Agent {
    runtime: tokio::runtime::Runtime,
    host: Arc<LinuxHost>,
}

impl Agent {
    fn start(space: &Path, files: &support::Worker) -> Self {
        let inside = space.to_owned();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .on_thread_start(move || {
                let space = std::fs::File::open(&inside).expect("a namespace");
                setns(space, CloneFlags::CLONE_NEWNET).expect("entered");
            })
            .build()
            .expect("a runtime");
        let config = files.config.clone();
        let opened = runtime.spawn_blocking(move || LinuxHost::open(config));
        let host = runtime.block_on(opened).expect("no panic").expect("a host");
        Self {
            runtime,
            host: Arc::new(host),
        }
    }
}

/// One worker.
pub struct Node {
    agent: Option<Agent>,
    pub files: support::Worker,
    pub address: Ipv4Addr,
    dir: PathBuf,
    pub space: Space,
}

impl Node {
    fn on_host<T: Send + 'static>(
        &self,
        act: impl FnOnce(&LinuxHost) -> Result<T, AgentFault> + Send + 'static,
    ) -> T {
        let agent = self.agent.as_ref().expect("the agent runs");
        let host = agent.host.clone();
        let done = agent.runtime.spawn_blocking(move || act(&host));
        let done = agent.runtime.block_on(done).expect("no panic");
        done.unwrap_or_else(|fault| panic!("{}", fault.full_text()))
    }

    pub fn act(&self, act: Act) {
        self.on_host(move |host| host.act(&act));
    }

    pub fn observe(&self) -> Observation {
        self.on_host(Host::observe)
    }

    pub fn ensure(&self, site: &Site, network: &AssignedNetwork) {
        self.act(Act::EnsureNetwork(network.clone(), site.fabric()));
    }

    /// The agent ends and another one begins; nothing else does.
    pub fn restart_agent(&mut self) {
        if let Some(agent) = self.agent.take() {
            drop(agent.host);
            agent.runtime.shutdown_timeout(Duration::from_secs(5));
        }
        self.agent = Some(Agent::start(&self.space.0, &self.files));
    }

    /// Does what the agent does with its network, on a thread of its own.
    pub fn fault<T: Send>(&self, act: impl FnOnce() -> Result<T, AgentFault> + Send) -> T {
        let done = space::within(&self.space.0, act);
        done.unwrap_or_else(|fault| panic!("{}", fault.full_text()))
    }

    /// A vnode of segment `network` with this id and last part of its address, plugged in; its files say that it is here.
    pub fn guest(&self, network: u64, id: u64, last: u8) -> Guest {
        let vnode = self.vnode(network, id, last);
        let remembered = vnode.clone();
        self.on_host(move |host| {
            make_dir(&host.state().vnode(remembered.id), 0o711)?;
            host.state().remember(&remembered)
        });
        let guest = Guest {
            space: Space::new(&self.dir, &format!("vnode-{id}")),
            vnode,
        };
        self.plug(&guest);
        guest
    }

    pub fn vnode(&self, network: u64, id: u64, last: u8) -> AssignedVnode {
        let address = Ipv4Addr::new(10, 64, 0, last);
        AssignedVnode {
            network: NetworkId(network),
            address,
            mac: MacAddress([0x0a, 0, 0, 0, 0, u8::try_from(id).expect("small")]),
            hosts: vec![("host-0".to_owned(), address)],
            ..self.files.vnode(id, VnodeWanted::Running)
        }
    }

    /// Plugs it in as a start of its container does; again if it is plugged in.
    pub fn plug(&self, guest: &Guest) {
        let vnode = &guest.vnode;
        let (device, path) = (names::container_device(vnode.id), guest.space.0.display());
        self.fault(|| plug::plug(std::slice::from_ref(vnode)));
        self.space
            .ip(&format!("link set {device} netns {path} name eth0\n"));
        let (address, prefix) = (vnode.address, vnode.prefix);
        guest.space.ip(&format!(
            "address add {address}/{prefix} dev eth0\nlink set eth0 up\nroute add default via {}\n",
            vnode.gateway()
        ));
    }

    /// Whatever there is of segments and vnodes' devices: devices, rules, gateways' namespaces.
    pub fn traces(&self) -> Vec<String> {
        let mut traces: Vec<String> = self.fault(names::devices).into_iter().collect();
        let tables = self.space.command("nft", &["list", "tables"]);
        let ours = tables.lines().filter(|line| line.ends_with(" docklet"));
        traces.extend(ours.map(str::to_owned));
        let held = std::fs::read_dir(self.files.state("gateways")).expect("a directory");
        traces.extend(
            held.flatten()
                .map(|entry| entry.path().display().to_string()),
        );
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
        let below = self.files.state("").display().to_string();
        traces.extend(
            mounts
                .lines()
                .filter(|line| line.contains(&below))
                .map(str::to_owned),
        );
        traces
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(agent) = self.agent.take() {
            drop(agent.host);
            agent.runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

/// A vnode: a namespace with its device.
pub struct Guest {
    pub vnode: AssignedVnode,
    pub space: Space,
}

impl Guest {
    pub fn at(&self, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(self.vnode.address, port)
    }

    pub fn id(&self) -> VnodeId {
        self.vnode.id
    }
}

pub fn port(protocol: Protocol, public: u16, guest: &Guest, number: u16) -> AssignedPort {
    AssignedPort {
        public: PublicPort {
            protocol,
            number: PortNumber(public),
        },
        address: guest.vnode.address,
        number: PortNumber(number),
    }
}
