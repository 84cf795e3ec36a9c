//! The agent dies at every step of every act, in turn; one that comes after it makes all as it was assigned, and leaves
//! nothing behind when it goes.

mod acts;

use docklet_control::amount::DiskMib;
use docklet_control::assignment::{AssignedRestore, Assignment};
use docklet_control::id::{LogIndex, VnodeId};
use docklet_control::model::VnodeWanted::{Running, Stopped};

use crate::copy::begins;
use crate::snapshot::goes_on;
use crate::support::{in_own_network, observe, processes_of, round, run_in, until};
use crate::traced::{Dies, Rig};

const V7: VnodeId = VnodeId(7);

#[test]
fn an_agent_that_dies_while_it_prepares_leaves_what_the_next_one_finishes() {
    in_own_network(async {
        let rig = Rig::new();
        let before = rig.worker.traces(&[7]);
        let running = rig.worker.assignment(vec![rig.worker.vnode(7, Running)]);
        for step in 0.. {
            let killed = rig.killed_at("prepare", step, Dies::Agent);
            if step % 2 == 0 {
                is_started(&rig, &running, step).await;
            }
            rig.remove_all().await;
            assert_eq!(rig.worker.traces(&[7]), before, "step {step}");
            if was_last(killed, step) {
                break;
            }
        }
    });
}

/// The agent that comes after the crash starts the vnode.
async fn is_started(rig: &Rig, running: &Assignment, step: usize) {
    rig.recover(running).await;
    assert!(observe(&rig.host).await.vnodes[&V7].running, "step {step}");
}

/// Whether preparing had ended before so many steps; there are some.
fn was_last(killed: bool, step: usize) -> bool {
    assert!(killed || step > 15, "only {step} steps");
    if !killed {
        println!("{step} steps");
    }
    !killed
}

/// The disk goes from those that stand ready to the vnode by two changes, and either may be the last one.
#[test]
fn an_agent_that_dies_while_a_vnode_gets_a_disk_that_stood_ready_leaves_what_the_next_one_finishes()
{
    in_own_network(async {
        let rig = Rig::new();
        let before = rig.worker.traces(&[7]);
        let running = rig.worker.assignment(vec![rig.worker.vnode(7, Running)]);
        // From then on there is a template.
        rig.recover(&running).await;
        rig.remove_all().await;
        for step in 0.. {
            let killed = rig.killed_at_with_disk_ready(step);
            is_started(&rig, &running, step).await;
            rig.remove_all().await;
            assert_eq!(rig.worker.traces(&[7]), before, "step {step}");
            if was_last(killed, step) {
                break;
            }
        }
    });
}

/// While its vnode runs, where that can be, and while it stands still; then also whatever program does it may die with
/// the agent.
#[test]
fn an_agent_that_dies_while_it_lets_a_disk_grow_leaves_what_the_next_one_finishes() {
    in_own_network(async {
        let rig = Rig::new();
        let [running, stopped] = [Running, Stopped].map(|wanted| {
            let vnode = rig.worker.vnode(7, wanted);
            rig.worker.assignment(vec![vnode])
        });
        let mut grown = rig.worker.vnode(7, Running);
        grown.disk_mib = DiskMib(256);
        let grown = rig.worker.assignment(vec![grown]);
        let grows = observe(&rig.host).await.grows_disks;
        let ways = [
            ("grow", Dies::Agent, 1, grows),
            ("prepare larger", Dies::All, 9, true),
        ];
        for (act, dies, stride, _) in ways.into_iter().filter(|(.., can_be)| *can_be) {
            for step in (0..).step_by(stride) {
                round(&rig.host, &running).await;
                let kept = rig.worker.state("vnodes/v7/rootfs/root/kept");
                std::fs::write(&kept, "here").expect("written");
                if act != "grow" {
                    round(&rig.host, &stopped).await;
                }
                let init = rig.worker.init_pid(V7);
                let killed = rig.killed_at(act, step, dies);
                rig.recover(&grown).await;
                let disk = nix::sys::statvfs::statvfs(&rig.worker.state("vnodes/v7/disk"));
                let disk = disk.expect("mounted");
                let holds = (disk.blocks() * disk.fragment_size()) >> 20;
                assert!((220..256).contains(&holds), "step {step}: {holds} MiB");
                let text = std::fs::read_to_string(&kept).expect("readable");
                assert_eq!(text, "here", "step {step}");
                assert!(act != "grow" || rig.worker.init_pid(V7) == init);
                rig.remove_all().await;
                if !killed {
                    assert!(step > 3, "only {step} steps");
                    println!("{act}: {step} steps");
                    break;
                }
            }
        }
    });
}

#[test]
fn an_agent_that_dies_while_it_starts_a_vnode_leaves_no_second_copy() {
    in_own_network(async {
        let rig = Rig::new();
        let before = rig.worker.traces(&[7]);
        let running = rig.worker.assignment(vec![rig.worker.vnode(7, Running)]);
        let stopped = rig.worker.assignment(vec![rig.worker.vnode(7, Stopped)]);
        for (dies, stride) in [(Dies::Agent, 1), (Dies::All, 5)] {
            for step in (0..).step_by(stride) {
                round(&rig.host, &running).await;
                round(&rig.host, &stopped).await;
                let killed = rig.killed_at("start", step, dies);
                rig.recover(&running).await;
                let init = rig.worker.init_pid(V7).expect("an init");
                // What an image's init starts and ends at once may be there; a second copy would stay.
                until(&format!("end of others than its init, step {step}"), || {
                    (processes_of(rig.worker.uid_base) == [init]).then_some(())
                });
                if !killed {
                    println!("{step} steps");
                    break;
                }
            }
        }
        rig.remove_all().await;
        assert_eq!(rig.worker.traces(&[7]), before);
    });
}

#[test]
fn an_agent_that_dies_while_it_removes_a_vnode_leaves_nothing_for_ever() {
    in_own_network(async {
        let rig = Rig::new();
        let before = rig.worker.traces(&[7]);
        let running = rig.worker.assignment(vec![rig.worker.vnode(7, Running)]);
        for step in 0.. {
            round(&rig.host, &running).await;
            let killed = rig.killed_at("remove", step, Dies::Agent);
            rig.remove_all().await;
            assert_eq!(rig.worker.traces(&[7]), before, "step {step}");
            assert_eq!(processes_of(rig.worker.uid_base), [0; 0]);
            if !killed {
                println!("{step} steps");
                break;
            }
        }
    });
}

fn files_of(rig: &Rig, below: &str) -> Vec<String> {
    let entries = std::fs::read_dir(rig.worker.state(below)).expect("a directory");
    let names = entries.flatten().map(|entry| entry.file_name());
    let mut names: Vec<String> = names.map(|n| n.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn an_agent_that_dies_while_it_takes_or_deletes_a_snapshot_leaves_nothing_still_and_nothing_half() {
    in_own_network(async {
        let rig = Rig::new();
        let running = rig.worker.with_snapshots(&[]);
        for act in ["take", "delete"] {
            for step in 0.. {
                round(&rig.host, &running).await;
                let init = rig.worker.init_pid(V7);
                if act == "delete" {
                    round(&rig.host, &rig.worker.with_snapshots(&[50])).await;
                }
                let killed = rig.killed_at(act, step, Dies::Agent);
                let (wanted, files) = match act {
                    "take" => (rig.worker.with_snapshots(&[50]), vec!["50.img", "50.json"]),
                    _ => (running.clone(), vec![]),
                };
                rig.recover(&wanted).await;
                goes_on(&rig.worker);
                let written = run_in(&rig.worker, 7, "echo on > /root/on && cat /root/on");
                assert_eq!(written, "on\n", "{act} {step}");
                assert_eq!(rig.worker.init_pid(V7), init, "{act} {step}");
                assert_eq!(files_of(&rig, "vnodes/v7/snapshots"), files, "{act} {step}");
                rig.recover(&running).await;
                if !killed {
                    println!("{act}: {step} steps");
                    break;
                }
            }
        }
        rig.remove_all().await;
    });
}

#[test]
fn an_agent_that_dies_while_it_restores_loses_neither_what_was_nor_what_is() {
    in_own_network(async {
        let rig = Rig::new();
        let before = rig.worker.traces(&[7]);
        for step in 0.. {
            round(&rig.host, &rig.worker.with_snapshots(&[])).await;
            run_in(&rig.worker, 7, "echo was > /root/kept && sync");
            round(&rig.host, &rig.worker.with_snapshots(&[50])).await;
            run_in(&rig.worker, 7, "echo is > /root/kept && sync");
            let mut stopped = rig.worker.with_snapshots(&[50]);
            stopped.vnodes[0].wanted = Stopped;
            round(&rig.host, &stopped).await;
            let killed = rig.killed_at("restore", step, Dies::Agent);
            let mut wanted = rig.worker.with_snapshots(&[50, 60]);
            let restore = |number, snapshot| AssignedRestore {
                vnode: V7,
                number: LogIndex(number),
                snapshot: LogIndex(snapshot),
            };
            wanted.restores = vec![restore(60, 50)];
            rig.recover(&wanted).await;
            let kept = || run_in(&rig.worker, 7, "cat /root/kept");
            assert_eq!(kept(), "was\n", "step {step}");
            let files = ["50.img", "50.json", "60.img", "60.json"];
            assert_eq!(files_of(&rig, "vnodes/v7/snapshots"), files, "step {step}");
            assert!(!rig.worker.state("vnodes/v7/disk.restored").exists());
            if step % 3 == 0 {
                wanted = rig.worker.with_snapshots(&[50, 60, 70]);
                wanted.restores = vec![restore(70, 60)];
                rig.recover(&wanted).await;
                assert_eq!(kept(), "is\n", "step {step}");
            }
            rig.remove_all().await;
            assert_eq!(rig.worker.traces(&[7]), before, "step {step}");
            if !killed {
                assert!(step > 10, "only {step} steps");
                println!("{step} steps");
                break;
            }
        }
    });
}

#[test]
fn an_agent_that_dies_while_a_vnode_begins_with_a_snapshot_leaves_it_whole_and_itself() {
    in_own_network(async {
        let rig = Rig::new();
        round(&rig.host, &rig.worker.with_snapshots(&[])).await;
        let own =
            "mkdir -p /etc/ssh && echo was > /root/kept && echo key > /etc/ssh/ssh_host_x && sync";
        run_in(&rig.worker, 7, own);
        let source = rig.worker.with_snapshots(&[50]);
        round(&rig.host, &source).await;
        let (init, before) = (rig.worker.init_pid(V7), rig.worker.traces(&[7, 8]));
        let mut wanted = source.clone();
        wanted.vnodes.push(begins(&rig.worker));
        for step in 0.. {
            let killed = rig.killed_at("begin", step, Dies::Agent);
            rig.recover(&wanted).await;
            let found = run_in(&rig.worker, 8, "cat /root/kept; ls /etc/ssh");
            assert_eq!(found, "was\n", "step {step}");
            assert_eq!(rig.worker.init_pid(V7), init, "step {step}");
            assert!(!rig.worker.state("vnodes/v8/disk.new").exists());
            rig.recover(&source).await;
            assert_eq!(rig.worker.traces(&[7, 8]), before, "step {step}");
            if !killed {
                assert!(step > 15, "only {step} steps");
                println!("{step} steps");
                break;
            }
        }
        rig.remove_all().await;
    });
}
