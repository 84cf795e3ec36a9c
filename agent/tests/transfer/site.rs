//! Two workers: one gives vnode 7 at its real data port, the other takes it into a directory of its own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use docklet_agent::door;
use docklet_agent::members::Members;
use docklet_agent::meter::Meter;
use docklet_agent::transfer::{Arrival, Departure, Departures, Moving, Source};
use docklet_agent::vnode_dir::StateDir;
use docklet_control::id::{LogIndex, VnodeId, WorkerId};
use docklet_link::identity::PeerRole;
use docklet_link::{Authority, Credentials, Dialer};
use nix::fcntl::{FallocateFlags, fallocate};
use rand::rngs::StdRng;
use rand::{Rng, RngCore};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

use crate::support::{CLUSTER, DATA_PORT, Worker, signed};

pub const V7: VnodeId = VnodeId(7);
pub const MOVE: LogIndex = LogIndex(41);
pub const GIVER: WorkerId = WorkerId(5);
pub const TAKER: WorkerId = WorkerId(6);
/// Nothing here may take longer.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub struct Site {
    pub giver: Worker,
    pub departures: Departures,
    pub ca: Authority,
    pub state: StateDir,
    _dir: TempDir,
}

impl Site {
    pub async fn new() -> Self {
        Self::with_pace(None).await
    }

    pub async fn with_pace(bytes_per_s: Option<u64>) -> Self {
        let ca = Authority::create(CLUSTER).expect("an authority");
        let mut giver = Worker::empty(&ca, GIVER.0);
        giver.config.move_bytes_per_s = bytes_per_s;
        let dir = tempfile::Builder::new()
            .prefix("docklet-agent-test-")
            .tempdir_in("/var/tmp")
            .expect("a directory");
        let site = Self {
            departures: Departures::default(),
            state: StateDir(dir.path().to_owned()),
            giver,
            ca,
            _dir: dir,
        };
        site.state.create().expect("made");
        site.serve().await;
        fs::create_dir_all(site.given("snapshots")).expect("made");
        site.leaves(false);
        site
    }

    async fn serve(&self) {
        let host = self.giver.open();
        let (images, _) = watch::channel(Vec::new());
        let (tell, _) = mpsc::channel(8);
        let config = self.giver.config.clone();
        let meter = Meter::open(&config, host.gpus().clone());
        let (members, leaving) = (Members::default(), self.departures.clone());
        let door = door::serve(config, host, images, tell, members, meter, leaving);
        tokio::spawn(door.await.expect("a free port"));
    }

    /// Vnode 7 leaves to the taker.
    pub fn leaves(&self, still: bool) {
        let departure = Departure {
            number: MOVE,
            to: TAKER,
            still,
        };
        self.departures.set(V7, departure);
    }

    /// A path in the vnode's directory at the giver.
    pub fn given(&self, below: &str) -> PathBuf {
        self.giver.state("vnodes/v7").join(below)
    }

    /// A path in the directory in which it arrives.
    pub fn taken(&self, below: &str) -> PathBuf {
        self.state.arrival(V7, MOVE).join(below)
    }

    pub fn credentials(&self) -> Credentials {
        signed(&self.ca, PeerRole::Agent, TAKER.0)
    }

    pub fn dialer(&self) -> Dialer {
        Dialer::new(self.credentials())
    }

    pub async fn arrival(&self) -> Arrival {
        self.arrival_from(DATA_PORT, moving(&[])).await
    }

    pub async fn arrival_from(&self, port: u16, moving: Moving) -> Arrival {
        let source = Source {
            worker: GIVER,
            addr: format!("127.0.0.1:{port}"),
        };
        let begun = Arrival::begin(self.state.clone(), self.dialer(), source, moving);
        begun.await.expect("begun")
    }

    /// All files in both directories are the same, but for what is only here.
    pub fn assert_same(&self, names: &[&str]) {
        for name in names {
            assert!(same(&self.given(name), &self.taken(name)), "{name}");
        }
    }
}

pub fn moving(snapshots: &[u64]) -> Moving {
    Moving {
        vnode: V7,
        number: MOVE,
        snapshots: snapshots.iter().map(|number| LogIndex(*number)).collect(),
        disk_bytes_max: 64 << 20,
        checkpoint_bytes_max: 64 << 20,
        live: false,
    }
}

/// Whether two files have the same bytes.
pub fn same(one: &Path, other: &Path) -> bool {
    fs::read(one).expect("a file") == fs::read(other).expect("a file")
}

/// Bytes that a file takes.
pub fn takes(path: &Path) -> u64 {
    fs::metadata(path).expect("a file").blocks() * 512
}

/// A sparse file of this length with so many random pieces.
pub fn disk(path: &Path, length: u64, pieces: u32, random: &mut StdRng) {
    let file = File::create(path).expect("made");
    file.set_len(length).expect("sized");
    for _ in 0..pieces {
        write_piece(&file, random);
    }
}

/// Writes somewhere as vnodes do: a block, some, or many, of noise or of zeros; or lets there be a hole.
pub fn write_piece(file: &File, random: &mut StdRng) {
    let length = file.metadata().expect("a file").len();
    let bytes = [4_096, 20_000, 300_000][random.random_range(0..3)].min(length);
    let at = random.random_range(0..=length - bytes);
    match random.random_range(0..6) {
        0 => {
            let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            let whole = |bytes: u64| i64::try_from(bytes).expect("short");
            fallocate(file, flags, whole(at), whole(bytes.max(1))).expect("punched");
        }
        1 => file
            .write_all_at(&vec![0; to_usize(bytes)], at)
            .expect("written"),
        _ => file
            .write_all_at(&noise(to_usize(bytes), random), at)
            .expect("written"),
    }
}

fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).expect("short")
}

pub fn noise(bytes: usize, random: &mut StdRng) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    random.fill_bytes(&mut noise);
    noise
}

/// Files of a directory and what they have, by name.
pub fn content(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).expect("a directory").flatten();
    let files = entries.filter(|entry| entry.path().is_file());
    files
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, fs::read(entry.path()).expect("a file"))
        })
        .collect()
}
