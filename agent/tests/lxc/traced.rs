//! Agents that perform one act under the eyes of a test, from one system call to the next: it may kill them at each change
//! that they are about to make, or let something come about meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

use docklet_agent::host::linux::LinuxHost;
use docklet_agent::plan::plan;
use docklet_control::assignment::Assignment;
use docklet_control::model::VnodeWanted::{Removed, Running};
use docklet_link::Authority;
use docklet_link::identity::PeerRole;
use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::json;

use crate::copy::begins;
use crate::support::{CLUSTER, HELPER, Worker, observe, spec, store_signed, try_to};

/// `EXT4_IOC_RESIZE_FS`; `FIFREEZE`, `FITHAW` and `FICLONE` of linux/fs.h.
const DISKS: [u64; 4] = [0x4008_6610, 0xc004_5877, 0xc004_5878, 0x4004_9409];

/// How far a killed agent's death reaches.
#[derive(Clone, Copy, PartialEq)]
pub enum Dies {
    /// The agent alone; its helper is told.
    Agent,
    /// All that it started too, containers included: as when the power goes.
    All,
}

/// A worker, and agents that perform one act on it and are followed.
pub struct Rig {
    pub worker: Worker,
    pub host: Arc<LinuxHost>,
}

impl Rig {
    pub fn new() -> Self {
        let ca = Authority::create(CLUSTER).expect("an authority");
        Self::of(&ca, Worker::new(&ca, 5))
    }

    pub fn of(ca: &Authority, worker: Worker) -> Self {
        let own = worker.config.credentials.identity.id;
        store_signed(ca, PeerRole::Agent, own, &worker.state("credentials"));
        let host = worker.open();
        Self { worker, host }
    }

    /// An agent performs an act and is killed as it is about to make its `step`th change; answers whether it came so
    /// far, or had ended before.
    pub fn killed_at(&self, act: &str, step: usize, dies: Dies) -> bool {
        let mut changes = 0;
        let ended = self.traced(act, dies, None).follow(|_| {
            changes += 1;
            if changes > step {
                Then::Dies
            } else {
                Then::GoesOn
            }
        });
        ended.is_none()
    }

    /// An agent performs what is planned for an assignment by this name, and is killed as it is about to make its `step`th
    /// change of that; answers whether it came so far, or had ended well before.
    pub fn killed_at_planned(&self, wanted: &Assignment, act: &str, step: usize) -> bool {
        // What comes from elsewhere is written by other threads.
        let dies = match act {
            "FetchImage" => Dies::All,
            _ => Dies::Agent,
        };
        let ended = killed_once_begun(self.traced(act, dies, Some(wanted)), step);
        assert!(ended.is_none_or(|code| code == 0), "{act}: {ended:?}");
        ended.is_none()
    }

    /// The same of preparing a vnode for which a disk stands ready.
    pub fn killed_at_with_disk_ready(&self, step: usize) -> bool {
        let ended = killed_once_begun(self.traced("prepare ready", Dies::Agent, None), step);
        assert!(ended.is_none_or(|code| code == 0), "{ended:?}");
        ended.is_none()
    }

    /// An agent performs an act, and `meanwhile` comes about as it is about to copy the first bytes of a disk; answers
    /// whether it could do what it was asked.
    pub fn meets(&self, act: &str, meanwhile: impl FnOnce()) -> bool {
        let mut meanwhile = Some(meanwhile);
        let ended = self.traced(act, Dies::Agent, None).follow(|call| {
            if call == libc::SYS_copy_file_range
                && let Some(meanwhile) = meanwhile.take()
            {
                meanwhile();
            }
            Then::GoesOn
        });
        assert!(meanwhile.is_none(), "it copied nothing");
        ended == Some(0)
    }

    #[expect(
        clippy::zombie_processes,
        reason = "it is waited for by its pid, as one that is traced"
    )]
    fn traced(&self, act: &str, dies: Dies, planned_for: Option<&Assignment>) -> Traced {
        let vnode = match act {
            "begin" => begins(&self.worker),
            _ => self.worker.vnode(7, Running),
        };
        let request = self.worker.state("request.json");
        let text = json!({
            "state_dir": self.worker.config.state_dir,
            "credentials": self.worker.state("credentials"),
            "cgroup_prefix": self.worker.config.cgroup_prefix,
            "act": act,
            "vnode": vnode,
            "spec": spec(),
            "planned_for": planned_for,
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
        Traced::new(agent, dies)
    }

    /// What an agent that comes up after the crash does, until there is nothing to do.
    pub async fn recover(&self, wanted: &Assignment) {
        let host = self.worker.open();
        for _ in 0..5 {
            let plan = plan(wanted, &observe(&host).await, Some(wanted));
            if plan.is_empty() {
                return;
            }
            let vnodes = plan.vnodes.into_values().flatten();
            let snapshots = plan.snapshots.into_values().flatten();
            let beside = [plan.saves, plan.resizes, plan.arrivals];
            let beside = beside.into_iter().flat_map(BTreeMap::into_values);
            let acts = plan.networks.into_iter().chain(vnodes).chain(snapshots);
            let acts = acts.chain(plan.images.into_values()).chain(beside);
            for act in acts.chain(plan.sweep) {
                if let Err(cause) = try_to(&host, act.clone()).await {
                    println!("{}: {cause}", act.step());
                    break;
                }
            }
        }
        panic!("it does not come to rest");
    }

    pub async fn remove_all(&self) {
        let removed = self.worker.assignment(vec![self.worker.vnode(7, Removed)]);
        self.recover(&removed).await;
        self.recover(&self.worker.assignment(Vec::new())).await;
    }
}

/// Kills it as it is about to make its `step`th change after it has changed its directory; its code if it ended before.
fn killed_once_begun(traced: Traced, step: usize) -> Option<i32> {
    let mut changes = None;
    traced.follow(|call| {
        match &mut changes {
            None if call == libc::SYS_chdir => changes = Some(0),
            None => {}
            Some(count) => *count += 1,
        }
        match changes {
            Some(count) if count > step => Then::Dies,
            Some(_) | None => Then::GoesOn,
        }
    })
}

/// What happens to one that is about to change something.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    GoesOn,
    Dies,
}

/// Processes that are followed from one system call to the next.
struct Traced {
    agent: Pid,
    dies: Dies,
    all: BTreeSet<Pid>,
    within: BTreeSet<Pid>,
}

impl Traced {
    fn new(agent: Pid, dies: Dies) -> Self {
        Self {
            agent,
            dies,
            all: BTreeSet::from([agent]),
            within: BTreeSet::new(),
        }
    }

    /// Until the agent has ended, with this code, or was killed. At each change that it is about to make, by the number
    /// of the system call, it is asked what happens then.
    fn follow(mut self, mut change: impl FnMut(i64) -> Then) -> Option<i32> {
        self.first_stop();
        loop {
            // Only children of this thread: other tests have theirs.
            let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
            match waitpid(None::<Pid>, Some(flags)).expect("a traced process") {
                WaitStatus::PtraceSyscall(pid) => {
                    let call = if self.enters(pid) {
                        changing(pid)
                    } else {
                        None
                    };
                    if call.is_some_and(|call| change(call) == Then::Dies) {
                        self.kill_all();
                        return None;
                    }
                    go_on(pid, None);
                }
                WaitStatus::Exited(pid, code) => {
                    self.all.remove(&pid);
                    if pid == self.agent {
                        self.let_go();
                        return Some(code);
                    }
                }
                WaitStatus::Signaled(pid, ..) => {
                    self.all.remove(&pid);
                    if pid == self.agent {
                        self.let_go();
                        return Some(-1);
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
        // The agent is all of its threads.
        let mut options =
            ptrace::Options::PTRACE_O_TRACESYSGOOD | ptrace::Options::PTRACE_O_TRACECLONE;
        if self.dies == Dies::All {
            // Without the last one a program that is executed gets a SIGTRAP, of which it dies.
            options |= ptrace::Options::PTRACE_O_TRACEFORK
                | ptrace::Options::PTRACE_O_TRACEVFORK
                | ptrace::Options::PTRACE_O_TRACEEXEC;
        }
        ptrace::setoptions(self.agent, options).expect("options");
        go_on(self.agent, None);
    }

    /// Stops come in pairs: on the way in and on the way out.
    fn enters(&mut self, pid: Pid) -> bool {
        self.within.insert(pid) || !self.within.remove(&pid)
    }

    /// A process ends for who waits when the last of its threads has: so all are waited for together.
    fn kill_all(mut self) {
        for pid in &self.all {
            // One may be gone already.
            let _ = kill(*pid, Signal::SIGKILL);
        }
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        while !self.all.is_empty() {
            let Ok(status) = waitpid(None::<Pid>, Some(flags)) else {
                return;
            };
            let Some(pid) = status.pid() else {
                continue;
            };
            if is_end(&status) {
                self.all.remove(&pid);
            } else {
                // It was begun a moment ago.
                self.all.insert(pid);
                let _ = kill(pid, Signal::SIGKILL);
            }
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

/// The system call that a process enters, if it changes what others see.
fn changing(pid: Pid) -> Option<i64> {
    let registers = ptrace::getregs(pid).ok()?;
    const ALWAYS: [libc::c_long; 26] = [
        libc::SYS_chdir,
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
    let changes = match number {
        libc::SYS_openat => registers.rdx & u64::from(creates.cast_unsigned()) != 0,
        // Those of loop devices begin with an L.
        libc::SYS_ioctl => registers.rsi >> 8 == 0x4c || DISKS.contains(&registers.rsi),
        other => ALWAYS.contains(&other),
    };
    changes.then_some(number)
}
