//! An agent dies at some steps of writing a checkpoint, and of bringing a vnode back from it, at all of them with MOVES_CRASH=all: one
//! that comes after it lets the vnode run once, and nothing is left of either.

use std::fs;

use docklet_control::model::VnodeWanted::Running;
use docklet_link::Authority;

use super::{COUNT, V7, checkpoint, criu, is_held, left, until_longer, worker_of};
use crate::support::{CLUSTER, in_own_network, observe, processes_of, round, until};
use crate::traced::{Dies, Rig};

/// Those of the vnode's processes that run its program.
fn at_work(rig: &Rig) -> usize {
    let pids = processes_of(rig.worker.uid_base).into_iter();
    let works = |pid: &i32| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains("/bin/work")
    };
    pids.filter(works).count()
}

#[test]
fn an_agent_that_dies_while_it_checkpoints_or_resumes_leaves_one_copy_and_no_checkpoint() {
    in_own_network(async {
        let ca = Authority::create(CLUSTER).expect("an authority");
        let rig = Rig::of(&ca, worker_of(&ca, COUNT));
        let before = rig.worker.traces(&[7]);
        let running = rig.worker.assignment(vec![rig.worker.vnode(7, Running)]);
        let whole = std::env::var("MOVES_CRASH").is_ok_and(|said| said == "all");
        for (act, stride) in [("checkpoint", 3), ("resume", 11)] {
            for step in (0..).step_by(if whole { 1 } else { stride }) {
                round(&rig.host, &running).await;
                until_longer(&rig.worker, "root/count", 3);
                if act == "resume" {
                    let made = checkpoint(&rig.worker, &rig.host).await;
                    made.expect("a checkpoint");
                }
                let killed = rig.killed_at(act, step, Dies::Agent);
                rig.recover(&running).await;
                let seen = observe(&rig.host).await;
                assert!(seen.vnodes[&V7].running, "{act} {step}");
                until(&format!("{act} {step}: one copy"), || {
                    (at_work(&rig) == 1 && criu(&rig.worker).is_empty()).then_some(())
                });
                until_longer(&rig.worker, "root/count", 3);
                assert!(!is_held(), "{act} {step}");
                let marks = left(&rig.worker);
                let known = |name: &String| name == "checkpoint.log";
                assert!(marks.iter().all(known), "{act} {step}: {marks:?}");
                if !killed {
                    assert!(step > 30, "only {step} steps");
                    println!("{act}: {step} steps");
                    break;
                }
            }
        }
        rig.remove_all().await;
        assert_eq!(rig.worker.traces(&[7]), before);
    });
}
