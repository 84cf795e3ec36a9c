//! Vclusters that begin with what a snapshot has. They are as all others: names, limits, quotas and images have the same
//! rules, and their first vnode waits for the worker that has the snapshot.

use super::{called, check_taken, meant, named};
use crate::amount::{DiskMib, VnodeSize};
use crate::decide::{Decision, Ground, moves, vcluster};
use crate::event::{Event, VnodeRef};
use crate::id::VnodeId;
use crate::image::catalog;
use crate::model::{
    GpuWish, Rules, Snapshot, SnapshotCopy, SnapshotSeen, User, Vnode, VnodeSeen, Wishes,
};
use crate::name::Name;
use crate::permit;
use crate::refusal::Refusal;
use crate::snapshot::command::SnapshotOf;
use crate::snapshot::event::SnapshotEvent;
use crate::snapshot::refusal::SnapshotRefusal;
use crate::state::State;

/// What is asked for beside the snapshot.
pub(super) struct New<'e> {
    pub(super) name: &'e str,
    pub(super) vnodes: u32,
    pub(super) size: VnodeSize,
    pub(super) disk_mib: Option<DiskMib>,
    pub(super) gpus: &'e GpuWish,
    pub(super) rules: &'e Rules,
}

pub(super) fn create(
    ground: Ground<'_>,
    from: VnodeId,
    snapshot: &str,
    new: &New<'_>,
) -> Result<Decision, Refusal> {
    let owner = permit::person(ground.state, ground.entry.actor)?;
    let from = source(ground, from)?;
    moves::refuse_moving(ground.state, from)?;
    let snapshot = Name::parse("snapshot", snapshot)?;
    let snapshot = named(ground.state, from, &snapshot)
        .ok_or_else(|| Refusal::not_found("snapshot", called(from, &snapshot)))?;
    refuse_of_another(owner, from, snapshot)?;
    check_taken(from, snapshot)?;
    let wishes = Wishes {
        disk_mib: disk(from, snapshot, new.disk_mib)?,
        gpus: new.gpus.clone(),
    };
    let made_of = vcluster::MadeOf {
        image_name: image_of(ground.state, owner, from)?,
        image: from.image,
    };
    let asked = vcluster::Asked {
        name: new.name,
        vnodes: new.vnodes,
        size: new.size,
        wishes: &wishes,
        bandwidth: None,
        rules: new.rules,
    };
    let mut decision = vcluster::create_of(ground, owner, &asked, made_of)?;
    let wanted = copy_wanted(&decision.events, from, snapshot);
    decision.events.extend(wanted);
    Ok(decision)
}

fn source(ground: Ground<'_>, id: VnodeId) -> Result<&Vnode, Refusal> {
    let (_, vnodes) = meant(ground, SnapshotOf::Vnode(id))?;
    let vnode = vnodes.into_iter().next();
    vnode.ok_or_else(|| Refusal::not_found("vnode", id))
}

/// An admin may see it and do all else with it. Its files have its owner's ids, which no other vcluster may have.
fn refuse_of_another(asker: &User, from: &Vnode, snapshot: &Snapshot) -> Result<(), Refusal> {
    if asker.id == snapshot.owner {
        return Ok(());
    }
    Err(SnapshotRefusal::OfAnother {
        vnode: from.hostname(),
        name: snapshot.name.to_string(),
    }
    .into())
}

/// What is on the snapshot may be anywhere on it.
fn disk(from: &Vnode, snapshot: &Snapshot, given: Option<DiskMib>) -> Result<DiskMib, Refusal> {
    let SnapshotSeen::Taken { disk_mib: has, .. } = snapshot.seen else {
        return Ok(given.unwrap_or_default());
    };
    let disk = given.unwrap_or(has);
    if disk >= has {
        return Ok(disk);
    }
    Err(SnapshotRefusal::DiskTooSmall {
        vnode: from.hostname(),
        name: snapshot.name.to_string(),
        has_mib: has.0,
        given_mib: disk.0,
    }
    .into())
}

/// What runs on may run on, but nothing new is made of an image that is not shared with its owner any more.
fn image_of(state: &State, owner: &User, from: &Vnode) -> Result<Name, Refusal> {
    let vcluster = state.vclusters.get(&from.vcluster);
    let vcluster = vcluster.ok_or_else(|| Refusal::not_found("vcluster", from.vcluster))?;
    let mut titles = state.image_titles.values().filter(|t| t.has(from.image));
    let titled = catalog::is_titled(state, from.image);
    if titled && !titles.any(|title| catalog::sees(state, owner, title)) {
        return Err(SnapshotRefusal::ImageWithdrawn {
            image: vcluster.image_name.to_string(),
        }
        .into());
    }
    Ok(vcluster.image_name.clone())
}

/// The first of the new vnodes.
fn copy_wanted(made: &[Event], from: &Vnode, snapshot: &Snapshot) -> Option<Event> {
    let first = made.iter().find_map(|event| {
        if let Event::VnodeCreated { vnode } = event {
            return Some(vnode);
        }
        None
    })?;
    Some(Event::Snapshot(SnapshotEvent::CopyWanted {
        about: VnodeRef::from(first),
        copy: SnapshotCopy {
            vnode: first.id,
            from: from.id,
            snapshot: snapshot.number,
            name: snapshot.name.clone(),
        },
    }))
}

/// What runs has its disk: the snapshot is its owner's again.
pub(in crate::decide) fn copied(state: &State, vnode: &Vnode, seen: &VnodeSeen) -> Option<Event> {
    let waits = *seen == VnodeSeen::Running && state.snapshot_copies.contains_key(&vnode.id);
    waits.then(|| {
        Event::Snapshot(SnapshotEvent::Copied {
            about: VnodeRef::from(vnode),
        })
    })
}

/// Refuses to let vnodes go of whose snapshots disks are being made.
pub(in crate::decide) fn refuse_sources<'s>(
    state: &'s State,
    going: impl IntoIterator<Item = &'s Vnode>,
) -> Result<(), Refusal> {
    let copies = going
        .into_iter()
        .flat_map(|vnode| state.copies_from(vnode.id));
    refuse_copied(state, copies)
}

/// Refuses for the first of these, if there is one.
pub(super) fn refuse_copied<'s>(
    state: &'s State,
    copies: impl IntoIterator<Item = &'s SnapshotCopy>,
) -> Result<(), Refusal> {
    let Some(copy) = copies.into_iter().next() else {
        return Ok(());
    };
    let from = state.vnodes.get(&copy.from);
    let vcluster = state.vnodes.get(&copy.vnode).map(|vnode| vnode.vcluster);
    let vcluster = vcluster.and_then(|id| state.vclusters.get(&id));
    Err(SnapshotRefusal::Copying {
        vnode: from.map(Vnode::hostname).unwrap_or_default(),
        name: copy.name.to_string(),
        vcluster: vcluster.map(|v| v.name.to_string()).unwrap_or_default(),
    }
    .into())
}
