//! Limits that change while vnodes run: CPU, memory, processes, disk and bandwidth.
//!
//! What a vnode uses at the moment is not known here, and would be another thing when its worker acts: memory that is in
//! use cannot be taken away, so a worker that is told to waits and says so. What workers have promised is known.

use std::collections::BTreeMap;

use super::{Decision, Ground, home, port, vcluster, wishes};
use crate::amount::DiskMib;
use crate::event::{Event, VclusterRef, VnodeRef};
use crate::id::{UserId, VclusterId, WorkerId};
use crate::limit::command::LimitCommand;
use crate::limit::event::LimitEvent;
use crate::limit::refusal::LimitRefusal;
use crate::model::receipt::Subject;
use crate::model::{
    Bandwidth, BandwidthWish, KbitPerS, SizeChange, Vcluster, Vnode, VnodeResize, Wishes, Worker,
};
use crate::place;
use crate::quota::{self, Amounts};
use crate::refusal::Refusal;
use crate::report::{ResizeReport, ResizeTold};
use crate::state::State;

pub(super) fn decide(ground: Ground<'_>, command: &LimitCommand) -> Result<Decision, Refusal> {
    match command {
        LimitCommand::Resize { vcluster, change } => resize(ground, *vcluster, change),
        LimitCommand::SetBandwidthCeiling { ceiling } => set_ceiling(ground, *ceiling),
        LimitCommand::SetUsualHome { usual } => home::set_usual(ground, *usual),
        LimitCommand::SetHome { user, disk_mib } => home::set(ground, *user, *disk_mib),
        LimitCommand::Report { worker, reports } => report(ground.state, *worker, reports),
    }
}

/// Refuses a bandwidth that no vnode may have, or none of this owner's.
pub(super) fn check_bandwidth(state: &State, owner: UserId, rate: KbitPerS) -> Result<(), Refusal> {
    port::check_rate("bandwidth", rate)?;
    quota::check_bandwidth(state, owner, rate)?;
    let ceiling = state.bandwidth_ceiling();
    for (way, most) in [("send", ceiling.sent), ("receive", ceiling.received)] {
        if let Some(most) = most.filter(|most| rate > *most) {
            return Err(LimitRefusal::AboveCeiling {
                way: way.to_owned(),
                given: rate.0,
                most: most.0,
            }
            .into());
        }
    }
    Ok(())
}

/// What a new vcluster wishes, if that is not the site's setting.
pub(super) fn of_vcluster(vcluster: &Vcluster, rate: Option<KbitPerS>) -> Option<Event> {
    rate.map(|rate| {
        Event::Limit(LimitEvent::BandwidthWished {
            about: VclusterRef::from(vcluster),
            rate: Some(rate),
        })
    })
}

/// Gives all vnodes of a vcluster other limits, also those that are added later.
pub(super) fn resize(
    ground: Ground<'_>,
    id: VclusterId,
    change: &SizeChange,
) -> Result<Decision, Refusal> {
    let state = ground.state;
    let vcluster = vcluster::changeable(ground, id)?;
    check(state, vcluster, change)?;
    let vnodes = state.live_vnodes_of(id);
    if let Some(disk_mib) = change.disk_mib {
        wishes::refuse_shrinking(ground, vcluster, &vnodes, disk_mib)?;
    }
    quota::check(state, vcluster.owner, &taken_more(state, &vnodes, change))?;
    refuse_overfull(state, &vnodes, change)?;
    let mut events = of_new_vnodes(state, vcluster, change);
    let bandwidth = bandwidth_changes(state, vcluster, change);
    for vnode in vnodes {
        events.extend(of_one(ground, vnode, change, bandwidth));
    }
    Ok(Decision::new(Subject::Vcluster(id), events))
}

/// How much more of its owner's quota the vnodes take. What a worker is to take away is still there until it says otherwise.
fn taken_more(state: &State, vnodes: &[&Vnode], change: &SizeChange) -> Amounts {
    let more = vnodes.iter().map(|vnode| {
        let (has, wishes) = (state.promised_to(vnode), state.wishes_of(vnode.id));
        let wanted = change.of(vnode.size);
        let then = Amounts::of_vnode(wanted.max(has), &with_disk(wishes, change.disk_mib));
        then.minus(Amounts::of_vnode(has, wishes))
    });
    more.sum()
}

fn check(state: &State, vcluster: &Vcluster, change: &SizeChange) -> Result<(), Refusal> {
    if *change == SizeChange::default() {
        return Err(LimitRefusal::NothingToChange.into());
    }
    vcluster::check_size(change.of(vcluster.size))?;
    if let Some(disk_mib) = change.disk_mib {
        wishes::check_disk(disk_mib)?;
    }
    match change.bandwidth {
        Some(BandwidthWish::KbitPerS(rate)) => check_bandwidth(state, vcluster.owner, rate),
        Some(BandwidthWish::Site) | None => Ok(()),
    }
}

/// What vnodes of the vcluster will have from now on, as far as it is another thing.
fn of_new_vnodes(state: &State, vcluster: &Vcluster, change: &SizeChange) -> Vec<Event> {
    let about = VclusterRef::from(vcluster);
    let size = change.of(vcluster.size);
    let resized = LimitEvent::VclusterResized { about, size };
    let resized = (size != vcluster.size).then_some(Event::Limit(resized));
    let now = state.wishes_of_vcluster(vcluster.id);
    let wished = with_disk(now, change.disk_mib);
    let wished = (wished != *now).then_some(Event::VclusterWished {
        about,
        wishes: wished,
    });
    let rate = rate_after(state, vcluster, change);
    let limited = LimitEvent::BandwidthWished { about, rate };
    let differs = rate != state.wished_bandwidth(vcluster.id);
    let limited = differs.then_some(Event::Limit(limited));
    resized.into_iter().chain(wished).chain(limited).collect()
}

fn rate_after(state: &State, vcluster: &Vcluster, change: &SizeChange) -> Option<KbitPerS> {
    match change.bandwidth {
        Some(BandwidthWish::KbitPerS(rate)) => Some(rate),
        Some(BandwidthWish::Site) => None,
        None => state.wished_bandwidth(vcluster.id),
    }
}

fn bandwidth_changes(state: &State, vcluster: &Vcluster, change: &SizeChange) -> bool {
    rate_after(state, vcluster, change) != state.wished_bandwidth(vcluster.id)
}

fn with_disk(wishes: &Wishes, disk_mib: Option<DiskMib>) -> Wishes {
    Wishes {
        disk_mib: disk_mib.unwrap_or(wishes.disk_mib),
        ..wishes.clone()
    }
}

/// What becomes another thing for one vnode. Who has it must put that in force, and say so.
fn of_one(
    ground: Ground<'_>,
    vnode: &Vnode,
    change: &SizeChange,
    bandwidth: bool,
) -> impl Iterator<Item = Event> {
    let about = VnodeRef::from(vnode);
    let size = change.of(vnode.size);
    let resized = LimitEvent::VnodeResized { about, size };
    let resized = (size != vnode.size).then_some(Event::Limit(resized));
    let now = ground.state.wishes_of(vnode.id);
    let wished = with_disk(now, change.disk_mib);
    let wished = (wished != *now).then_some(Event::VnodeWished {
        about,
        wishes: wished,
    });
    let changes = bandwidth || resized.is_some() || wished.is_some();
    let placed = vnode.placement.filter(|_| changes);
    let asked = placed.map(|placed| {
        Event::Limit(LimitEvent::ResizeAsked {
            about,
            resize: VnodeResize {
                vnode: vnode.id,
                number: ground.index,
                epoch: placed.epoch,
                holds: ground.state.promised_to(vnode),
                waits: String::new(),
            },
        })
    });
    resized.into_iter().chain(wished).chain(asked)
}

/// What more is wanted of one worker. What vnodes are to lose they have until their worker says otherwise.
#[derive(Default)]
struct More {
    cpu_milli: u64,
    memory_mib: u64,
    disk_mib: u64,
    /// The largest disk of all.
    disk_mib_most: u64,
}

impl More {
    fn add(&mut self, state: &State, vnode: &Vnode, change: &SizeChange) {
        let old = state.promised_to(vnode);
        let new = old.max(change.of(vnode.size));
        let had = state.wishes_of(vnode.id).disk_mib;
        let disk = change.disk_mib.unwrap_or(had).max(had);
        self.cpu_milli += u64::from(new.cpu_milli.0 - old.cpu_milli.0);
        self.memory_mib += u64::from(new.memory_mib.0 - old.memory_mib.0);
        self.disk_mib += disk.0 - had.0;
        if disk > had {
            self.disk_mib_most = self.disk_mib_most.max(disk.0);
        }
    }
}

/// Refuses what some worker could not promise. Of vnodes that no worker has yet the scheduler takes care.
fn refuse_overfull(state: &State, vnodes: &[&Vnode], change: &SizeChange) -> Result<(), Refusal> {
    let mut more: BTreeMap<WorkerId, More> = BTreeMap::new();
    for vnode in vnodes {
        if let Some(placed) = vnode.placement {
            more.entry(placed.worker)
                .or_default()
                .add(state, vnode, change);
        }
    }
    for (id, more) in more {
        if let Some(worker) = state.workers.get(&id) {
            refuse_more(state, worker, &more)?;
        }
    }
    Ok(())
}

fn refuse_more(state: &State, worker: &Worker, more: &More) -> Result<(), Refusal> {
    let load = place::load(state, worker);
    let left = |most: u64, promised: u64| most.saturating_sub(promised);
    let whole = worker.facts.capacity.disk_mib.0;
    let all = [
        (
            "CPU",
            more.cpu_milli,
            left(load.cpu_milli_max, load.cpu_milli),
            "m",
        ),
        (
            "memory",
            more.memory_mib,
            left(load.memory_mib_max, load.memory_mib),
            "MiB",
        ),
        // No disk is larger than its worker's whole.
        ("disk", more.disk_mib_most, whole, "MiB"),
        (
            "disk",
            more.disk_mib,
            left(load.disk_mib_max, load.disk_mib),
            "MiB",
        ),
    ];
    for (what, wanted, free, unit) in all {
        if wanted > free {
            return Err(Refusal::NoRoom {
                worker: worker.name.to_string(),
                what: what.to_owned(),
                wanted,
                free,
                unit: unit.to_owned(),
            });
        }
    }
    Ok(())
}

/// What is above it already is cut to it.
fn set_ceiling(ground: Ground<'_>, ceiling: Bandwidth) -> Result<Decision, Refusal> {
    port::check_rates(ceiling)?;
    let same = ground.state.bandwidth_ceiling == Some(ceiling);
    let event = (!same).then_some(Event::Limit(LimitEvent::BandwidthCeilingSet { ceiling }));
    Ok(Decision::quiet(event.into_iter().collect()))
}

/// Takes what a worker says. What is about another wish than the last says nothing.
fn report(state: &State, worker: WorkerId, reports: &[ResizeReport]) -> Result<Decision, Refusal> {
    for report in reports {
        if let ResizeTold::Waits { cause } = &report.told {
            super::plain_text("a report's text", cause, VnodeResize::WAITS_BYTES_MAX)?;
        }
    }
    // Of two about one vnode the first counts; the worker says the other again if it still matters.
    let mut told: BTreeMap<_, &ResizeReport> = BTreeMap::new();
    for report in reports {
        told.entry(report.vnode).or_insert(report);
    }
    let events = told.into_values().filter_map(|report| {
        let vnode = state.vnodes.get(&report.vnode)?;
        let resize = state.vnode_resizes.get(&report.vnode)?;
        let placed = vnode.placement.filter(|placed| placed.worker == worker)?;
        let meant = resize.number == report.number && resize.epoch == placed.epoch;
        let news = match &report.told {
            ResizeTold::Done => true,
            ResizeTold::Waits { cause } => resize.waits != *cause,
        };
        (meant && news).then(|| {
            Event::Limit(LimitEvent::ResizeTold {
                about: VnodeRef::from(vnode),
                number: report.number,
                told: report.told.clone(),
            })
        })
    });
    Ok(Decision::quiet(events.collect()))
}
