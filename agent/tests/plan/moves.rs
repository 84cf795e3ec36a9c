//! Moves in the plan: who stands still, who is copied, who is kept, and what a vnode that came begins with.

use docklet_agent::host::memory::MemoryHost;
use docklet_agent::host::{Act, Host, Observation};
use docklet_agent::plan::moves::{departures, reports};
use docklet_agent::plan::{Plan, plan, snapshots};
use docklet_control::amount::VnodeSize;
use docklet_control::assignment::moves::{AssignedArrival, AssignedDeparture, DepartureStage};
use docklet_control::assignment::{AssignedSnapshot, AssignedVnode, Assignment};
use docklet_control::id::{Epoch, LogIndex, VnodeId, WorkerId};
use docklet_control::model::VnodeWanted::{Running, Stopped};
use docklet_control::report::MoveTold;

use super::{IMAGE, assigned, vnode};

const V1: VnodeId = VnodeId(1);
const MOVE: LogIndex = LogIndex(20);

fn look(host: &MemoryHost) -> Observation {
    host.observe().expect("it can be looked at")
}

fn plan_for(wanted: &Assignment, host: &MemoryHost) -> Plan {
    plan(wanted, &look(host), Some(wanted))
}

/// Carries out all that is planned until nothing is.
fn carry_out(host: &MemoryHost, wanted: &Assignment) {
    for _ in 0..5 {
        let plan = plan_for(wanted, host);
        let vnodes = plan.vnodes.into_values().flatten();
        let arrivals = plan.arrivals.into_values();
        for act in plan.networks.into_iter().chain(vnodes).chain(arrivals) {
            host.act(&act).expect("it works");
        }
    }
}

fn leaving(stage: DepartureStage, vnodes: Vec<AssignedVnode>) -> Assignment {
    Assignment {
        departures: vec![AssignedDeparture {
            vnode: V1,
            number: MOVE,
            to: WorkerId(6),
            stage,
        }],
        ..assigned(vnodes)
    }
}

fn coming(switching: bool) -> Assignment {
    Assignment {
        arrivals: vec![AssignedArrival {
            vnode: V1,
            number: MOVE,
            from: WorkerId(6),
            from_addr: "192.0.2.6:7444".to_owned(),
            image: IMAGE,
            disk_mib: VnodeSize::DISK,
            uid_base: 1_000_000,
            snapshots: Vec::new(),
            switching,
            live: false,
        }],
        ..assigned(Vec::new())
    }
}

fn steps(plan: &Plan) -> Vec<&'static str> {
    let vnodes = plan.vnodes.values().flatten();
    let steps = vnodes.chain(plan.arrivals.values()).map(Act::step);
    steps.collect()
}

fn running() -> MemoryHost {
    let host = MemoryHost::default();
    carry_out(&host, &assigned(vec![vnode(1, Running)]));
    host
}

#[test]
fn whoever_leaves_runs_until_it_is_to_stand_still_and_then_is_kept() {
    let host = running();
    let copied = leaving(DepartureStage::Copied, vec![vnode(1, Running)]);
    assert!(plan_for(&copied, &host).is_empty());
    let departure = departures(&copied, &look(&host))[&V1];
    assert_eq!(
        (departure.number, departure.to, departure.still),
        (MOVE, WorkerId(6), false)
    );

    let still = leaving(DepartureStage::Still, vec![vnode(1, Running)]);
    assert_eq!(
        steps(&plan_for(&still, &host)),
        ["stop container", "let go of files"]
    );
    assert!(!departures(&still, &look(&host))[&V1].still, "it runs");
    carry_out(&host, &still);
    assert!(plan_for(&still, &host).is_empty());
    assert!(departures(&still, &look(&host))[&V1].still);
    // Nobody is given what may be written to again.
    assert!(!departures(&copied, &look(&host))[&V1].still);

    let kept = leaving(DepartureStage::Kept, Vec::new());
    assert!(plan_for(&kept, &host).vnodes.is_empty());
    assert!(departures(&kept, &look(&host))[&V1].still);
    // What is not named any more goes.
    assert_eq!(steps(&plan_for(&assigned(Vec::new()), &host)), ["remove"]);
}

#[test]
fn whoever_is_back_goes_on_with_what_was_kept() {
    let host = running();
    carry_out(
        &host,
        &leaving(DepartureStage::Still, vec![vnode(1, Running)]),
    );
    let mut back = vnode(1, Running);
    back.epoch = Epoch(11);
    let back = assigned(vec![back]);
    assert_eq!(
        steps(&plan_for(&back, &host)),
        ["prepare files", "start container"]
    );
    // One that was cancelled too.
    let stays = assigned(vec![vnode(1, Running)]);
    assert_eq!(
        steps(&plan_for(&stays, &host)),
        ["prepare files", "start container"]
    );
}

#[test]
fn processes_are_taken_along_where_that_is_wanted() {
    let host = running();
    let alive = leaving(DepartureStage::Checkpointed, vec![vnode(1, Running)]);
    assert_eq!(
        steps(&plan_for(&alive, &host)),
        ["checkpoint", "let go of files"]
    );
    carry_out(&host, &alive);
    assert!(departures(&alive, &look(&host))[&V1].still);
}

#[test]
fn nothing_of_one_that_is_kept_runs() {
    let host = running();
    host.orphan(V1);
    let kept = leaving(DepartureStage::Kept, Vec::new());
    assert_eq!(
        steps(&plan_for(&kept, &host)),
        ["stop container", "let go of files"]
    );
    assert!(!departures(&kept, &look(&host))[&V1].still);
}

#[test]
fn whoever_comes_is_copied_then_adopted_and_begins_with_that_only() {
    let host = MemoryHost::default();
    assert_eq!(
        steps(&plan_for(&coming(false), &host)),
        ["copy from another worker"]
    );
    carry_out(&host, &coming(false));
    assert!(plan_for(&coming(false), &host).arrivals.is_empty());
    // Without its image it would stand still for longer than it must.
    let told = |wanted: &Assignment, seen: &Observation| reports(wanted, seen).remove(0).told;
    let mut seen = look(&host);
    assert!(matches!(told(&coming(false), &seen), MoveTold::Copied(_)));
    seen.images.insert(IMAGE);
    assert_eq!(told(&coming(false), &seen), MoveTold::Near);

    assert_eq!(
        steps(&plan_for(&coming(true), &host)),
        ["copy the rest from another worker"]
    );
    assert!(matches!(told(&coming(true), &seen), MoveTold::Copied(_)));
    carry_out(&host, &coming(true));
    assert_eq!(told(&coming(true), &look(&host)), MoveTold::Whole);
    assert!(plan_for(&coming(true), &host).arrivals.is_empty());

    for (wanted, last) in [(Running, Some("start container")), (Stopped, None)] {
        let mut here = vnode(1, wanted);
        here.arrived_by = Some(MOVE);
        let acts = plan_for(&assigned(vec![here]), &host);
        let expected = ["take over what was copied", "prepare files"].into_iter();
        let own = steps(&acts)
            .into_iter()
            .filter(|step| *step != "fetch image");
        assert_eq!(
            own.collect::<Vec<_>>(),
            expected.chain(last).collect::<Vec<_>>()
        );
    }
    // Its snapshots are not missed before they are taken over with it.
    let mut here = vnode(1, Running);
    here.arrived_by = Some(MOVE);
    let snapshot = AssignedSnapshot {
        vnode: V1,
        number: LogIndex(7),
        taken: true,
    };
    let with_snapshot = Assignment {
        snapshots: Some(vec![snapshot]),
        ..assigned(vec![here])
    };
    assert_eq!(snapshots::reports(&with_snapshot, &look(&host)), []);
    // What nobody waits for any more goes.
    assert_eq!(
        steps(&plan_for(&assigned(Vec::new()), &host)),
        ["delete what was copied"]
    );
}

#[test]
fn an_older_copy_of_it_goes_before_anything_comes() {
    let host = running();
    assert_eq!(steps(&plan_for(&coming(false), &host)), ["remove"]);
    carry_out(&host, &coming(false));
    assert!(look(&host).arrivals[&(V1, MOVE)].near);
}
