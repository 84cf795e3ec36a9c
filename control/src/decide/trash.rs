//! The trash: what is deleted can be had back for a while. Since version 3.

mod account;
mod kept;

use super::{Decision, Ground, in_range, moves, port, snapshot, vcluster};
use crate::account::standing::deleted;
use crate::event::{Event, VclusterRef};
use crate::id::{UnixMs, UserId, VclusterId};
use crate::model::receipt::Subject;
use crate::model::trash::{ReleasePolicy, TrashPolicy, TrashWhy, Trashed};
use crate::model::{Port, Vcluster, VclusterWanted, Vnode, VnodeWanted};
use crate::name::Name;
use crate::notice::news;
use crate::permit;
use crate::quota::{self, Amounts};
use crate::refusal::Refusal;
use crate::state::State;
use crate::trash::command::TrashCommand;
use crate::trash::event::TrashEvent;
use crate::trash::{due, gpus, too_many};

pub(super) use account::dropped;

pub(super) fn decide(ground: Ground<'_>, command: &TrashCommand) -> Result<Decision, Refusal> {
    match command {
        TrashCommand::Discard { vcluster } => discard(ground, *vcluster),
        TrashCommand::Undelete { vcluster, name } => undelete(ground, *vcluster, name.as_deref()),
        TrashCommand::Purge { vcluster } => {
            let (row, _) = in_trash(ground, *vcluster)?;
            let events = vcluster::delete_now(ground, row)?;
            Ok(Decision::new(Subject::Vcluster(*vcluster), events))
        }
        TrashCommand::SetPolicy { policy } => set_policy(ground, *policy),
        TrashCommand::Empty => Ok(empty(ground)),
        TrashCommand::Warn { vclusters } => Ok(warn(ground, vclusters)),
        TrashCommand::Release { vclusters } => Ok(release(ground, vclusters)),
        TrashCommand::Keep { thing } => kept::keep(ground, thing),
        TrashCommand::Recover { kind, number, name } => {
            kept::recover(ground, *kind, *number, name.as_deref())
        }
        TrashCommand::Drop { kind, number } => kept::drop(ground, *kind, *number),
    }
}

fn discard(ground: Ground<'_>, id: VclusterId) -> Result<Decision, Refusal> {
    let row = vcluster::changeable(ground, id)?;
    let keeps = ground.state.trash_policy().undo_ms();
    if keeps == 0 || goes_at_once(ground.state, id) {
        return vcluster::delete(ground, id);
    }
    let by = permit::person(ground.state, ground.entry.actor)?.id;
    let live = ground.state.live_vnodes_of(id);
    snapshot::refuse_sources(ground.state, live)?;
    let until = ground.entry.at.plus_ms(keeps);
    let mut events = Vec::new();
    for oldest in too_many(ground.state, row.owner) {
        events.extend(gone_for_good(ground, oldest));
    }
    events.extend(into_trash(ground, row, until, TrashWhy::Deleted { by }));
    Ok(Decision::new(Subject::Vcluster(id), events))
}

/// As if there were no trash: what is a copy that was never made would keep its source.
fn goes_at_once(state: &State, id: VclusterId) -> bool {
    let mut live = state.live_vnodes_of(id).into_iter();
    live.any(|vnode| state.snapshot_copies.contains_key(&vnode.id))
}

/// It stands still from now on, its ports are closed, and nothing of it moves.
fn into_trash(ground: Ground<'_>, row: &Vcluster, until: UnixMs, why: TrashWhy) -> Vec<Event> {
    let state = ground.state;
    let live = state.live_vnodes_of(row.id);
    let ports: Vec<Port> = live
        .iter()
        .flat_map(|vnode| state.ports_of(vnode.id))
        .cloned()
        .collect();
    let mut events: Vec<Event> = Vec::new();
    for vnode in &live {
        events.extend(port::remove_all(state, vnode));
        events.extend(moves::removed(state, vnode));
    }
    let ran = row.wanted == VclusterWanted::Running;
    events.extend(vcluster::stopped(ground, row));
    let trashed = Trashed {
        vcluster: row.id,
        owner: row.owner,
        at: ground.entry.at,
        until,
        why,
        ran,
        ports,
    };
    events.push(Event::Trash(TrashEvent::Discarded { trashed }));
    events
}

/// What is in the trash, if the asker may have it back. That it goes for good already is as if it were gone.
fn in_trash(ground: Ground<'_>, id: VclusterId) -> Result<(&Vcluster, &Trashed), Refusal> {
    let asker = permit::person(ground.state, ground.entry.actor)?;
    let missing = || Refusal::not_found("deleted vcluster", id);
    let trashed = ground.state.trashed.get(&id);
    let trashed =
        trashed.filter(|trashed| permit::owns(asker, trashed.owner) && !ground.state.is_going(id));
    let trashed = trashed.ok_or_else(missing)?;
    let row = ground.state.vclusters.get(&id).ok_or_else(missing)?;
    Ok((row, trashed))
}

/// It counts again, so there must be room in its owner's quota; ports that others have by now are not given back.
fn undelete(ground: Ground<'_>, id: VclusterId, name: Option<&str>) -> Result<Decision, Refusal> {
    let state = ground.state;
    let (row, trashed) = in_trash(ground, id)?;
    if state.kept_account(row.owner).is_some() {
        return Err(deleted(state, row.owner).into());
    }
    let name = match name {
        Some(name) => Name::parse("vcluster", name)?,
        None => row.name.clone(),
    };
    let owner = state.users.get(&row.owner);
    let owner = owner.ok_or_else(|| Refusal::not_found("user", row.owner))?;
    vcluster::refuse_taken(ground, owner, &name)?;
    quota::check(state, row.owner, &counted(state, id))?;
    let mut events = again(ground, row, trashed, name);
    events.extend(ports_again(ground, row.owner, &trashed.ports));
    Ok(Decision::new(Subject::Vcluster(id), events))
}

/// What it takes of a quota when it is back, but for its ports.
fn counted(state: &State, id: VclusterId) -> Amounts {
    let of = |vnode: &Vnode| {
        Amounts::of_vnode(state.promised_to(vnode), state.wishes_of(vnode.id))
            .plus(state.snapshots_counted(vnode))
    };
    state.live_vnodes_of(id).into_iter().map(of).sum()
}

fn again(ground: Ground<'_>, row: &Vcluster, trashed: &Trashed, name: Name) -> Vec<Event> {
    let about = VclusterRef::from(row);
    let mut events = vec![Event::Trash(TrashEvent::Restored { about, name })];
    if trashed.ran {
        let (wanted, vnodes) = (VclusterWanted::Running, VnodeWanted::Running);
        events.extend(vcluster::want(ground, row, wanted, vnodes));
    }
    events
}

fn ports_again(ground: Ground<'_>, owner: UserId, ports: &[Port]) -> Vec<Event> {
    let state = ground.state;
    let there = |port: &&Port| {
        let vnode = state.vnodes.get(&port.vnode);
        vnode.is_some_and(|vnode| vnode.wanted != VnodeWanted::Removed)
            && !state.ports.contains_key(&port.public)
    };
    let mut ports: Vec<Port> = ports.iter().filter(there).cloned().collect();
    let open = state.ports.values().filter(|port| port.owner == owner);
    ports.truncate(Port::PER_OWNER_MAX.saturating_sub(open.count()));
    let fits = |count: usize| {
        let more: Amounts = std::iter::repeat_n(Amounts::PORT, count).sum();
        quota::check(state, owner, &more).is_ok()
    };
    while !ports.is_empty() && !fits(ports.len()) {
        ports.pop();
    }
    let added = ports.into_iter().map(|port| Event::PortAdded { port });
    added.collect()
}

fn set_policy(ground: Ground<'_>, policy: TrashPolicy) -> Result<Decision, Refusal> {
    let most = u64::from(TrashPolicy::UNDO_MINUTES_MAX);
    in_range(
        "time to undo",
        policy.undo_minutes.into(),
        0..=most,
        "minutes",
    )?;
    if let Some(release) = policy.release {
        let days = |what, days: u32, least| {
            let most = u64::from(ReleasePolicy::DAYS_MAX);
            in_range(what, days.into(), least..=most, "days")
        };
        days("time before the warning", release.warn_after_days, 1)?;
        days("grace", release.grace_days, 1)?;
        days("time in the trash", release.keep_days, 1)?;
    }
    if ground.state.trash_policy() == policy {
        return Ok(Decision::quiet(Vec::new()));
    }
    Ok(Decision::quiet(vec![Event::Trash(TrashEvent::PolicySet {
        policy,
    })]))
}

fn empty(ground: Ground<'_>) -> Decision {
    let mut going: Vec<&Trashed> = due::over(ground.state, ground.entry.at).collect();
    if going.is_empty() {
        going.extend(gpus::in_the_way(ground.state));
    }
    Decision::quiet(
        going
            .into_iter()
            .flat_map(|trashed| gone_for_good(ground, trashed))
            .chain(kept::empty(ground))
            .collect(),
    )
}

/// Nothing, while somebody's disk is being made of it: the next look finds it again.
fn gone_for_good(ground: Ground<'_>, trashed: &Trashed) -> Vec<Event> {
    let row = ground.state.vclusters.get(&trashed.vcluster);
    let events = row.and_then(|row| vcluster::delete_now(ground, row).ok());
    events.unwrap_or_default()
}

/// Who was started meanwhile is not told, and what is told already is not told again.
fn warn(ground: Ground<'_>, vclusters: &[VclusterId]) -> Decision {
    let state = ground.state;
    let Some(policy) = state.trash_policy().release else {
        return Decision::quiet(Vec::new());
    };
    let due = due::to_warn(state, ground.entry.at).filter(|id| vclusters.contains(id));
    let mut telling = ground.moment().telling();
    let warned = due.filter_map(|id| {
        let release_at = ground.entry.at.plus_ms(policy.grace_ms());
        let row = state.vclusters.get(&id)?;
        news::will_be_released(&mut telling, row, release_at);
        let about = VclusterRef::from(row);
        Some(Event::Trash(TrashEvent::Warned { about, release_at }))
    });
    let mut events: Vec<Event> = warned.collect();
    events.extend(telling.done());
    Decision::quiet(events)
}

fn release(ground: Ground<'_>, vclusters: &[VclusterId]) -> Decision {
    let state = ground.state;
    let Some(policy) = state.trash_policy().release else {
        return Decision::quiet(Vec::new());
    };
    let until = ground.entry.at.plus_ms(policy.keep_ms());
    let due = due::to_release(state, ground.entry.at).filter(|id| vclusters.contains(id));
    let rows = due.filter_map(|id| state.vclusters.get(&id));
    let mut telling = ground.moment().telling();
    let released = rows.flat_map(|row| {
        news::released(&mut telling, row, until);
        into_trash(ground, row, until, TrashWhy::Released)
    });
    let mut events: Vec<Event> = released.collect();
    events.extend(telling.done());
    Decision::quiet(events)
}
