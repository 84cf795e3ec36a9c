//! Acts on a vnode's files and container, on real Linux. Each may be repeated.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::thread;

use docklet_control::assignment::{AssignedImage, AssignedVnode};
use docklet_control::id::VnodeId;
use docklet_control::model::{ImageRun, ImageSpec};

use crate::apparmor;
use crate::container_config::{BindKind, BindMount, ContainerConfig};
use crate::door::images;
use crate::fault::AgentFault;
use crate::host::linux::LinuxHost;
use crate::limits::{DEVICES, DeviceRule, Limits, Word};
use crate::lxc::helpers::Helper;
use crate::lxc::{HelperRequest, InPlace, StartRequest, StopRequest};
use crate::network::names;
use crate::network::pair::Pair;
use crate::network::plug::{make_way, plug};
use crate::snapshot::copy;
use crate::surroundings::Surroundings;
use crate::vnode_dir::{container_name, make_dir, remove_file};
use crate::{checkpoint, disk, home, lxcfs, per_vnode, rootfs};

/// Fetches an image from whichever worker holds it.
pub(crate) fn fetch_image(host: &LinuxHost, image: &AssignedImage) -> Result<(), AgentFault> {
    let dialer = host.config.dialer();
    host.images.once(image.digest, || {
        let fetch = images::fetch(&dialer, &host.images, image);
        host.runtime.block_on(fetch)
    })
}

/// Whoever asks for an earlier placement than the one that is here knows less than this worker.
pub(crate) fn refuse_stale(host: &LinuxHost, vnode: &AssignedVnode) -> Result<(), AgentFault> {
    match host.state.placed(vnode.id) {
        Some(placed) if placed.epoch > vnode.epoch => Err(AgentFault::Stale {
            vnode: vnode.id.0,
            here: placed.epoch.0,
            asked: vnode.epoch.0,
        }),
        Some(_) | None => Ok(()),
    }
}

/// Makes a vnode's files.
pub(crate) fn prepare(host: &LinuxHost, vnode: &AssignedVnode) -> Result<(), AgentFault> {
    refuse_stale(host, vnode)?;
    host.state.create_vnode(vnode.id, vnode.uid_base)?;
    // One of them waits for the disk, most of the time.
    thread::scope(|scope| {
        let files = scope.spawn(|| prepare_files(host, vnode));
        let root = prepare_root(host, vnode);
        let files = files.join().unwrap_or_else(|panic| resume_unwind(panic));
        files.and(root)
    })?;
    host.state.remember(vnode)
}

/// What it is told, and its owner's home.
fn prepare_files(host: &LinuxHost, vnode: &AssignedVnode) -> Result<(), AgentFault> {
    let dir = host.state.vnode(vnode.id).join("etc");
    make_dir(&dir, 0o755)?;
    let files = [
        ("hosts", hosts_text(&vnode.hosts)),
        ("hostname", format!("{}\n", vnode.hostname)),
        ("resolv.conf", resolv_text(vnode)),
    ];
    for (name, text) in files {
        let path = dir.join(name);
        fs::write(&path, text).map_err(AgentFault::file("write", path))?;
    }
    home::prepare(&host.config, &host.used, vnode)
}

/// Its root file system.
fn prepare_root(host: &LinuxHost, vnode: &AssignedVnode) -> Result<(), AgentFault> {
    let image_root = host.images.rootfs(vnode.image);
    let begins = copy::is_to_begin(host, vnode);
    if begins {
        copy::begin(host, vnode)?;
    }
    disk::grow::still(&host.state, vnode.id, vnode.disk_mib)?;
    if begins {
        copy::forget_the_other(host, vnode)?;
    }
    rootfs::mount_rootfs(
        &host.state,
        vnode,
        &image_root,
        &host.config.helpers,
        &host.spares,
    )?;
    if begins {
        copy::be_oneself(host, vnode)?;
    }
    Ok(())
}

/// Names are asked of the segment's gateway; short ones are meant within the vcluster.
fn resolv_text(vnode: &AssignedVnode) -> String {
    let (gateway, vcluster) = (vnode.gateway(), &vnode.vcluster_name);
    format!("nameserver {gateway}\nsearch {vcluster}\n")
}

/// The hosts file of a vcluster's vnodes.
pub(crate) fn hosts_text(hosts: &[(String, Ipv4Addr)]) -> String {
    let mut text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_owned();
    for (name, address) in hosts {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{address}\t{name}");
    }
    text
}

/// Plugs the vnode in, starts its container, and waits until its network answers.
pub(crate) fn start(
    host: &LinuxHost,
    vnode: &AssignedVnode,
    spec: &ImageSpec,
    run: Option<&ImageRun>,
) -> Result<(), AgentFault> {
    refuse_stale(host, vnode)?;
    checkpoint::forget(&host.state, vnode.id)?;
    let answer = host.state.answer(&format!("start-{}", vnode.id));
    let started = bring_up(
        host,
        vnode,
        || host.config.helpers.helper(answer),
        |helper| {
            let in_place = in_place(host, vnode);
            match &in_place {
                Some(_) => make_way(vnode)?,
                None => host.plugging.run(vnode.clone(), plug)?,
            }
            let request = start_request(host, vnode, spec, run)?;
            helper.ask(&HelperRequest::Start(StartRequest {
                in_place,
                ..request
            }))
        },
    );
    if started.is_err() {
        // What did not come up must not look as if it had. The reason is worth more than what this may find.
        drop(stop(host, vnode.id, 0));
    }
    started
}

/// Its network, if nothing but the pair of devices has to be there before the vnode begins.
fn in_place(host: &LinuxHost, vnode: &AssignedVnode) -> Option<InPlace> {
    let limited = vnode.bandwidth.sent.or(vnode.bandwidth.received);
    limited.is_none().then(|| InPlace {
        pair: Pair::of(vnode),
        pipe: host.state.vnode(vnode.id).join("network"),
        reader: vnode.uid_base,
    })
}

/// Lets a helper make the vnode's processes, and waits until its network answers.
pub(crate) fn bring_up(
    host: &LinuxHost,
    vnode: &AssignedVnode,
    helper: impl FnOnce() -> Result<Helper, AgentFault>,
    begin: impl FnOnce(Helper) -> Result<(), AgentFault>,
) -> Result<(), AgentFault> {
    // What a container without a monitor left running looks stopped to liblxc, and starting it would make a second
    // copy on the same files.
    host.cgroups.clear(vnode.id)?;
    // What went wrong with an earlier start is not the cause of this one's end.
    remove_file(&log_file(host, vnode.id))?;
    // One that is executed takes a while until it listens, and what it is told is not ready at once.
    begin(helper()?)
        .and_then(|()| host.wait_ready(vnode))
        .map_err(|fault| with_log(host, vnode.id, fault))
}

/// The container as it is to be.
pub(crate) fn start_request(
    host: &LinuxHost,
    vnode: &AssignedVnode,
    spec: &ImageSpec,
    run: Option<&ImageRun>,
) -> Result<StartRequest, AgentFault> {
    let ends_ms = host.lease.end_for(vnode.id);
    if ends_ms.is_some() && host.lease.left().is_none() {
        let text = format!("{} runs only while there is one", container_name(vnode.id));
        return Err(AgentFault::Lease(text));
    }
    let around = Surroundings::new(&vnode.size, run);
    around.note(&host.state, vnode.id)?;
    let config = container_config(host, vnode, spec, &around)?;
    // Bridges elsewhere know it behind the worker that it left.
    let comes = vnode.arrived_by.is_some() || checkpoint::is_used(&host.state, vnode.id);
    Ok(StartRequest {
        lxc_path: host.state.lxc_path(),
        vnode: vnode.id,
        config: config.items(&host.cgroups, &host.cgroups.of_vnode(vnode.id))?,
        init: config.argv()?,
        cgroups: host.cgroups.clone(),
        limits: to_read_back(host, &config),
        kernel_objects: per_vnode::limits(),
        ends_ms,
        announces: comes.then_some((vnode.mac, vnode.address)),
        in_place: None,
    })
}

/// liblxc says why in its log only.
pub(crate) fn with_log(host: &LinuxHost, id: VnodeId, fault: AgentFault) -> AgentFault {
    let log = fs::read_to_string(log_file(host, id)).unwrap_or_default();
    let errors: Vec<&str> = log
        .lines()
        .filter(|line| line.contains(" ERROR "))
        .collect();
    match errors.first() {
        Some(first) => AgentFault::Lxc(format!("{}: {}", fault.full_text(), first.trim())),
        None => fault,
    }
}

fn log_file(host: &LinuxHost, id: VnodeId) -> PathBuf {
    host.state.vnode(id).join("lxc.log")
}

fn container_config(
    host: &LinuxHost,
    vnode: &AssignedVnode,
    spec: &ImageSpec,
    around: &Surroundings,
) -> Result<ContainerConfig, AgentFault> {
    let disk = disk::whole_disk_of(&host.state.0);
    let rootfs = host.state.rootfs(vnode.id);
    let given = host.gpus.give(&vnode.gpus, &rootfs)?;
    Ok(ContainerConfig {
        hostname: vnode.hostname.clone(),
        rootfs,
        uid_base: vnode.uid_base,
        device: names::container_device(vnode.id),
        address: vnode.address,
        prefix: vnode.prefix,
        gateway: vnode.gateway(),
        mounts: [mounts(host, vnode)?, given.mounts].concat(),
        init: spec.init.clone(),
        stop_signal: spec.stop_signal.clone(),
        environment: around.environment(),
        directory: around.directory(),
        seccomp: host.state.seccomp(),
        devices: [&DeviceRule::USUAL, given.devices.as_slice()].concat(),
        limits: Limits {
            size: vnode.size,
            io: disk.map(|disk| (disk, host.config.vnode_io)),
        },
        log: log_file(host, vnode.id),
        empty: host.state.empty(),
        apparmor: apparmor::profile(),
    })
}

fn mounts(host: &LinuxHost, vnode: &AssignedVnode) -> Result<Vec<BindMount>, AgentFault> {
    let own = ["hosts", "hostname", "resolv.conf"].map(|name| BindMount {
        source: host.state.vnode(vnode.id).join("etc").join(name),
        target: format!("etc/{name}"),
        options: &["ro"],
        kind: BindKind::File,
    });
    let truths = lxcfs::files()?.into_iter().map(|(source, name)| BindMount {
        source,
        target: name.to_owned(),
        options: &[],
        kind: BindKind::Over,
    });
    let homes = home::mounts(&host.config, vnode);
    Ok(own.into_iter().chain(homes).chain(truths).collect())
}

/// What files of the payload's cgroup must say after the start.
fn to_read_back(host: &LinuxHost, config: &ContainerConfig) -> Vec<Word> {
    let mut words = config.limits.words(&host.cgroups);
    if !host.cgroups.unified() {
        // Version 2 keeps the list in a program that cannot be read.
        let devices = config.devices.iter().map(|device| device.text());
        let list: Vec<String> = devices.collect();
        words.push(Word {
            file: DEVICES.to_owned(),
            value: list.join("\n"),
        });
    }
    words
}

/// Stops the container, and makes sure that no process of it is left.
pub(crate) fn stop(host: &LinuxHost, id: VnodeId, timeout_ms: u32) -> Result<(), AgentFault> {
    let request = HelperRequest::Stop(StopRequest {
        lxc_path: host.state.lxc_path(),
        name: container_name(id),
        timeout_ms,
    });
    let answer = host.state.answer(&format!("stop-{id}"));
    host.config.helpers.ask(&request, answer)?;
    host.cgroups.clear(id)
}
