//! Checkpoints: all that runs in a vnode, written to files by CRIU, and brought back from them here or on another worker.
//!
//! A checkpoint goes with the vnode's disk as it was at that moment, so it is used once or never: it has another name before
//! it is used, and a container that was brought back from it or failed to be takes it along. What a crash left half done is
//! ended and deleted by whoever takes the worker up ([`take_up`]); the vnode then begins from its disk.

mod ahead;
mod cause;
pub(crate) mod chain;
pub mod criu;
mod places;
mod strays;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use docklet_control::assignment::AssignedVnode;
use docklet_control::id::VnodeId;
use docklet_control::model::{ImageRun, ImageSpec};

use crate::act;
use crate::cgroup::Cgroups;
use crate::fault::AgentFault;
use crate::host::linux::LinuxHost;
use crate::lxc::{CheckpointRequest, Extent, HelperRequest, RestoreRequest};
use crate::network::guard;
use crate::network::plug::plug;
use crate::vnode_dir::{StateDir, container_name};
pub use ahead::write as write_ahead;
pub(crate) use ahead::{Turns, forget as forget_ahead};
use places::Places;

/// Writes what runs in a vnode to files, and ends it: it stands stopped afterwards. What fails leaves it running. Pages
/// that were written ahead, and have not changed since, are not written again.
///
/// # Errors
/// CRIU is not there or cannot write something of it, which the fault names; it does not run.
pub fn checkpoint(host: &LinuxHost, vnode: &AssignedVnode) -> Result<(), AgentFault> {
    act::refuse_stale(host, vnode)?;
    if !vnode.gpus.is_empty() {
        return Err(AgentFault::Checkpoint(
            "it has GPUs, whose memory nobody can take along".to_owned(),
        ));
    }
    criu::find().map_err(AgentFault::Checkpoint)?;
    if !host.seen(vnode.id)?.running {
        return Err(AgentFault::NotRunning(vnode.id.0));
    }
    host.writing.with(vnode.id, || {
        let rounds = Places::of(&host.state, vnode.id).rounds()?;
        match write(host, vnode, rounds) {
            // Whether it was for the rounds shows without them: they are gone.
            Err(fault) if rounds > 0 && host.seen(vnode.id)?.running => {
                tracing::warn!(fault = fault.full_text(), "no checkpoint after rounds");
                write(host, vnode, 0)
            }
            written => written,
        }
    })
}

fn write(host: &LinuxHost, vnode: &AssignedVnode, rounds: u32) -> Result<(), AgentFault> {
    let places = Places::of(&host.state, vnode.id);
    places.begin()?;
    let before = chain::before_checkpoint(rounds);
    let answer = host.state.answer(&format!("checkpoint-{}", vnode.id));
    let environment = criu::environment(&host.state)?;
    let helpers = &host.config.helpers;
    let asked = helpers
        .helper_with(answer, &environment.pairs())
        .and_then(|helper| {
            helper.ask(&HelperRequest::Checkpoint(CheckpointRequest {
                lxc_path: host.state.lxc_path(),
                name: container_name(vnode.id),
                directory: places.begun.clone(),
                before,
                extent: Extent::All,
            }))
        });
    if let Err(fault) = asked {
        return Err(undo(host, vnode.id, &places, fault));
    }
    // Its monitor is at work yet.
    host.cgroups.clear(vnode.id)?;
    places.finish()
}

/// Whether there is one of a vnode that was not used.
///
/// # Errors
/// The directory cannot be looked at.
pub(crate) fn waits(state: &StateDir, id: VnodeId) -> Result<bool, AgentFault> {
    Places::of(state, id).is_whole()
}

/// Whether the vnode is being brought back from one.
pub(crate) fn is_used(state: &StateDir, id: VnodeId) -> bool {
    Places::of(state, id).used.exists()
}

/// Deletes what was written of a vnode: it begins from its disk, and what it was is no more. Nothing is kept from it any more.
pub(crate) fn forget(state: &StateDir, id: VnodeId) -> Result<(), AgentFault> {
    release(state, id)?;
    Places::of(state, id).remove()
}

/// One whose bringing back was cut short may be held back yet; that it was brought back at all is known as long as what
/// was used is there.
fn release(state: &StateDir, id: VnodeId) -> Result<(), AgentFault> {
    if is_used(state, id) {
        guard::release(id)?;
    }
    Ok(())
}

/// Ends and deletes what an earlier process left half done. One that is whole stays, unless the machine was started anew.
pub(crate) fn take_up(state: &StateDir, cgroups: &Cgroups) -> Result<(), AgentFault> {
    for id in state.vnodes()? {
        let places = Places::of(state, id);
        if places.round_begun().exists() && !ahead::settle(&places.round_begun()) {
            cgroups.clear(id)?;
        }
        for dir in [&places.begun, &places.used] {
            if dir.exists() {
                strays::end(dir);
                cgroups.clear(id)?;
            }
        }
        release(state, id)?;
        places.keep_whole()?;
    }
    Ok(())
}

/// What a checkpoint that failed leaves: the vnode as it was, or, if somebody killed whoever made it, nothing running.
fn undo(host: &LinuxHost, id: VnodeId, places: &Places, fault: AgentFault) -> AgentFault {
    let at_work = strays::end(&places.begun);
    let log = places.keep_log(&places.begun.join(places::DUMP_LOG));
    let log = log.unwrap_or_default();
    let cut_short = at_work || !cause::ended_by_itself(&log);
    let ended = if cut_short {
        act::stop(host, id, 0)
    } else {
        Ok(())
    };
    if let Err(fault) = ended.and_then(|()| places.remove()) {
        tracing::error!(fault = fault.full_text(), "what a checkpoint left");
    }
    match cause::of(&log, strays::name) {
        Some(cause) => AgentFault::Checkpoint(cause),
        None => act::with_log(host, id, fault),
    }
}

/// Brings a vnode back from its checkpoint, in the place of a start: its files are prepared, and nothing of it runs. What
/// fails leaves nothing running, and the checkpoint is used up in any case.
///
/// # Errors
/// There is none that was not used; CRIU cannot bring it back; it does not answer.
pub fn resume(
    host: &LinuxHost,
    vnode: &AssignedVnode,
    spec: &ImageSpec,
    run: Option<&ImageRun>,
) -> Result<(), AgentFault> {
    act::refuse_stale(host, vnode)?;
    let places = Places::of(&host.state, vnode.id);
    places.use_up(vnode.id)?;
    let resumed = restore(host, vnode, spec, run, &places);
    let ended = if resumed.is_err() {
        strays::end(&places.used);
        // The reason is worth more than what this may find.
        drop(act::stop(host, vnode.id, 0));
        forget(&host.state, vnode.id)
    } else {
        places.remove()
    };
    if let Err(fault) = ended {
        tracing::warn!(fault = fault.full_text(), "a used checkpoint stays");
    }
    resumed
}

fn restore(
    host: &LinuxHost,
    vnode: &AssignedVnode,
    spec: &ImageSpec,
    run: Option<&ImageRun>,
    places: &Places,
) -> Result<(), AgentFault> {
    for number in 1..=places.rounds()? {
        give(&places.round(number), vnode.uid_base)?;
    }
    if places.ahead.exists() {
        give_one(&places.ahead, vnode.uid_base, 0o750)?;
    }
    give(&places.used, vnode.uid_base)?;
    let answer = host.state.answer(&format!("resume-{}", vnode.id));
    let cgroup = host.cgroups.of_payload(vnode.id);
    let environment = criu::environment(&host.state)?.settle(vnode.id, &cgroup, &places.used)?;
    let brought = act::bring_up(
        host,
        vnode,
        || {
            let helpers = &host.config.helpers;
            helpers.helper_with(answer, &environment.pairs())
        },
        |helper| {
            host.plugging.run(vnode.clone(), plug)?;
            guard::hold(vnode.id)?;
            helper.ask(&HelperRequest::Restore(RestoreRequest {
                container: act::start_request(host, vnode, spec, run)?,
                directory: places.used.clone(),
            }))
        },
    );
    let log = places.keep_log(&places.used.join(places::RESTORE_LOG))?;
    brought.map_err(|fault| cause::of(&log, strays::name).map_or(fault, AgentFault::Checkpoint))
}

/// Lets processes of the vnode read the files while they come back. The first of them does so before it has the vnode's ids,
/// too: so root of the worker stays their owner.
fn give(dir: &Path, owner: u32) -> Result<(), AgentFault> {
    for entry in fs::read_dir(dir).map_err(AgentFault::file("list", dir))? {
        let entry = entry.map_err(AgentFault::file("list", dir))?;
        // Where it leads, that is given by itself.
        if entry.file_name() != chain::PARENT {
            give_one(&entry.path(), owner, 0o640)?;
        }
    }
    give_one(dir, owner, 0o750)
}

fn give_one(path: &Path, owner: u32, mode: u32) -> Result<(), AgentFault> {
    chown(path, Some(0), Some(owner))
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .map_err(AgentFault::file("give to the vnode's root", path))
}
