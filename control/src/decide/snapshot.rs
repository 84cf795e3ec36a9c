//! Snapshots: asked for by people and by schedules, restored, let go, and what workers say of them. Since version 3.

mod again;
mod copy;
mod report;
mod room;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::{Decision, Ground, image, in_range, moves};
use crate::bean;
use crate::event::{Event, VclusterRef, VnodeRef};
use crate::id::{UnixMs, VclusterId, VnodeId};
use crate::model::receipt::Subject;
use crate::model::{
    RestoreSeen, Snapshot, SnapshotRestore, SnapshotRhythm, SnapshotSave, SnapshotSchedule,
    SnapshotSeen, SnapshotWhy, VclusterWanted, Vnode, VnodeWanted,
};
use crate::name::Name;
use crate::permit;
use crate::quota::{self, Amounts};
use crate::refusal::Refusal;
use crate::snapshot::command::{SnapshotCommand, SnapshotOf};
use crate::snapshot::event::SnapshotEvent;
use crate::snapshot::refusal::SnapshotRefusal;
use crate::snapshot::schedule;
use crate::state::State;

pub(super) use again::check_again;
pub(super) use copy::{copied, refuse_sources};
pub(super) use report::lost;

/// Longest text of a report that is kept, in bytes.
const TEXT_LEN_MAX: usize = 1_000;
/// Vnodes of which a schedule says why there is no snapshot.
const TROUBLES_MAX: usize = 5;
/// What names begin with that people cannot give.
const RESERVED: [&str; 2] = ["auto-", "before-restore-"];

pub(super) fn decide(ground: Ground<'_>, command: &SnapshotCommand) -> Result<Decision, Refusal> {
    match command {
        SnapshotCommand::Take { of, name, ttl_ms } => take(ground, *of, name, *ttl_ms),
        SnapshotCommand::Delete { of, name } => delete(ground, *of, name),
        SnapshotCommand::Restore { of, name } => restore(ground, *of, name),
        SnapshotCommand::SetSchedule { vcluster, rhythm } => {
            set_schedule(ground, *vcluster, *rhythm)
        }
        SnapshotCommand::TakeScheduled { vclusters } => Ok(take_scheduled(ground, vclusters)),
        SnapshotCommand::Expire => Ok(expire(ground)),
        SnapshotCommand::Report { worker, reports } => report::report(ground, *worker, reports),
        SnapshotCommand::Save {
            vnode,
            snapshot,
            image,
            label,
        } => save(ground, *vnode, snapshot, image, label),
        SnapshotCommand::CreateVcluster {
            name,
            vnode,
            snapshot,
            vnodes,
            size,
            disk_mib,
            gpus,
            rules,
        } => {
            let new = copy::New {
                name,
                vnodes: *vnodes,
                size: *size,
                disk_mib: *disk_mib,
                gpus,
                rules,
            };
            copy::create(ground, *vnode, snapshot, &new)
        }
    }
}

/// The vnodes that are meant, which the asker owns and which are there to stay.
fn meant(ground: Ground<'_>, of: SnapshotOf) -> Result<(Subject, Vec<&Vnode>), Refusal> {
    let (state, actor) = (ground.state, ground.entry.actor);
    match of {
        SnapshotOf::Vnode(id) => {
            let vnode = permit::visible_vnode(state, actor, id)?;
            if vnode.wanted == VnodeWanted::Removed {
                return Err(Refusal::not_found("vnode", vnode.hostname()));
            }
            Ok((Subject::Vcluster(vnode.vcluster), vec![vnode]))
        }
        SnapshotOf::Vcluster(id) => {
            let vcluster = permit::visible_vcluster(state, actor, id)?;
            if vcluster.wanted == VclusterWanted::Deleted {
                return Err(Refusal::BeingDeleted {
                    name: vcluster.name.to_string(),
                });
            }
            Ok((Subject::Vcluster(id), state.live_vnodes_of(id)))
        }
    }
}

fn named<'s>(state: &'s State, vnode: &Vnode, name: &Name) -> Option<&'s Snapshot> {
    state
        .shown_snapshots_of(vnode.id)
        .find(|snapshot| snapshot.name == *name)
}

/// As people write it.
fn called(vnode: &Vnode, name: &Name) -> String {
    format!("{}@{name}", vnode.hostname())
}

fn asked(snapshot: Snapshot) -> Event {
    Event::Snapshot(SnapshotEvent::Asked { snapshot })
}

pub(super) fn deleted(vnode: &Vnode, snapshot: &Snapshot) -> Event {
    Event::Snapshot(SnapshotEvent::Deleted {
        about: VnodeRef::from(vnode),
        number: snapshot.number,
        name: snapshot.name.clone(),
    })
}

/// One that is to be taken, if the vnode is on a worker.
fn new(
    ground: Ground<'_>,
    vnode: &Vnode,
    name: &Name,
    why: SnapshotWhy,
    expires_at: Option<UnixMs>,
) -> Result<Snapshot, SnapshotRefusal> {
    let placement = vnode.placement.ok_or_else(|| SnapshotRefusal::NoDisk {
        vnode: vnode.hostname(),
    })?;
    Ok(Snapshot {
        vnode: vnode.id,
        number: ground.index,
        name: name.clone(),
        vcluster: vnode.vcluster,
        owner: vnode.owner,
        epoch: placement.epoch,
        why,
        asked_at: ground.entry.at,
        expires_at,
        seen: SnapshotSeen::Wanted,
    })
}

fn take(
    ground: Ground<'_>,
    of: SnapshotOf,
    name: &str,
    ttl_ms: Option<u64>,
) -> Result<Decision, Refusal> {
    let (subject, vnodes) = meant(ground, of)?;
    let name = given_name(name)?;
    let expires_at = expiry(ground, ttl_ms)?;
    let owner = vnodes.first().map(|vnode| vnode.owner);
    let more = Amounts::of_snapshots(vnodes.len());
    let mut events = Vec::new();
    for vnode in vnodes {
        moves::refuse_moving(ground.state, vnode)?;
        match named(ground.state, vnode, &name) {
            Some(failed) if failed.is_failed() => events.push(deleted(vnode, failed)),
            Some(_) => {
                return Err(Refusal::NameTaken {
                    kind: "snapshot".to_owned(),
                    name: called(vnode, &name),
                });
            }
            None => check_room(ground.state, vnode)?,
        }
        let why = SnapshotWhy::Asked;
        events.push(asked(new(ground, vnode, &name, why, expires_at)?));
    }
    if let Some(owner) = owner {
        quota::check(ground.state, owner, &more)?;
    }
    Ok(Decision::new(subject, events))
}

fn given_name(text: &str) -> Result<Name, Refusal> {
    let name = Name::parse("snapshot", text)?;
    if RESERVED.iter().any(|start| text.starts_with(start)) {
        return Err(SnapshotRefusal::NameReserved {
            name: text.to_owned(),
        }
        .into());
    }
    Ok(name)
}

fn expiry(ground: Ground<'_>, ttl_ms: Option<u64>) -> Result<Option<UnixMs>, Refusal> {
    let Some(ttl_ms) = ttl_ms else {
        return Ok(None);
    };
    in_range("expiry", ttl_ms, Snapshot::TTL_MS_RANGE, "ms")?;
    Ok(Some(ground.entry.at.plus_ms(ttl_ms)))
}

/// What schedules and restores take has limits of its own.
fn check_room(state: &State, vnode: &Vnode) -> Result<(), SnapshotRefusal> {
    let theirs = of_kind(state, vnode, SnapshotWhy::Asked).count();
    if theirs < Snapshot::PER_VNODE_MAX {
        return Ok(());
    }
    Err(SnapshotRefusal::TooMany {
        vnode: vnode.hostname(),
        most: u32::try_from(Snapshot::PER_VNODE_MAX).unwrap_or(u32::MAX),
    })
}

/// The oldest first.
fn of_kind<'s>(
    state: &'s State,
    vnode: &Vnode,
    why: SnapshotWhy,
) -> impl Iterator<Item = &'s Snapshot> {
    let all = state.shown_snapshots_of(vnode.id);
    all.filter(move |snapshot| snapshot.why == why)
}

pub(super) fn delete(ground: Ground<'_>, of: SnapshotOf, name: &str) -> Result<Decision, Refusal> {
    let (subject, going) = going(ground, of, name)?;
    let events = going.into_iter();
    let events = events.map(|(vnode, snapshot)| deleted(vnode, snapshot));
    Ok(Decision::new(subject, events.collect()))
}

/// Snapshots, each with its vnode.
type OfVnodes<'e> = Vec<(&'e Vnode, &'e Snapshot)>;

/// Those of one name, if none of them has to stay.
pub(super) fn going<'e>(
    ground: Ground<'e>,
    of: SnapshotOf,
    name: &str,
) -> Result<(Subject, OfVnodes<'e>), Refusal> {
    let (subject, vnodes) = meant(ground, of)?;
    let name = Name::parse("snapshot", name)?;
    let mut going = Vec::new();
    for vnode in vnodes {
        if let Some(snapshot) = named(ground.state, vnode, &name) {
            if schedule::is_of_restore(ground.state, snapshot) {
                return Err(restoring(ground.state, vnode));
            }
            copy::refuse_copied(ground.state, ground.state.copies_of(snapshot))?;
            going.push((vnode, snapshot));
        }
    }
    if going.is_empty() {
        return Err(Refusal::not_found("snapshot", name));
    }
    Ok((subject, going))
}

fn restoring(state: &State, vnode: &Vnode) -> Refusal {
    let restore = state.snapshot_restores.get(&vnode.id);
    SnapshotRefusal::Restoring {
        vnode: vnode.hostname(),
        name: restore.map(|r| r.name.to_string()).unwrap_or_default(),
    }
    .into()
}

/// All of them or none.
fn restore(ground: Ground<'_>, of: SnapshotOf, name: &str) -> Result<Decision, Refusal> {
    let (subject, vnodes) = meant(ground, of)?;
    let name = Name::parse("snapshot", name)?;
    let mut events = Vec::new();
    for vnode in vnodes {
        events.extend(restore_one(ground, vnode, &name)?);
    }
    Ok(Decision::new(subject, events))
}

fn restore_one(ground: Ground<'_>, vnode: &Vnode, name: &Name) -> Result<Vec<Event>, Refusal> {
    let state = ground.state;
    moves::refuse_moving(state, vnode)?;
    bean::check(state, vnode.owner)?;
    let snapshot = named(state, vnode, name)
        .ok_or_else(|| Refusal::not_found("snapshot", called(vnode, name)))?;
    let wanted = state.snapshot_restores.get(&vnode.id);
    if wanted.is_some_and(SnapshotRestore::is_wanted) {
        return Err(restoring(state, vnode));
    }
    check_taken(vnode, snapshot)?;
    let left = Name::parse("snapshot", &format!("before-restore-{}", ground.index))?;
    let expires_at = Some(ground.entry.at.plus_ms(Snapshot::BEFORE_RESTORE_MS));
    let why = SnapshotWhy::Restored;
    let mut events = superseded(state, vnode, snapshot)?;
    events.push(asked(new(ground, vnode, &left, why, expires_at)?));
    events.push(restore_seen(
        vnode,
        SnapshotRestore {
            vnode: vnode.id,
            number: ground.index,
            epoch: snapshot.epoch,
            snapshot: snapshot.number,
            name: name.clone(),
            asked_at: ground.entry.at,
            seen: RestoreSeen::Wanted,
        },
    ));
    Ok(events)
}

fn check_taken(vnode: &Vnode, snapshot: &Snapshot) -> Result<(), SnapshotRefusal> {
    let here = vnode.placement.map(|placement| placement.epoch) == Some(snapshot.epoch);
    if snapshot.is_taken() && here {
        return Ok(());
    }
    Err(SnapshotRefusal::NotTaken {
        vnode: vnode.hostname(),
        name: snapshot.name.to_string(),
        condition: condition(snapshot, here).to_owned(),
    })
}

fn condition(snapshot: &Snapshot, here: bool) -> &'static str {
    if !here {
        return "of another worker's disk";
    }
    match snapshot.seen {
        SnapshotSeen::Wanted => "still to be taken",
        SnapshotSeen::Failed { .. } => "one that failed",
        SnapshotSeen::Taken { .. } => "there",
    }
}

/// What earlier restores left gives way to what this one leaves.
fn superseded(state: &State, vnode: &Vnode, source: &Snapshot) -> Result<Vec<Event>, Refusal> {
    let left: Vec<&Snapshot> = of_kind(state, vnode, SnapshotWhy::Restored).collect();
    let surplus = (left.len() + 1).saturating_sub(Snapshot::BEFORE_RESTORE_MAX);
    let spare = left.into_iter().filter(|s| s.number != source.number);
    let (copied, spare): (Vec<_>, Vec<_>) =
        spare.partition(|snapshot| state.copies_of(snapshot).next().is_some());
    if spare.len() < surplus {
        let copies = copied.into_iter().flat_map(|s| state.copies_of(s));
        copy::refuse_copied(state, copies)?;
    }
    let spare = spare.into_iter().take(surplus);
    Ok(spare.map(|snapshot| deleted(vnode, snapshot)).collect())
}

fn restore_seen(vnode: &Vnode, restore: SnapshotRestore) -> Event {
    let about = VnodeRef::from(vnode);
    Event::Snapshot(SnapshotEvent::RestoreSeen { about, restore })
}

/// An image as any other: what is made of it has the limits of whoever makes it.
fn save(
    ground: Ground<'_>,
    vnode: VnodeId,
    snapshot: &str,
    name: &str,
    label: &str,
) -> Result<Decision, Refusal> {
    let (_, vnodes) = meant(ground, SnapshotOf::Vnode(vnode))?;
    let snapshot = Name::parse("snapshot", snapshot)?;
    let mut decision = image::save::ask(ground, vnode, name, label)?;
    for vnode in vnodes {
        let source = named(ground.state, vnode, &snapshot)
            .ok_or_else(|| Refusal::not_found("snapshot", called(vnode, &snapshot)))?;
        check_taken(vnode, source)?;
        let event = SnapshotEvent::SaveSourced {
            about: VnodeRef::from(vnode),
            save: SnapshotSave {
                vnode: vnode.id,
                save: ground.index,
                snapshot: source.number,
            },
        };
        decision.events.push(Event::Snapshot(event));
    }
    Ok(decision)
}

fn set_schedule(
    ground: Ground<'_>,
    id: VclusterId,
    rhythm: Option<SnapshotRhythm>,
) -> Result<Decision, Refusal> {
    meant(ground, SnapshotOf::Vcluster(id))?;
    let vcluster = permit::visible_vcluster(ground.state, ground.entry.actor, id)?;
    let known = ground.state.snapshot_schedules.get(&id);
    let event = match rhythm {
        None => known.map(|_| SnapshotEvent::Unscheduled {
            about: VclusterRef::from(vcluster),
        }),
        Some(rhythm) => {
            check_rhythm(&rhythm)?;
            let news = known.is_none_or(|known| known.rhythm != rhythm);
            news.then(|| SnapshotEvent::Scheduled {
                schedule: SnapshotSchedule {
                    vcluster: id,
                    owner: vcluster.owner,
                    rhythm,
                    set_at: ground.entry.at,
                    next_at: ground.entry.at.plus_ms(rhythm.every_ms),
                    trouble: String::new(),
                },
            })
        }
    };
    let events = event.map(Event::Snapshot).into_iter().collect();
    Ok(Decision::new(Subject::Vcluster(id), events))
}

fn check_rhythm(rhythm: &SnapshotRhythm) -> Result<(), Refusal> {
    let every = SnapshotRhythm::EVERY_MS_RANGE;
    in_range("interval", rhythm.every_ms, every, "ms")?;
    let (least, most) = SnapshotRhythm::KEEP_RANGE.into_inner();
    let keep = u64::from(least)..=u64::from(most);
    in_range("keep", u64::from(rhythm.keep), keep, "snapshots")?;
    match rhythm.ttl_ms {
        Some(ttl_ms) => in_range("expiry", ttl_ms, Snapshot::TTL_MS_RANGE, "ms"),
        None => Ok(()),
    }
}

/// The duty may speak of a state that has moved on: what is not due any more is left out.
fn take_scheduled(ground: Ground<'_>, vclusters: &[VclusterId]) -> Decision {
    let (state, now) = (ground.state, ground.entry.at);
    let ids: BTreeSet<VclusterId> = vclusters.iter().copied().collect();
    let schedules = ids.iter().filter_map(|id| state.snapshot_schedules.get(id));
    let due = schedules.filter(|schedule| schedule::is_due(state, schedule, now));
    Decision::quiet(due.flat_map(|schedule| turn(ground, schedule)).collect())
}

fn turn(ground: Ground<'_>, schedule: &SnapshotSchedule) -> Vec<Event> {
    let (last, next_at) = schedule.turn(ground.entry.at);
    let name = Name::parse("snapshot", &schedule::name_at(last))
        .expect("a word, a date and a minute are a name");
    let (mut events, mut troubles) = (Vec::new(), Vec::new());
    let mut taken = 0;
    for vnode in ground.state.live_vnodes_of(schedule.vcluster) {
        match scheduled(ground, schedule, vnode, &name, &mut taken) {
            Ok(of_vnode) => events.extend(of_vnode),
            Err(trouble) => troubles.push(format!("{}: {trouble}", vnode.hostname())),
        }
    }
    let more = troubles.len().saturating_sub(TROUBLES_MAX);
    troubles.truncate(TROUBLES_MAX);
    if more > 0 {
        troubles.push(format!("and {more} more"));
    }
    let schedule = SnapshotSchedule {
        next_at,
        trouble: troubles.join("; "),
        ..schedule.clone()
    };
    let schedule = SnapshotEvent::Scheduled { schedule };
    events.push(Event::Snapshot(schedule));
    events
}

/// One more of a vnode, in the place of one that failed; or why not.
fn scheduled(
    ground: Ground<'_>,
    schedule: &SnapshotSchedule,
    vnode: &Vnode,
    name: &Name,
    taken: &mut usize,
) -> Result<Vec<Event>, String> {
    let state = ground.state;
    let earlier = || of_kind(state, vnode, SnapshotWhy::Scheduled);
    if earlier().any(|snapshot| snapshot.seen == SnapshotSeen::Wanted) {
        return Err("the one before is still to be taken".to_owned());
    }
    if state.open_move(vnode.id).is_some() {
        return Err("it is on its way to another worker".to_owned());
    }
    let failed = earlier().filter(|snapshot| snapshot.is_failed());
    let mut events: Vec<Event> = failed.map(|snapshot| deleted(vnode, snapshot)).collect();
    if named(state, vnode, name).is_some_and(|snapshot| !snapshot.is_failed()) {
        return Err(format!("there is one called {name}"));
    }
    events.extend(room::room(ground, schedule, vnode, taken)?);
    let ttl_ms = schedule.rhythm.ttl_ms;
    let expires_at = ttl_ms.map(|ttl_ms| ground.entry.at.plus_ms(ttl_ms));
    let snapshot = new(ground, vnode, name, SnapshotWhy::Scheduled, expires_at)
        .map_err(|_| "no worker has it yet".to_owned())?;
    events.push(asked(snapshot));
    Ok(events)
}

fn expire(ground: Ground<'_>) -> Decision {
    let state = ground.state;
    let over = schedule::expired(state, ground.entry.at).take(schedule::EXPIRED_MAX);
    let events = over.filter_map(|snapshot| {
        let vnode = state.vnodes.get(&snapshot.vnode)?;
        Some(deleted(vnode, snapshot))
    });
    Decision::quiet(events.collect())
}
