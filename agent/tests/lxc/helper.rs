//! The agent's helper as a program of its own, for tests: in the field it is the one binary, re-executed. It also
//! performs one act as an agent would, for tests that kill it: one that is named, or one that is planned for an assignment.

mod weak;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use docklet_agent::AgentConfig;
use docklet_agent::gpu::GpuSettings;
use docklet_agent::home::Homes;
use docklet_agent::host::linux::LinuxHost;
use docklet_agent::host::{Act, Host};
use docklet_agent::limits::IoLimit;
use docklet_agent::lxc::{HelperRequest, Helpers};
use docklet_agent::plan::plan;
use docklet_control::amount::DiskMib;
use docklet_control::assignment::{AssignedRestore, AssignedVnode, Assignment};
use docklet_control::id::LogIndex;
use docklet_control::model::{ImageSpec, WorkerCapacity};
use docklet_link::Credentials;
use serde::Deserialize;

use crate::weak::Weakness;

/// One act, and what an agent would have in its files.
#[derive(Deserialize)]
struct Request {
    state_dir: String,
    credentials: String,
    cgroup_prefix: String,
    act: String,
    vnode: AssignedVnode,
    spec: ImageSpec,
    /// If there is one, the act is what is planned for it by this name.
    planned_for: Option<Assignment>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    // The request of a program for a person is in a file, and stays as it is.
    let starts = arguments.get(2).is_some_and(|request| request == "-");
    if starts && weaken_request(Path::new(&arguments[0])).is_err() {
        return ExitCode::FAILURE;
    }
    if let Some(code) = docklet_agent::lxc::helper::dispatch(&arguments) {
        return code;
    }
    if let Some(code) = docklet_agent::lease::fence::dispatch(&arguments) {
        return code;
    }
    match arguments.get(1).map(|request| act(Path::new(request))) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            // Nobody may be there to read it.
            drop(writeln!(io::stderr(), "{error}"));
            ExitCode::FAILURE
        }
        None => ExitCode::FAILURE,
    }
}

/// The act of this name, as the source has it, of those that an agent would plan; what it does before that is done.
fn planned(
    host: &LinuxHost,
    wanted: &Assignment,
    name: &str,
) -> Result<Act, Box<dyn std::error::Error>> {
    let plan = plan(wanted, &host.observe()?, Some(wanted));
    let of_vnodes = plan
        .vnodes
        .into_values()
        .chain(plan.snapshots.into_values());
    let images = plan.images.into_values().chain(plan.saves.into_values());
    let single = plan
        .resizes
        .into_values()
        .chain(plan.arrivals.into_values());
    let groups = of_vnodes.chain([
        plan.networks,
        plan.sweep,
        images.collect(),
        single.collect(),
    ]);
    for group in groups {
        let is_named = |act: &Act| {
            let said = format!("{act:?}");
            said.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('('))
        };
        let Some(at) = group.iter().position(is_named) else {
            continue;
        };
        for before in &group[..at] {
            host.act(before)?;
        }
        // Who follows counts from here.
        std::env::set_current_dir("/")?;
        return Ok(group[at].clone());
    }
    Err(format!("{name} is not planned").into())
}

/// All on one thread, so that a test can follow it; but what comes from another worker needs more.
fn act(request: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let request: Request = serde_json::from_slice(&fs::read(request)?)?;
    let mut builder = match request.act.as_str() {
        "FetchImage" => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = builder.worker_threads(1).enable_all().build()?;
    let _within = runtime.enter();
    let host = LinuxHost::open(AgentConfig {
        state_dir: request.state_dir.clone().into(),
        credentials: Credentials::load(Path::new(&request.credentials))?.into(),
        masters: Vec::new(),
        data_listen: ([127, 0, 0, 1], 0).into(),
        underlay: [127, 0, 0, 1].into(),
        resolv_conf: "/etc/resolv.conf".into(),
        homes: Homes {
            dir: Path::new(&request.state_dir).join("homes"),
            mounted: false,
        },
        cgroup_prefix: request.cgroup_prefix,
        capacity: WorkerCapacity::default(),
        vnode_io: IoLimit::default(),
        terminal_alone: Duration::from_secs(1),
        uploads_kept: Duration::from_secs(24 * 3_600),
        move_bytes_per_s: None,
        gpus: GpuSettings::none(),
        helpers: Helpers::executed(std::env::current_exe()?),
        gate: docklet_link::Gate::default(),
    })?;
    if let Some(wanted) = &request.planned_for {
        return Ok(host.act(&planned(&host, wanted, &request.act)?)?);
    }
    let vnode = Box::new(request.vnode);
    // Four times what it was made with.
    let larger = DiskMib(vnode.disk_mib.0 * 4);
    let act = match request.act.as_str() {
        "prepare" | "begin" => Act::Prepare(vnode),
        "prepare ready" => {
            host.make_ahead()?;
            // Who follows counts from here.
            std::env::set_current_dir("/")?;
            Act::Prepare(vnode)
        }
        // One whose checkpoint waits is brought back from it.
        "start" | "resume" => Act::Start(vnode, request.spec, None),
        "stop" => Act::Stop(vnode.id, request.spec),
        "grow" => Act::GrowDisk(vnode.id, larger),
        "prepare larger" => Act::Prepare(Box::new(AssignedVnode {
            disk_mib: larger,
            ..*vnode
        })),
        "take" => Act::TakeSnapshot(vnode, LogIndex(50)),
        "delete" => Act::DeleteSnapshot(vnode.id, LogIndex(50)),
        "restore" => {
            let restore = AssignedRestore {
                vnode: vnode.id,
                number: LogIndex(60),
                snapshot: LogIndex(50),
            };
            Act::Restore(vnode, restore)
        }
        "remove" => Act::Remove(vnode.id),
        "checkpoint" => Act::Checkpoint(vnode),
        other => return Err(other.into()),
    };
    Ok(host.act(&act)?)
}

fn weaken(weakness: &Weakness, items: Vec<(String, String)>) -> Vec<(String, String)> {
    let meant = |(key, value): &(String, String)| {
        key.starts_with(&weakness.key) && value.contains(&weakness.about)
    };
    items
        .into_iter()
        .filter_map(|item| match (meant(&item), &weakness.instead) {
            (true, Some(instead)) => Some((item.0, instead.clone())),
            (true, None) => None,
            (false, _) => Some(item),
        })
        .collect()
}

/// Weakens the request on standard input if this helper is to.
fn weaken_request(helper: &Path) -> io::Result<()> {
    let Ok(text) = fs::read(weak::file_of(helper)) else {
        return Ok(());
    };
    let weaknesses: Vec<Weakness> = serde_json::from_slice(&text)?;
    let mut request = String::new();
    if io::stdin().read_to_string(&mut request)? == 0 {
        return Ok(());
    }
    let mut request: HelperRequest = serde_json::from_str(&request)?;
    if let HelperRequest::Start(start) = &mut request {
        for weakness in &weaknesses {
            if weakness.key == "kernel_objects" {
                start.kernel_objects.clear();
            }
            if weakness.key == "limits" {
                start.limits.clear();
            }
            start.config = weaken(weakness, std::mem::take(&mut start.config));
        }
    }
    // Far less than a pipe holds.
    let (reading, writing) = nix::unistd::pipe()?;
    File::from(writing).write_all(&serde_json::to_vec(&request)?)?;
    nix::unistd::dup2_stdin(&reading)?;
    Ok(())
}
