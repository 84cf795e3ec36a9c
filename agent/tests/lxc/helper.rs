//! The agent's helper as a program of its own, for tests: in the field it is the one binary, re-executed. It also
//! performs one act as an agent would, for tests that kill it.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use docklet_agent::AgentConfig;
use docklet_agent::home::Homes;
use docklet_agent::host::linux::LinuxHost;
use docklet_agent::host::{Act, Host};
use docklet_agent::limits::IoLimit;
use docklet_control::assignment::AssignedVnode;
use docklet_control::model::{ImageSpec, WorkerCapacity};
use docklet_link::Credentials;
use serde::Deserialize;

/// One act, and what an agent would have in its files.
#[derive(Deserialize)]
struct Request {
    state_dir: String,
    credentials: String,
    cgroup_prefix: String,
    act: String,
    vnode: AssignedVnode,
    spec: ImageSpec,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(code) = docklet_agent::lxc::helper::dispatch(&arguments) {
        return code;
    }
    match arguments.get(1).map(|request| act(Path::new(request))) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(_)) | None => ExitCode::FAILURE,
    }
}

/// All on one thread, so that a test can follow it.
fn act(request: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let request: Request = serde_json::from_slice(&std::fs::read(request)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let _within = runtime.enter();
    let host = LinuxHost::open(AgentConfig {
        state_dir: request.state_dir.clone().into(),
        credentials: Credentials::load(Path::new(&request.credentials))?,
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
        helper: std::env::current_exe()?,
    })?;
    let vnode = Box::new(request.vnode);
    let act = match request.act.as_str() {
        "prepare" => Act::Prepare(vnode),
        "start" => Act::Start(vnode, request.spec, None),
        "stop" => Act::Stop(vnode.id, request.spec),
        "remove" => Act::Remove(vnode.id),
        other => return Err(other.into()),
    };
    Ok(host.act(&act)?)
}
