//! Vnodes that run only under a lease: they end with it, whatever becomes of the agent, and nothing else does.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use docklet_agent::host::Act;
use docklet_agent::host::linux::LinuxHost;
use docklet_agent::lease::boot_ms;
use docklet_agent::lxc::{HelperRequest, StartRequest};
use docklet_control::assignment::Assignment;
use docklet_control::id::{LogIndex, VnodeId};
use docklet_control::lost::Fencing;
use docklet_control::model::VnodeWanted::Running;
use docklet_link::Authority;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{CLUSTER, Worker, in_own_network, perform, round, try_to, until};

const FENCED: VnodeId = VnodeId(7);
const WAITS: VnodeId = VnodeId(8);
const LEASE_MS: u64 = 3_000;

/// Vnode 7 needs a lease, vnode 8 does not.
fn assignment(worker: &Worker) -> Assignment {
    let vnodes = vec![worker.vnode(7, Running), worker.vnode(8, Running)];
    Assignment {
        fencing: Fencing {
            lease_ms: LEASE_MS,
            vnodes: vec![(FENCED, LogIndex(9))],
        },
        ..worker.assignment(vnodes)
    }
}

/// Both run, under a lease from now on.
async fn begun(worker: &Worker) -> (Arc<LinuxHost>, Assignment) {
    let (host, wanted) = (worker.open(), assignment(worker));
    let promised = host.lease().assign(&wanted).expect("noted");
    let [fence] = promised.as_slice() else {
        panic!("one is promised: {promised:?}");
    };
    assert_eq!((fence.vnode, fence.number), (FENCED, LogIndex(9)));
    host.lease().extend(boot_ms(), true).expect("noted");
    round(&host, &host.lease().allowed(wanted.clone())).await;
    // Making all of it takes longer than a lease lasts where much else is done.
    host.lease().extend(boot_ms(), true).expect("noted");
    if worker.init_pid(FENCED).is_none() {
        round(&host, &host.lease().allowed(wanted.clone())).await;
        host.lease().extend(boot_ms(), false).expect("noted");
    }
    assert!(worker.init_pid(FENCED).is_some() && worker.init_pid(WAITS).is_some());
    (host, wanted)
}

fn fence_pid(worker: &Worker) -> Pid {
    let text = fs::read_to_string(worker.state("run/fence")).expect("a fence");
    Pid::from_raw(text.parse().expect("its number"))
}

/// Waits until vnode 7 has ended; answers how long that took.
fn ends(worker: &Worker) -> Duration {
    let begun = Instant::now();
    until("end of what needs a lease", || {
        let any = worker.cgroups(FENCED).iter().any(|dir| has_processes(dir));
        (!any).then_some(())
    });
    begun.elapsed()
}

fn has_processes(dir: &std::path::Path) -> bool {
    let own = fs::read_to_string(dir.join("cgroup.procs")).is_ok_and(|text| !text.is_empty());
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let below = entries.map(|entry| entry.path());
    own || below
        .filter(|path| path.is_dir())
        .any(|path| has_processes(&path))
}

async fn leave(host: &Arc<LinuxHost>) {
    for id in [FENCED, WAITS] {
        perform(host, Act::Remove(id)).await;
    }
}

#[test]
fn what_needs_a_lease_ends_with_it_though_the_agent_does_nothing_and_the_rest_runs_on() {
    in_own_network(async {
        let worker = Worker::new(&Authority::create(CLUSTER).expect("an authority"), 5);
        let (host, wanted) = begun(&worker).await;
        let other = worker.init_pid(WAITS);
        // From here on this process does nothing, as one that is stopped or gone.
        let left = host.lease().left().expect("a lease");
        let took = tokio::task::block_in_place(|| ends(&worker));
        let late = took.saturating_sub(left);
        println!("ended {} ms after the lease", late.as_millis());
        assert!(
            took + Duration::from_millis(300) > left,
            "{took:?} of {left:?}"
        );
        assert!(late < Duration::from_secs(1), "{late:?}");
        assert_eq!(worker.init_pid(WAITS), other);
        // Nothing brings it back but a lease that was asked for anew.
        host.lease().extend(boot_ms(), false).expect("noted");
        let allowed = host.lease().allowed(wanted.clone());
        assert!(!round(&host, &allowed).await.contains(&"start container"));
        let start = Act::Start(
            Box::new(worker.vnode(7, Running)),
            crate::support::spec(),
            None,
        );
        let refused = try_to(&host, start).await.expect_err("no lease");
        assert!(refused.contains("lease"), "{refused}");
        host.lease().extend(boot_ms(), true).expect("noted");
        round(&host, &host.lease().allowed(wanted)).await;
        assert!(worker.init_pid(FENCED).is_some());
        leave(&host).await;
    });
}

#[test]
fn an_agent_that_restarts_goes_on_with_its_lease_and_its_fence() {
    in_own_network(async {
        let worker = Worker::new(&Authority::create(CLUSTER).expect("an authority"), 5);
        let (host, wanted) = begun(&worker).await;
        let (init, fence) = (worker.init_pid(FENCED), fence_pid(&worker));
        drop(host);
        let host = worker.open();
        assert!(host.lease().left().is_some());
        host.lease().assign(&wanted).expect("noted");
        for _ in 0..4 {
            host.lease().extend(boot_ms(), false).expect("noted");
            let until = boot_ms() + LEASE_MS / 2;
            tokio::task::block_in_place(|| {
                crate::support::until("half a lease", || (boot_ms() > until).then_some(()));
            });
        }
        assert_eq!((worker.init_pid(FENCED), fence_pid(&worker)), (init, fence));
        tokio::task::block_in_place(|| ends(&worker));
        leave(&host).await;
    });
}

#[test]
fn a_fence_that_is_killed_or_stopped_is_replaced_before_the_lease_is_longer() {
    in_own_network(async {
        let worker = Worker::new(&Authority::create(CLUSTER).expect("an authority"), 5);
        let (host, _) = begun(&worker).await;
        for signal in [Signal::SIGKILL, Signal::SIGSTOP] {
            let (before, asked) = (fence_pid(&worker), boot_ms());
            kill(before, signal).expect("there");
            tokio::task::block_in_place(|| {
                until("signal that was heard", || {
                    let stat = fs::read_to_string(format!("/proc/{before}/stat"));
                    let acts =
                        stat.is_ok_and(|stat| ![") Z ", ") T "].iter().any(|s| stat.contains(s)));
                    // What was asked for in the same millisecond would be no longer.
                    (!acts && boot_ms() > asked).then_some(())
                });
            });
            host.lease().extend(boot_ms(), true).expect("noted");
            assert_ne!(fence_pid(&worker), before);
        }
        tokio::task::block_in_place(|| ends(&worker));
        leave(&host).await;
    });
}

#[test]
fn an_agent_that_finds_neither_lease_nor_fence_ends_what_needs_them_first() {
    in_own_network(async {
        let worker = Worker::new(&Authority::create(CLUSTER).expect("an authority"), 5);
        let (host, wanted) = begun(&worker).await;
        let (other, fence) = (worker.init_pid(WAITS), fence_pid(&worker));
        kill(fence, Signal::SIGKILL).expect("there");
        let over = boot_ms() + LEASE_MS;
        tokio::task::block_in_place(|| {
            until("end of the lease", || (boot_ms() > over).then_some(()))
        });
        // Both are gone, and nobody has ended it: this is what remains.
        assert!(worker.init_pid(FENCED).is_some());
        drop(host);
        let host = worker.open();
        host.lease().assign(&wanted).expect("noted");
        tokio::task::block_in_place(|| ends(&worker));
        assert_eq!(worker.init_pid(WAITS), other);
        leave(&host).await;
    });
}

#[test]
fn a_start_does_not_outlast_the_lease_under_which_it_began() {
    in_own_network(async {
        let worker = Worker::new(&Authority::create(CLUSTER).expect("an authority"), 5);
        let host = worker.open();
        let request = HelperRequest::Start(StartRequest {
            lxc_path: worker.state("lxc"),
            vnode: FENCED,
            config: Vec::new(),
            init: vec!["/sbin/init".to_owned()],
            cgroups: docklet_agent::cgroup::Cgroups::of_machine(&worker.config.cgroup_prefix),
            limits: Vec::new(),
            kernel_objects: Vec::new(),
            ends_ms: Some(boot_ms().saturating_sub(1)),
            announces: None,
            in_place: None,
        });
        let answer = worker.state("run/start-7");
        let ended = worker
            .config
            .helpers
            .ask(&request, answer)
            .expect_err("too late");
        assert!(ended.full_text().contains("signal: 14"), "{ended}");
        drop(host);
    });
}
