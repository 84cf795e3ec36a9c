//! Memory that is written ahead while the program runs on: where the kernel says what was written to.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{
    V7, assert_counted, counting as counting_small, end, kill_helper, left, lines, until_longer,
    worker, worker_of,
};
use crate::support::{
    CLUSTER, DATA_PORT, Worker, in_own_network, observe, perform, processes_of, round, signed, spec,
};
use docklet_agent::checkpoint;
use docklet_agent::door;
use docklet_agent::host::Act;
use docklet_agent::host::linux::LinuxHost;
use docklet_agent::members::Members;
use docklet_agent::meter::Meter;
use docklet_agent::transfer::{Arrival, Departure, Departures, Moving, Source, Stage};
use docklet_agent::vnode_dir::StateDir;
use docklet_control::amount::{MemoryMib, VnodeSize};
use docklet_control::assignment::AssignedVnode;
use docklet_control::id::{LogIndex, WorkerId};
use docklet_control::model::VnodeWanted::Running;
use docklet_link::identity::PeerRole;
use docklet_link::{Authority, Dialer};
use tokio::sync::{mpsc, watch};

/// Counts, and has 64 MiB of spaces to which it writes once.
const LARGE: &str = r#"while sleep 0.02; do echo; done | awk 'BEGIN { x = sprintf("%67108864s", "") }
{ print ++i >> "/root/count"; fflush("/root/count") }'"#;
const LARGE_BYTES: u64 = 64 << 20;
const PATIENCE: Duration = Duration::from_secs(120);
const MOVE: LogIndex = LogIndex(41);
const TAKER: WorkerId = WorkerId(6);

/// Whether the kernel tracks memory, by what the worker's doctor asks; told where it does not.
fn tracks_memory() -> bool {
    let tracks = checkpoint::criu::ability().is_ok_and(|ability| ability.tracks_memory);
    if !tracks {
        println!("skipped: `docklet worker doctor` says that this kernel does not track memory");
    }
    tracks
}

fn large(worker: &Worker) -> AssignedVnode {
    let small = worker.vnode(7, Running);
    AssignedVnode {
        size: VnodeSize {
            memory_mib: MemoryMib(256),
            ..small.size
        },
        ..small
    }
}

/// An act on the vnode, which may block.
async fn act<T: Send + 'static>(
    worker: &Worker,
    host: &Arc<LinuxHost>,
    act: impl FnOnce(&LinuxHost, &AssignedVnode) -> Result<T, docklet_agent::AgentFault>
    + Send
    + 'static,
) -> Result<T, String> {
    let (host, vnode) = (host.clone(), large(worker));
    let done = tokio::task::spawn_blocking(move || act(&host, &vnode));
    let done = done.await.expect("no panic");
    done.map_err(|fault| fault.full_text())
}

async fn ahead(worker: &Worker, host: &Arc<LinuxHost>) -> Result<Option<u32>, String> {
    act(worker, host, |host, _| checkpoint::write_ahead(host, V7)).await
}

async fn checkpoint(worker: &Worker, host: &Arc<LinuxHost>) {
    let done = act(worker, host, checkpoint::checkpoint).await;
    done.expect("a checkpoint");
}

async fn resume(worker: &Worker, host: &Arc<LinuxHost>) {
    let done = act(worker, host, |host, vnode| {
        checkpoint::resume(host, vnode, &spec(), None)
    });
    done.await.expect("resumed");
}

/// Its vnode runs and counts; answers the worker's host, and what was on the machine before.
async fn counting(worker: &Worker) -> (Arc<LinuxHost>, BTreeSet<String>) {
    let host = worker.open();
    let before = worker.traces(&[7]);
    round(&host, &worker.assignment(vec![large(worker)])).await;
    counts_on(worker);
    (host, before)
}

/// Waits until it has counted on, on a machine that may be a slow one.
fn counts_on(worker: &Worker) {
    let begun = Instant::now();
    let count = || lines(worker, V7, "root/count").len();
    let before = count();
    while count() < before + 5 {
        assert!(begun.elapsed() < PATIENCE, "it stands still");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Bytes of pages in a directory of images.
fn pages(worker: &Worker, below: &str) -> u64 {
    let dir = worker.state("vnodes/v7").join(below);
    let entries = fs::read_dir(&dir).expect("images").flatten();
    let pages = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("pages-"));
    pages
        .map(|entry| entry.metadata().expect("a file").len())
        .sum()
}

fn has_rounds(worker: &Worker) -> bool {
    Path::new(&worker.state("vnodes/v7/ahead")).exists()
}

#[test]
fn what_was_written_ahead_is_not_written_again_and_no_step_is_lost() {
    if !tracks_memory() {
        return;
    }
    in_own_network(async {
        let worker = worker(LARGE);
        let (host, before) = counting(&worker).await;
        for number in 1..=2 {
            let begun = Instant::now();
            assert_eq!(ahead(&worker, &host).await, Ok(Some(number)));
            println!(
                "round {number}: {} bytes of pages, {:?}",
                pages(&worker, &format!("ahead/{number}")),
                begun.elapsed()
            );
            counts_on(&worker);
        }
        let begun = Instant::now();
        checkpoint(&worker, &host).await;
        println!(
            "checkpoint: {} bytes of pages, {:?}",
            pages(&worker, "checkpoint"),
            begun.elapsed()
        );
        let first = pages(&worker, "ahead/1");
        assert!(first > LARGE_BYTES, "all of it at first: {first}");
        for later in ["ahead/2", "checkpoint"] {
            let bytes = pages(&worker, later);
            assert!(bytes < LARGE_BYTES / 8, "{later}: {bytes}");
        }
        // The agent that goes on with it is another.
        let host = worker.open();
        let begun = Instant::now();
        resume(&worker, &host).await;
        println!("resume: {:?}", begun.elapsed());
        counts_on(&worker);
        assert_counted(&lines(&worker, V7, "root/count"));
        assert_eq!(left(&worker), ["checkpoint.log"]);
        assert!(!has_rounds(&worker), "they went with what builds on them");
        end(&host, &worker, &before).await;
    });
}

#[test]
fn a_round_that_nobody_ends_costs_the_vnode_nothing() {
    if !tracks_memory() {
        return;
    }
    in_own_network(async {
        let worker = worker(LARGE);
        let (host, before) = counting(&worker).await;
        let init = worker.init_pid(V7);
        assert_eq!(ahead(&worker, &host).await, Ok(Some(1)));
        let why = std::thread::scope(|scope| {
            let killing = scope.spawn(|| kill_helper(&worker));
            let runtime = tokio::runtime::Handle::current();
            let done = tokio::task::block_in_place(|| runtime.block_on(ahead(&worker, &host)));
            killing.join().expect("killed");
            done.expect_err("its helper died")
        });
        println!("{why}");
        assert!(!has_rounds(&worker), "the one before is of no use either");
        counts_on(&worker);
        // An agent that finds rounds of another, and one that was being written.
        for half in ["ahead/1", "ahead/new"] {
            fs::create_dir_all(worker.state("vnodes/v7").join(half)).expect("made");
        }
        let host = worker.open();
        assert!(!has_rounds(&worker));
        assert!(observe(&host).await.vnodes[&V7].running);
        counts_on(&worker);
        assert_eq!(worker.init_pid(V7), init, "the same one");
        checkpoint(&worker, &host).await;
        assert!(pages(&worker, "checkpoint") > LARGE_BYTES, "all of it");
        resume(&worker, &host).await;
        counts_on(&worker);
        assert_counted(&lines(&worker, V7, "root/count"));
        end(&host, &worker, &before).await;
    });
}

#[test]
fn after_rounds_that_are_of_no_use_the_whole_is_written() {
    in_own_network(async {
        let (worker, host, before, wanted) = counting_small().await;
        until_longer(&worker, "root/count", 20);
        let init = worker.init_pid(V7);
        // No image of CRIU's.
        let useless = worker.state("vnodes/v7/ahead/1");
        fs::create_dir_all(&useless).expect("made");
        fs::write(useless.join("inventory.img"), "damaged").expect("written");
        super::checkpoint(&worker, &host)
            .await
            .expect("a checkpoint");
        assert!(
            !has_rounds(&worker),
            "they went with the attempt that failed"
        );
        let parent = worker.state("vnodes/v7/checkpoint/parent");
        assert!(parent.symlink_metadata().is_err(), "it builds on nothing");
        super::resume(&worker, &host).await.expect("resumed");
        until_longer(&worker, "root/count", 20);
        assert_counted(&lines(&worker, V7, "root/count"));
        assert_ne!(worker.init_pid(V7), init);
        round(&host, &wanted).await;
        end(&host, &worker, &before).await;
    });
}

/// As a round leaves it of which CRIU is killed: its log has no end, and what runs may be half seized.
#[test]
fn a_vnode_of_which_criu_was_killed_in_a_round_begins_from_its_disk_once() {
    in_own_network(async {
        let (worker, _, before, wanted) = counting_small().await;
        until_longer(&worker, "root/count", 5);
        let init = worker.init_pid(V7).expect("an init");
        let begun = worker.state("vnodes/v7/ahead/new");
        for half in [&worker.state("vnodes/v7/ahead/1"), &begun] {
            fs::create_dir_all(half).expect("made");
        }
        let log = "(00.1) Dumping task (pid: 7 comm: work)\n";
        fs::write(begun.join("pre-dump.log"), log).expect("written");
        let mut at_work = std::process::Command::new("/bin/sh");
        let at_work = at_work
            .arg0("/usr/sbin/criu")
            .args(["-c", "read _"])
            .arg(&begun);
        let mut at_work = at_work.stdin(Stdio::piped()).spawn().expect("a process");
        let runtime = tokio::runtime::Handle::current();
        let host = std::thread::scope(|scope| {
            let taking_up = scope.spawn(|| {
                let _within = runtime.enter();
                worker.open()
            });
            at_work.kill().expect("killed");
            at_work.wait().expect("ended");
            taking_up.join().expect("an agent")
        });
        assert!(!observe(&host).await.vnodes[&V7].running);
        assert_eq!(
            processes_of(worker.uid_base),
            [0; 0],
            "nothing half seized stays"
        );
        assert!(!has_rounds(&worker));
        round(&host, &wanted).await;
        assert_ne!(worker.init_pid(V7), Some(init));
        until_longer(&worker, "root/count", 5);
        end(&host, &worker, &before).await;
    });
}

/// The data port of the worker, at which what leaves is given.
async fn serve(worker: &Worker, host: &Arc<LinuxHost>, leaving: Departures) {
    let (images, _) = watch::channel(Vec::new());
    let (tell, _) = mpsc::channel(8);
    let config = worker.config.clone();
    let meter = Meter::open(&config, host.gpus().clone());
    let members = Members::default();
    let door = door::serve(config, host.clone(), images, tell, members, meter, leaving);
    tokio::spawn(door.await.expect("a free port"));
}

/// Where it comes to is the same machine, whose network has room for one of it at a time.
#[test]
fn memory_goes_ahead_to_where_a_vnode_moves_and_what_is_brought_back_there_is_all_of_it() {
    if !tracks_memory() {
        return;
    }
    in_own_network(async {
        let ca = Authority::create(CLUSTER).expect("an authority");
        let worker = worker_of(&ca, LARGE);
        let (host, before) = counting(&worker).await;
        let departures = Departures::default();
        let leaves = |still| {
            let (number, to) = (MOVE, TAKER);
            departures.set(V7, Departure { number, to, still });
        };
        leaves(false);
        serve(&worker, &host, departures.clone()).await;
        let source = Source {
            worker: WorkerId(5),
            addr: format!("127.0.0.1:{DATA_PORT}"),
        };
        let moving = Moving {
            vnode: V7,
            number: MOVE,
            snapshots: [].into(),
            disk_bytes_max: 64 << 20,
            checkpoint_bytes_max: 1 << 30,
            live: true,
        };
        let state = StateDir(worker.state(""));
        let dialer = Dialer::new(signed(&ca, PeerRole::Agent, TAKER.0));
        let begun = Arrival::begin(state, dialer, source, moving);
        let mut arrival = begun.await.expect("begun");
        let progress = arrival.progress();
        arrival.near().await.expect("near");
        let near = *progress.borrow();
        println!("near: {near:?}");
        assert!(matches!(near.stage, Stage::Memory(2..)), "{near:?}");
        assert!(near.memory_bytes > LARGE_BYTES, "{near:?}");
        counts_on(&worker);
        checkpoint(&worker, &host).await;
        perform(&host, Act::Release(V7)).await;
        leaves(true);
        let whole = arrival.rest().await.expect("the rest");
        let rest = progress.borrow().came_bytes - near.came_bytes;
        println!("the rest: {rest} bytes");
        assert!(rest < LARGE_BYTES / 8, "{rest}");
        assert!(whole.has_checkpoint().expect("known"));
        drop(arrival);
        perform(&host, Act::Remove(V7)).await;
        let vnode = AssignedVnode {
            arrived_by: Some(MOVE),
            ..large(&worker)
        };
        round(&host, &worker.assignment(vec![vnode])).await;
        counts_on(&worker);
        assert_counted(&lines(&worker, V7, "root/count"));
        assert!(!has_rounds(&worker));
        end(&host, &worker, &before).await;
    });
}
