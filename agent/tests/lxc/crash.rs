//! The agent dies at every step of every act, in turn; one that comes after it makes all as it was assigned, and leaves
//! nothing behind when it goes.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

use docklet_agent::host::linux::LinuxHost;
use docklet_agent::plan::plan;
use docklet_control::amount::DiskMib;
use docklet_control::assignment::{AssignedRestore, Assignment};
use docklet_control::id::{LogIndex, VnodeId};
use docklet_control::model::VnodeWanted::{Removed, Running, Stopped};
use docklet_link::Authority;
use docklet_link::identity::PeerRole;
use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::json;

use crate::support::{
    CLUSTER, HELPER, Worker, in_own_network, observe, processes_of, round, run_in, spec,
    store_signed, try_to,
};

const V7: VnodeId = VnodeId(7);
/// `EXT4_IOC_RESIZE_FS`; `FIFREEZE`, `FITHAW` and `FICLONE` of linux/fs.h.
const DISKS: [u64; 4] = [0x4008_6610, 0xc004_5877, 0xc004_5878, 0x4004_9409];

/// How far a killed agent's death reaches.
#[derive(Clone, Copy, PartialEq)]
enum Dies {
    /// The agent alone; its helper is told.
    Agent,
    /// All that it started too, containers included: as when the power goes.
    All,
}

struct Rig {
    worker: Worker,
    host: Arc<LinuxHost>,
}

impl Rig {
    fn new() -> Self {
        let ca = Authority::create(CLUSTER).expect("an authority");
        let worker = Worker::new(&ca, 5);
        store_signed(&ca, PeerRole::Agent, 5, &worker.state("credentials"));
        let host = worker.open();
        Self { worker, host }
    }

    #[expect(
        clippy::zombie_processes,
        reason = "it is waited for by its pid, as one that is traced"
    )]
    /// An agent performs an act and is killed as it is about to make its `step`th change; answers whether it came so
    /// far, or had ended before.
    fn killed_at(&self, act: &str, step: usize, dies: Dies) -> bool {
        let request = self.worker.state("request.json");
        let text = json!({
            "state_dir": self.worker.config.state_dir,
            "credentials": self.worker.state("credentials"),
            "cgroup_prefix": self.worker.config.cgroup_prefix,
            "act": act,
            "vnode": self.worker.vnode(7, Running),
            "spec": spec(),
        });
        std::fs::write(&request, text.to_string()).expect("written");
        let mut command = Command::new(HELPER);
        command
            .arg(&request)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        // SAFETY: between fork and exec only one system call is made.
        unsafe { command.pre_exec(|| ptrace::traceme().map_err(std::io::Error::from)) };
        let child = command.spawn().expect("an agent");
        let agent = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        Traced::new(agent, dies).killed_at(step)
    }

    /// What an agent that comes up after the crash does, until there is nothing to do.
    async fn recover(&self, wanted: &Assignment) {
        let host = self.worker.open();
        for _ in 0..5 {
            let plan = plan(wanted, &observe(&host).await, Some(wanted));
            if plan.is_empty() {
                return;
            }
            let vnodes = plan.vnodes.into_values().flatten();
            let snapshots = plan.snapshots.into_values().flatten();
            let acts = plan.networks.into_iter().chain(vnodes).chain(snapshots);
            for act in acts.chain(plan.sweep) {
                if let Err(cause) = try_to(&host, act.clone()).await {
                    println!("{}: {cause}", act.step());
                    break;
                }
            }
        }
        panic!("it does not come to rest");
    }

    async fn remove_all(&self) {
        let removed = self.worker.assignment(vec![self.worker.vnode(7, Removed)]);
        self.recover(&removed).await;
        self.recover(&self.worker.assignment(Vec::new())).await;
    }
}

/// Processes that are followed from one system call to the next.
struct Traced {
    agent: Pid,
    dies: Dies,
    all: BTreeSet<Pid>,
    within: BTreeSet<Pid>,
    changes: usize,
}

impl Traced {
    fn new(agent: Pid, dies: Dies) -> Self {
        Self {
            agent,
            dies,
            all: BTreeSet::from([agent]),
            within: BTreeSet::new(),
            changes: 0,
        }
    }

    fn killed_at(mut self, step: usize) -> bool {
        self.first_stop();
        loop {
            // Only children of this thread: other tests have theirs.
            let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
            match waitpid(None::<Pid>, Some(flags)).expect("a traced process") {
                WaitStatus::PtraceSyscall(pid) => {
                    if self.enters(pid) && is_change(pid) {
                        if self.changes == step {
                            self.kill_all();
                            return true;
                        }
                        self.changes += 1;
                    }
                    go_on(pid, None);
                }
                WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..) => {
                    self.all.remove(&pid);
                    if pid == self.agent {
                        self.let_go();
                        return false;
                    }
                }
                WaitStatus::PtraceEvent(pid, ..) => {
                    self.all.insert(pid);
                    go_on(pid, None);
                }
                WaitStatus::Stopped(pid, signal) => {
                    // A new process stops first.
                    let new = self.all.insert(pid) || signal == Signal::SIGSTOP;
                    go_on(pid, (!new).then_some(signal));
                }
                WaitStatus::Continued(_) | WaitStatus::StillAlive => {}
            }
        }
    }

    fn first_stop(&self) {
        waitpid(self.agent, Some(WaitPidFlag::__WALL)).expect("a stop at exec");
        let mut options = ptrace::Options::PTRACE_O_TRACESYSGOOD;
        if self.dies == Dies::All {
            options |= ptrace::Options::PTRACE_O_TRACEFORK
                | ptrace::Options::PTRACE_O_TRACEVFORK
                | ptrace::Options::PTRACE_O_TRACECLONE;
        }
        ptrace::setoptions(self.agent, options).expect("options");
        go_on(self.agent, None);
    }

    /// Stops come in pairs: on the way in and on the way out.
    fn enters(&mut self, pid: Pid) -> bool {
        self.within.insert(pid) || !self.within.remove(&pid)
    }

    fn kill_all(&self) {
        for pid in &self.all {
            // One may be gone already.
            let _ = kill(*pid, Signal::SIGKILL);
        }
        for pid in &self.all {
            while waitpid(*pid, Some(WaitPidFlag::__WALL)).is_ok_and(|status| !is_end(&status)) {}
        }
    }

    /// What the agent started and left running is on its own.
    fn let_go(&self) {
        for pid in &self.all {
            let _ = kill(*pid, Signal::SIGSTOP);
            let stopped = waitpid(*pid, Some(WaitPidFlag::__WALL));
            if stopped.is_ok_and(|status| !is_end(&status)) {
                let _ = ptrace::detach(*pid, Signal::SIGCONT);
            }
        }
    }
}

fn is_end(status: &WaitStatus) -> bool {
    matches!(status, WaitStatus::Exited(..) | WaitStatus::Signaled(..))
}

fn go_on(pid: Pid, signal: Option<Signal>) {
    // It may have been killed meanwhile.
    let _ = ptrace::syscall(pid, signal);
}

/// Whether the system call that a process enters changes what others see.
fn is_change(pid: Pid) -> bool {
    let Ok(registers) = ptrace::getregs(pid) else {
        return false;
    };
    const ALWAYS: [libc::c_long; 25] = [
        libc::SYS_mkdir,
        libc::SYS_mkdirat,
        libc::SYS_rmdir,
        libc::SYS_rename,
        libc::SYS_renameat,
        libc::SYS_renameat2,
        libc::SYS_unlink,
        libc::SYS_unlinkat,
        libc::SYS_chown,
        libc::SYS_lchown,
        libc::SYS_fchownat,
        libc::SYS_ftruncate,
        libc::SYS_pwrite64,
        libc::SYS_copy_file_range,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_move_mount,
        libc::SYS_mount_setattr,
        libc::SYS_pivot_root,
        libc::SYS_setns,
        libc::SYS_unshare,
        libc::SYS_clone,
        libc::SYS_clone3,
        libc::SYS_vfork,
        libc::SYS_execve,
    ];
    let number = i64::try_from(registers.orig_rax).unwrap_or(-1);
    let creates = libc::O_CREAT | libc::O_TRUNC;
    match number {
        libc::SYS_openat => registers.rdx & u64::from(creates.cast_unsigned()) != 0,
        // Those of loop devices begin with an L.
        libc::SYS_ioctl => registers.rsi >> 8 == 0x4c || DISKS.contains(&registers.rsi),
        other => ALWAYS.contains(&other),
    }
}

#[test]
fn an_agent_that_dies_while_it_prepares_leaves_what_the_next_one_finishes() {
    in_own_network(async {
        let rig = Rig::new();
        let before = rig.worker.traces(&[7]);
        let running = rig.worker.assignment(vec![rig.worker.vnode(7, Running)]);
        for step in 0.. {
            let killed = rig.killed_at("prepare", step, Dies::Agent);
            if step % 2 == 0 {
                rig.recover(&running).await;
                assert!(observe(&rig.host).await.vnodes[&V7].running, "step {step}");
            }
            rig.remove_all().await;
            assert_eq!(rig.worker.traces(&[7]), before, "step {step}");
            if !killed {
                assert!(step > 15, "only {step} steps");
                println!("{step} steps");
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
                assert_eq!(processes_of(rig.worker.uid_base), [init], "step {step}");
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
