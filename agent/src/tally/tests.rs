//! Tallies through everything that happens to a worker: seconds, restarts, crashes, placements that end.

use super::*;

use docklet_control::assignment::Metering;
use docklet_control::id::{LogIndex, WorkerId};
use docklet_control::model::Used;

const VNODE: VnodeId = VnodeId(7);

struct Worker {
    dir: tempfile::TempDir,
    tallies: Tallies,
    now_ms: u64,
}

impl Worker {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let tallies = opened(dir.path(), "boot-1");
        Self {
            dir,
            tallies,
            now_ms: 100_000,
        }
    }

    /// As after `kill -9`.
    fn restart(&mut self, boot: &str) {
        self.tallies = opened(self.dir.path(), boot);
    }

    /// A vnode that the worker has, by its epoch, and the tallies that the masters wait for.
    fn assign(&self, here: Option<u64>, tallies: &[u64]) {
        self.tallies.assign(&assignment(here, tallies));
    }

    /// The same, and at the gateway so many ports lead to it, and one to another vnode.
    fn open_ports(&self, here: u64, ports: u16) {
        let mut assignment = assignment(Some(here), &[here]);
        let all = (0..ports).map(|number| (number, "10.0.0.2"));
        let all = all.chain([(ports, "10.0.0.3")]);
        let all = all.map(|(number, address)| {
            let number = 20_000 + number;
            let public = serde_json::json!({"protocol": "tcp", "number": number});
            serde_json::json!({"public": public, "address": address, "number": 80})
        });
        let ports: Vec<_> = all.collect();
        let network = serde_json::json!({"id": 1, "peers": [], "ports": ports});
        let network = serde_json::from_value(network).expect("a network");
        assignment.networks = vec![network];
        self.tallies.assign(&assignment);
    }

    /// A second goes by in which the vnode runs.
    fn second(&mut self, cgroup: u64, cpu_us: u64, network_bytes: u64) {
        self.now_ms += 1_000;
        let seen = Running {
            cgroup,
            cpu_us,
            memory_bytes: 100 << 20,
            network_bytes,
            gpus: vec!["A100".to_owned(), "A100".to_owned()],
        };
        let running = BTreeMap::from([(VNODE, seen)]);
        self.tallies.look(&running, self.now_ms);
    }

    fn still(&mut self) {
        self.now_ms += 1_000;
        self.tallies.look(&BTreeMap::new(), self.now_ms);
    }

    fn told(&self) -> Vec<(u64, Used, bool)> {
        let readings = self.tallies.readings(self.now_ms).into_iter();
        readings.map(|r| (r.epoch.0, r.used, r.ended)).collect()
    }

    fn files(&self) -> usize {
        let files = std::fs::read_dir(self.dir.path().join("tallies"));
        files.expect("a directory").count()
    }
}

fn opened(dir: &std::path::Path, boot: &str) -> Tallies {
    Tallies::open(&StateDir(dir.to_owned()), boot.to_owned()).expect("opened")
}

fn assignment(here: Option<u64>, tallies: &[u64]) -> Assignment {
    let vnode = serde_json::json!({
        "id": 7, "epoch": here.unwrap_or(0), "wanted": "running", "owner": 2, "uid_base": 0,
        "vcluster": 1, "vcluster_name": "lab", "hostname": "host-0", "image": "00".repeat(32),
        "size": {"cpu_milli": 500, "memory_mib": 256, "pids_max": 64}, "disk_mib": 2_000,
        "network": 1, "address": "10.0.0.2", "prefix": 24, "mac": [10, 0, 0, 0, 0, 7], "hosts": [],
    });
    let vnode = serde_json::from_value(vnode).expect("a vnode");
    let tallies = tallies.iter().map(|epoch| AssignedTally {
        vnode: VNODE,
        epoch: Epoch(*epoch),
    });
    let empty = serde_json::json!({
        "cluster": vec![0; 16], "index": 1, "worker": 5, "masters": [], "vnodes": [],
        "networks": [], "images": [],
    });
    let empty: Assignment = serde_json::from_value(empty).expect("an assignment");
    Assignment {
        index: LogIndex(9),
        worker: WorkerId(5),
        vnodes: here.map(|_| vnode).into_iter().collect(),
        metering: Metering {
            every_ms: 10_000,
            tallies: tallies.collect(),
        },
        ..empty
    }
}

#[test]
fn seconds_add_up_and_are_told_once_in_a_while() {
    let mut worker = Worker::new();
    worker.assign(Some(4), &[4]);
    worker.second(1, 250_400, 500);
    worker.second(1, 500_800, 700);
    let (epoch, used, ended) = worker.told().remove(0);
    assert_eq!((epoch, ended), (4, false));
    assert_eq!(
        (used.run_ms, used.cpu_ms),
        (1_000, 500),
        "it began with the first look"
    );
    assert_eq!(used.cpu_ms_mib, 50_000);
    assert_eq!(used.memory_mib_ms, 100_000);
    assert_eq!(used.disk_mib_ms, 2_000_000);
    assert_eq!(used.network_bytes, 700);
    assert_eq!(used.gpu_ms["A100"], 2_000, "of two cards");
    worker.second(1, 600_000, 700);
    assert!(worker.told().is_empty(), "not so soon");
    worker.tallies.tell_anew();
    assert_eq!(worker.told().len(), 1, "to another master at once");
    for _ in 0..10 {
        worker.second(1, 600_000, 700);
    }
    assert_eq!(worker.told()[0].1.cpu_ms, 600);
}

#[test]
fn each_open_port_counts_for_as_long_as_it_is_open_while_the_vnode_runs() {
    let mut worker = Worker::new();
    worker.open_ports(4, 2);
    for _ in 0..4 {
        worker.second(1, 0, 0);
    }
    worker.open_ports(4, 1);
    worker.second(1, 0, 0);
    worker.still();
    worker.still();
    worker.assign(Some(4), &[4]);
    worker.second(1, 0, 0);
    worker.second(1, 0, 0);
    let (_, used, _) = worker.told().remove(0);
    assert_eq!((used.run_ms, used.port_ms), (5_000, 7_000));
}

#[test]
fn an_agent_that_is_killed_goes_on_with_what_the_kernel_counted() {
    let mut worker = Worker::new();
    worker.assign(Some(4), &[4]);
    worker.second(1, 1_000_000, 10);
    worker.second(1, 2_000_000, 20);
    let before = worker.told().remove(0).1;
    assert_eq!(before.cpu_ms, 2_000);
    // Killed in the middle of writing, and away for a minute.
    let torn = worker.dir.path().join("tallies/v7-4.new");
    std::fs::write(torn, "{\"used\":").expect("written");
    worker.now_ms += 60_000;
    worker.restart("boot-1");
    worker.assign(Some(4), &[4]);
    worker.second(1, 5_000_000, 25);
    let after = worker.told().remove(0).1;
    assert_eq!(after.cpu_ms, 5_000, "nothing is lost or counted twice");
    assert_eq!(after.network_bytes, 25);
    assert_eq!(after.run_ms, before.run_ms + 61_000);
    assert!(after.follows(&before));
}

#[test]
fn a_vnode_that_starts_again_counts_from_nothing_and_its_tally_goes_on() {
    let mut worker = Worker::new();
    worker.assign(Some(4), &[4]);
    worker.second(1, 3_000_000, 30);
    worker.still();
    // Its counters have gone further than those of the run before, unseen.
    worker.second(2, 4_000_000, 40);
    let used = worker.told().remove(0).1;
    assert_eq!((used.cpu_ms, used.network_bytes), (7_000, 70));
    // The same number of a cgroup after the machine started again is another cgroup.
    worker.restart("boot-2");
    worker.assign(Some(4), &[4]);
    worker.second(2, 5_000_000, 50);
    let used = worker.told().remove(0).1;
    assert_eq!((used.cpu_ms, used.network_bytes), (12_000, 120));
}

#[test]
fn what_is_told_is_on_disk_before() {
    let mut worker = Worker::new();
    worker.assign(Some(4), &[4]);
    worker.second(1, 1_500_000, 0);
    worker.second(1, 2_500_000, 0);
    let told = worker.told().remove(0).1;
    worker.restart("boot-1");
    worker.assign(Some(4), &[4]);
    let after = worker.told().remove(0).1;
    assert_eq!(after, told);
}

#[test]
fn the_last_reading_comes_when_nothing_runs_and_is_kept_until_it_is_recorded() {
    let mut worker = Worker::new();
    worker.assign(Some(4), &[4]);
    worker.second(1, 1_000_000, 0);
    assert_eq!(worker.told().len(), 1);
    // It is placed elsewhere, and still runs here for a moment.
    worker.assign(None, &[4]);
    worker.second(1, 2_000_000, 0);
    worker.second(1, 3_000_000, 0);
    worker.second(1, 4_000_000, 0);
    assert!(worker.told().is_empty());
    worker.still();
    let (_, used, ended) = worker.told().remove(0);
    assert_eq!((used.cpu_ms, ended), (4_000, true));
    // An agent that begins anew tells it again; the masters record it, and ask no more.
    worker.restart("boot-1");
    worker.assign(None, &[4]);
    assert!(
        worker.told().iter().all(|(.., ended)| !ended),
        "not before it has looked"
    );
    worker.still();
    worker.still();
    worker.tallies.tell_anew();
    let (_, again, ended) = worker.told().remove(0);
    assert_eq!((again.cpu_ms, ended), (4_000, true));
    worker.assign(None, &[]);
    assert_eq!(worker.files(), 0);
    assert!(worker.told().is_empty());
}

#[test]
fn one_that_comes_back_under_another_epoch_is_counted_there() {
    let mut worker = Worker::new();
    worker.assign(Some(4), &[4]);
    worker.second(1, 1_000_000, 0);
    worker.still();
    worker.assign(Some(9), &[4, 9]);
    worker.second(2, 500_000, 0);
    worker.second(2, 600_000, 0);
    let told = worker.told();
    let of = |epoch| told.iter().find(|(e, ..)| *e == epoch).expect("told");
    assert_eq!((of(4).1.cpu_ms, of(4).2), (1_000, true));
    assert_eq!((of(9).1.cpu_ms, of(9).2), (600, false));
}

#[test]
fn what_goes_on_under_another_epoch_is_counted_once() {
    let mut worker = Worker::new();
    worker.assign(Some(4), &[4]);
    worker.second(1, 1_000_000, 10);
    worker.assign(Some(9), &[4, 9]);
    worker.second(1, 1_500_000, 15);
    worker.second(1, 1_600_000, 15);
    let told = worker.told();
    let of = |epoch| told.iter().find(|(e, ..)| *e == epoch).expect("told");
    assert_eq!((of(4).1.cpu_ms, of(4).2), (1_000, true));
    assert_eq!((of(9).1.cpu_ms, of(9).1.network_bytes), (600, 5));
}

#[test]
fn where_nobody_asks_nothing_is_counted() {
    let mut worker = Worker::new();
    worker.assign(Some(4), &[]);
    assert!(!worker.tallies.counts(VNODE));
    worker.second(1, 1_000_000, 0);
    assert!(worker.told().is_empty());
    assert_eq!(worker.files(), 0);
}
