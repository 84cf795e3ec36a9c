//! Snapshots in the plan: what is taken, what goes, and who stands still for it.

use docklet_agent::host::memory::MemoryHost;
use docklet_agent::host::{Act, Host, Observation};
use docklet_agent::plan::plan;
use docklet_agent::plan::snapshots::reports;
use docklet_control::assignment::{AssignedRestore, AssignedSnapshot, Assignment};
use docklet_control::id::{LogIndex, VnodeId};
use docklet_control::model::VnodeWanted::{self, Removed, Running, Stopped};
use docklet_control::report::SnapshotTold;

use super::{assigned, vnode};

const V1: VnodeId = VnodeId(1);

fn snapshot(number: u64, taken: bool) -> AssignedSnapshot {
    AssignedSnapshot {
        vnode: V1,
        number: LogIndex(number),
        taken,
    }
}

fn restore(number: u64, snapshot: u64) -> AssignedRestore {
    AssignedRestore {
        vnode: V1,
        number: LogIndex(number),
        snapshot: LogIndex(snapshot),
    }
}

fn wanted(state: VnodeWanted, snapshots: Vec<AssignedSnapshot>) -> Assignment {
    Assignment {
        snapshots: Some(snapshots),
        ..assigned(vec![vnode(1, state)])
    }
}

/// A machine that has carried this out.
fn settled(wanted: &Assignment) -> MemoryHost {
    let host = MemoryHost::default();
    carry_out(&host, wanted);
    host
}

fn carry_out(host: &MemoryHost, wanted: &Assignment) {
    for _ in 0..5 {
        let plan = plan(wanted, &look(host), Some(wanted));
        let vnodes = plan.vnodes.into_values().flatten();
        let snapshots = plan.snapshots.into_values().flatten();
        for act in plan.networks.into_iter().chain(vnodes).chain(snapshots) {
            host.act(&act).expect("it works");
        }
    }
}

fn look(host: &MemoryHost) -> Observation {
    host.observe().expect("it can be looked at")
}

fn steps(wanted: &Assignment, seen: &Observation) -> (Vec<String>, Vec<String>) {
    let plan = plan(wanted, seen, Some(wanted));
    let name = |act: &Act| {
        let number = if let Act::TakeSnapshot(_, number) | Act::DeleteSnapshot(_, number) = act {
            Some(*number)
        } else if let Act::Restore(_, restore) = act {
            Some(restore.snapshot)
        } else {
            None
        };
        number.map_or(act.step().to_owned(), |n| format!("{} {n}", act.step()))
    };
    let of = |acts: Option<&Vec<Act>>| acts.into_iter().flatten().map(name).collect();
    (of(plan.vnodes.get(&V1)), of(plan.snapshots.get(&V1)))
}

#[test]
fn what_is_assigned_is_taken_once_and_what_is_not_goes() {
    let both = wanted(Running, vec![snapshot(21, false), snapshot(20, false)]);
    let host = settled(&assigned(vec![vnode(1, Running)]));
    let (vnodes, snapshots) = steps(&both, &look(&host));
    assert!(vnodes.is_empty(), "it runs on");
    assert_eq!(snapshots, ["take snapshot 20", "take snapshot 21"]);
    carry_out(&host, &both);
    assert!(plan(&both, &look(&host), Some(&both)).is_empty());
    let one = wanted(Running, vec![snapshot(21, true)]);
    assert_eq!(steps(&one, &look(&host)).1, ["delete snapshot 20"]);

    let ignorant = Assignment {
        snapshots: None,
        ..one.clone()
    };
    assert_eq!(steps(&ignorant, &look(&host)).1, [""; 0]);
    // Of a vnode that goes everything goes.
    let gone = wanted(Removed, Vec::new());
    assert_eq!(
        steps(&gone, &look(&host)),
        (vec!["remove".to_owned()], vec![])
    );
}

#[test]
fn none_is_taken_of_a_vnode_in_motion_or_of_another_placement() {
    let asked = wanted(Running, vec![snapshot(20, false)]);
    assert_eq!(steps(&asked, &Observation::default()).1, [""; 0]);
    let host = settled(&assigned(vec![vnode(1, Running)]));
    host.crash(V1);
    assert_eq!(steps(&asked, &look(&host)).1, [""; 0]);
    let mut stopped = wanted(Stopped, vec![snapshot(20, false)]);
    assert_eq!(steps(&stopped, &look(&host)).1, ["take snapshot 20"]);
    stopped.vnodes[0].epoch.0 += 1;
    assert_eq!(steps(&stopped, &look(&host)).1, [""; 0]);
}

#[test]
fn a_vnode_stands_still_for_its_restore_and_goes_on_if_it_shall() {
    let before = wanted(Running, vec![snapshot(20, false)]);
    let host = settled(&before);
    // One was asked for after the first, one after the restore; and the restore leaves one of its own number.
    let mut asked = wanted(
        Running,
        vec![
            snapshot(20, true),
            snapshot(25, false),
            snapshot(30, false),
            snapshot(35, false),
        ],
    );
    asked.restores.push(restore(30, 20));
    let (vnodes, snapshots) = steps(&asked, &look(&host));
    let order = [
        "stop container",
        "take snapshot 25",
        "restore snapshot 20",
        "prepare files",
        "start container",
    ];
    assert_eq!(vnodes, order);
    assert!(snapshots.is_empty());
    host.orphan(V1);
    assert_eq!(
        steps(&asked, &look(&host)).0,
        order,
        "nothing runs beside it"
    );
    carry_out(&host, &asked);
    let seen = look(&host);
    assert!(seen.vnodes[&V1].running && plan(&asked, &seen, Some(&asked)).is_empty());
    assert_eq!(seen.snapshots[&V1].told.len(), 4);

    asked.vnodes[0].wanted = Stopped;
    asked.restores[0] = restore(40, 30);
    let (vnodes, _) = steps(&asked, &seen);
    assert_eq!(vnodes, ["stop container", "restore snapshot 30"]);
}

#[test]
fn masters_are_told_what_they_do_not_know() {
    let asked = wanted(Running, vec![snapshot(20, false)]);
    let host = settled(&assigned(vec![vnode(1, Running)]));
    assert!(reports(&asked, &look(&host)).is_empty());
    carry_out(&host, &asked);
    let told = reports(&asked, &look(&host));
    assert!(matches!(told[0].told, SnapshotTold::Taken { .. }));
    let known = wanted(Running, vec![snapshot(20, true)]);
    assert!(reports(&known, &look(&host)).is_empty());

    // Somebody deleted its file: it is not taken anew, as that would be another.
    host.act(&Act::DeleteSnapshot(V1, LogIndex(20)))
        .expect("gone");
    assert!(plan(&known, &look(&host), Some(&known)).is_empty());
    let told = reports(&known, &look(&host));
    assert!(matches!(told[0].told, SnapshotTold::Failed { .. }));

    // A worker that has nothing of a stopped vnode has nothing to restore.
    let mut nowhere = wanted(Stopped, vec![snapshot(20, true)]);
    nowhere.restores.push(restore(30, 20));
    let told = reports(&nowhere, &Observation::default());
    assert_eq!(told.len(), 2);
    assert!(matches!(told[1].told, SnapshotTold::NotRestored { .. }));
}
