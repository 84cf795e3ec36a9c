//! How bad things are, and what is said of them.

use super::*;
use crate::model::{Master, Worker, WorkerFacts};
use crate::name::Name;
use crate::quorum::Seat;

fn worker(status: WorkerStatus) -> Worker {
    let mut facts = WorkerFacts::default();
    facts.capacity.disk_mib.0 = 1_000;
    Worker {
        id: WorkerId(7),
        name: Name::parse("worker", "w1").expect("a name"),
        data_addr: "10.0.0.7:7001".to_owned(),
        underlay: "10.0.0.7".parse().expect("an address"),
        facts,
        status,
        status_since: UnixMs(5_000),
    }
}

fn with(worker: Worker) -> State {
    let mut state = State::default();
    state.put_worker(worker);
    state
}

fn seen() -> Seen {
    Seen {
        now: UnixMs(100 * DAY_MS),
        asked_workers: true,
        group: Observed {
            leader: Some(MasterId(1)),
            seats: vec![seat(1, true), seat(2, false), seat(3, false)],
            ..Observed::default()
        },
        ..Seen::default()
    }
}

fn seat(master: u64, leads: bool) -> Seat {
    Seat {
        master: MasterId(master),
        voter: true,
        leads,
        silent_ms: 0,
        lag: 0,
        steady_ms: 10_000,
    }
}

fn told(disk_used_bytes: u64, seen: &Seen) -> WorkerSeen {
    WorkerSeen {
        at: seen.now,
        disk_used_bytes: Some(disk_used_bytes),
        gpu_problem: None,
        lxcfs: Some(true),
    }
}

fn of<'v>(view: &'v HealthView, name: &str) -> Vec<&'v Finding> {
    let findings = view.findings.iter();
    findings.filter(|found| found.name == name).collect()
}

#[test]
fn what_is_well_is_no_finding_and_what_is_not_comes_with_a_next_step() {
    let state = with(worker(WorkerStatus::Up));
    let mut seen = seen();
    seen.workers.insert(WorkerId(7), told(10 << 20, &seen));
    let view = show(&state, &seen);
    assert_eq!(view.workers[0].grade, Grade::Well);
    assert_eq!(of(&view, "w1"), Vec::<&Finding>::new());
    assert!(
        view.findings.iter().all(|found| found.next.is_some()),
        "{:?}",
        view.findings
    );
}

#[test]
fn a_lost_worker_is_bad_since_it_was_lost() {
    let view = show(&with(worker(WorkerStatus::Down)), &seen());
    let found = of(&view, "w1");
    assert_eq!(
        (found[0].grade, found[0].since),
        (Grade::Bad, Some(UnixMs(5_000)))
    );
    assert_eq!(view.grade, Grade::Bad);
    assert_eq!(view.findings[0].grade, Grade::Bad, "the worst stands first");
}

#[test]
fn a_worker_is_told_of_that_is_silent_full_or_of_another_time() {
    let state = with(worker(WorkerStatus::Up));
    let mut seen = seen();
    assert!(of(&show(&state, &seen), "w1")[0].says.contains("data port"));
    let mut late = told(970 << 20, &seen);
    late.at = seen.now.minus_ms(90_000);
    seen.workers.insert(WorkerId(7), late);
    let view = show(&state, &seen);
    let says: Vec<&str> = of(&view, "w1")
        .iter()
        .map(|found| found.says.as_str())
        .collect();
    assert_eq!(
        says,
        ["3 % of its disk is free.", "Its clock is 90 s behind."]
    );
    assert_eq!(view.workers[0].grade, Grade::Bad);
}

#[test]
fn a_group_without_a_leader_or_without_one_to_spare_is_told() {
    let mut state = State::default();
    state.put_master(Master {
        id: MasterId(3),
        name: Name::parse("master", "m3").expect("a name"),
        cluster_addr: String::new(),
        public_addr: String::new(),
        joined_at: UnixMs(0),
    });
    let mut seen = seen();
    let group = |seen: &Seen| show(&state, seen).subsystems[0].clone();
    assert_eq!(group(&seen).grade, Grade::Well);
    seen.group.seats[2].silent_ms = 60_000;
    assert_eq!(group(&seen).grade, Grade::Warning);
    seen.group.leader = None;
    assert_eq!(group(&seen).grade, Grade::Bad);
    assert!(group(&seen).says.contains("Nobody leads"));
}

#[test]
fn clocks_are_compared_half_way() {
    let facts = MachineFacts {
        at: UnixMs(10_000),
        disk: None,
    };
    let seen = MachineSeen::from_afar(facts, UnixMs(10_040), Duration::from_millis(40));
    assert_eq!(seen.ahead_ms, 0);
    let seen = MachineSeen::from_afar(facts, UnixMs(13_040), Duration::from_millis(40));
    assert_eq!(seen.ahead_ms, -3_000);
}
