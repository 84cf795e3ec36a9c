//! Purses, tallies and lines. A balance changes with the line that says why, and nowhere else.

use std::collections::BTreeMap;

use crate::bean::event::{BeanEvent, Charge, Grant};
use crate::bean::in_use;
use crate::id::{Epoch, GroupId, LogIndex, UnixMs, UserId, VnodeId};
use crate::model::{
    BeanDay, BeanDays, BeanLine, BeanSettings, Cost, DayOfMonth, LineOf, MicroBeans, Month,
    Placement, Purse, PurseOf, Tally, Used,
};
use crate::state::State;

pub(super) fn evolve(state: &mut State, at: UnixMs, event: BeanEvent) {
    match event {
        BeanEvent::Set { settings } => set(state, at, settings),
        BeanEvent::Opened {
            of, beans, number, ..
        } => {
            if is_there(state, of) && !state.purses.contains_key(&of) {
                state.put_purse(Purse {
                    of,
                    balance: MicroBeans(0),
                    before: MicroBeans(0),
                    spent_since: None,
                });
                credit(state, at, of, number, beans);
            }
        }
        BeanEvent::Closed { of, .. } => closed(state, of),
        BeanEvent::Charged { charge } => charged(state, at, charge),
        BeanEvent::Granted { grant, .. } => granted(state, at, &grant),
        BeanEvent::Requested { request, .. } | BeanEvent::Decided { request, .. } => {
            if state.users.contains_key(&request.user) {
                state.put_bean_request(request);
            }
        }
        BeanEvent::Withdrawn { request, .. } => state.remove_bean_request(&request.user),
        BeanEvent::TakenBack { taken, .. } => {
            let beans = MicroBeans::whole(taken.beans);
            credit(state, at, taken.of, taken.number, MicroBeans(-beans.0));
        }
        BeanEvent::TallyBegun { about, used } => {
            change(state, (about.vnode, about.epoch), |tally| {
                tally.used = Some(used);
            });
        }
        BeanEvent::TallyBehind { about } => {
            change(state, (about.vnode, about.epoch), |tally| {
                tally.behind = true;
            });
        }
        BeanEvent::TallyEnded { about } => state.remove_tally(&(about.vnode, about.epoch)),
        BeanEvent::RanLow { .. } | BeanEvent::Stopped { .. } => {}
    }
}

fn is_there(state: &State, of: PurseOf) -> bool {
    match of {
        PurseOf::User(user) => state.users.contains_key(&user),
        PurseOf::Group(group) => state.groups.contains_key(&group),
    }
}

/// What was used while nobody counted is not charged: of what runs already, the first that workers tell is the beginning.
fn set(state: &mut State, at: UnixMs, settings: BeanSettings) {
    let (was, is) = (in_use(state).is_some(), settings.on);
    state.bean_settings = Some(settings);
    if was && !is {
        let keys: Vec<_> = state.tallies.keys().copied().collect();
        keys.iter().for_each(|key| state.remove_tally(key));
    }
    if is && !was {
        let placed = state.vnodes.values();
        let placed = placed.filter_map(|vnode| Some((vnode.id, vnode.placement?)));
        for (vnode, placement) in placed.collect::<Vec<_>>() {
            open_tally(state, vnode, placement, None);
        }
        let spent: Vec<PurseOf> = state.spent_purses().collect();
        for of in spent {
            if let Some(mut purse) = state.purses.get(&of).cloned() {
                purse.spent_since = Some(at);
                state.put_purse(purse);
            }
        }
    }
}

/// A placement begins: from here on all is charged.
pub(super) fn placed(state: &mut State, vnode: VnodeId, placement: Placement) {
    if in_use(state).is_some() {
        open_tally(state, vnode, placement, Some(Used::default()));
    }
}

fn open_tally(state: &mut State, id: VnodeId, placement: Placement, used: Option<Used>) {
    let Some(vnode) = state.vnodes.get(&id) else {
        return;
    };
    let vcluster = state.vclusters.get(&vnode.vcluster);
    let vcluster = vcluster.map_or_else(String::new, |row| row.name.to_string());
    state.put_tally(Tally {
        vnode: id,
        epoch: placement.epoch,
        worker: placement.worker,
        owner: vnode.owner,
        vcluster: vnode.vcluster,
        label: format!("{vcluster}/{}", vnode.hostname()),
        used,
        hour: MicroBeans(0),
        charged: MicroBeans(0),
        behind: false,
    });
}

fn change(state: &mut State, key: (VnodeId, Epoch), with: impl FnOnce(&mut Tally)) {
    if let Some(mut tally) = state.tallies.get(&key).cloned() {
        with(&mut tally);
        state.put_tally(tally);
    }
}

fn charged(state: &mut State, at: UnixMs, charge: Charge) {
    let (about, of) = (charge.about, PurseOf::User(charge.about.owner));
    change(state, (about.vnode, about.epoch), |tally| {
        let used = tally.used.clone().unwrap_or_default();
        tally.used = Some(used.plus(&charge.used));
        tally.hour = charge.hour;
        tally.charged = tally.charged.plus(charge.cost.sum());
        tally.behind = false;
    });
    let more = BeanDay {
        cost: charge.cost,
        credit: MicroBeans(0),
    };
    book(
        state,
        at,
        (of, charge.line),
        charge.id.index,
        &more,
        |line| {
            if charge.line != LineOf::Others {
                line.label = charge.label;
            }
            line.used = line.used.plus(&charge.used);
        },
    );
}

fn granted(state: &mut State, at: UnixMs, grant: &Grant) {
    let beans = MicroBeans::whole(grant.beans);
    credit(state, at, grant.to, grant.number, beans);
    if let Some(from) = grant.from {
        credit(state, at, from, grant.number, MicroBeans(-beans.0));
    }
}

fn credit(state: &mut State, at: UnixMs, of: PurseOf, number: LogIndex, beans: MicroBeans) {
    let more = BeanDay {
        cost: Cost::default(),
        credit: beans,
    };
    book(state, at, (of, LineOf::Credits), number, &more, |_| {});
}

/// Adds to a line and to its day, and changes the balance by as much.
fn book(
    state: &mut State,
    at: UnixMs,
    (of, about): (PurseOf, LineOf),
    number: LogIndex,
    more: &BeanDay,
    with: impl FnOnce(&mut BeanLine),
) {
    if !state.purses.contains_key(&of) {
        return;
    }
    let month = Month::of(at);
    if state.bean_lines_in(of, month).next().is_none() {
        drop_old(state, of, month);
    }
    let known = state.bean_lines.get(&(of, month, about)).cloned();
    let mut line = known.unwrap_or_else(|| BeanLine {
        of,
        month,
        about,
        label: match about {
            LineOf::Credits => "credits".to_owned(),
            LineOf::Vnode(vnode) => format!("vnode {vnode}"),
            LineOf::Others => "other vnodes".to_owned(),
        },
        used: Used::default(),
        cost: Cost::default(),
        credit: MicroBeans(0),
        count: 0,
        first: number,
        last: number,
    });
    let was = line.amount();
    with(&mut line);
    line.cost = line.cost.plus(&more.cost);
    line.credit = line.credit.plus(more.credit);
    line.count += 1;
    line.last = number;
    let by = line.amount().minus(was);
    state.put_bean_line(line);
    book_day(state, of, at, more);
    if let Some(mut purse) = state.purses.get(&of).cloned() {
        purse.balance = purse.balance.plus(by);
        purse.spent_since = match purse.spent_since {
            _ if !purse.balance.is_spent() => None,
            None => Some(at),
            since @ Some(_) => since,
        };
        state.put_purse(purse);
    }
}

fn book_day(state: &mut State, of: PurseOf, at: UnixMs, more: &BeanDay) {
    let month = Month::of(at);
    let known = state.bean_days.get(&(of, month)).cloned();
    let mut days = known.unwrap_or_else(|| BeanDays {
        of,
        month,
        days: BTreeMap::new(),
    });
    let day = days.days.entry(DayOfMonth::of(at)).or_default();
    *day = day.plus(more);
    state.put_bean_days(days);
    let oldest = Month(month.0.saturating_sub(BeanDays::MONTHS_KEPT - 1));
    let old = state.bean_days_of(of).map(BeanDays::key);
    let old: Vec<_> = old.take_while(|(_, month)| *month < oldest).collect();
    old.iter().for_each(|key| state.remove_bean_days(key));
}

/// Lines of long ago become part of what was before.
fn drop_old(state: &mut State, of: PurseOf, month: Month) {
    let oldest = Month(month.0.saturating_sub(BeanLine::MONTHS_KEPT - 1));
    let old = state.bean_lines_of(of);
    let old: Vec<BeanLine> = old
        .take_while(|line| line.month < oldest)
        .cloned()
        .collect();
    let Some(mut purse) = state.purses.get(&of).cloned().filter(|_| !old.is_empty()) else {
        return;
    };
    for line in old {
        purse.before = purse.before.plus(line.amount());
        state.remove_bean_line(&line.key());
    }
    state.put_purse(purse);
}

fn closed(state: &mut State, of: PurseOf) {
    state.remove_purse(&of);
    let keys: Vec<_> = state.bean_lines_of(of).map(BeanLine::key).collect();
    keys.iter().for_each(|key| state.remove_bean_line(key));
    let keys: Vec<_> = state.bean_days_of(of).map(BeanDays::key).collect();
    keys.iter().for_each(|key| state.remove_bean_days(key));
}

/// Whoever leaves has no purse, has asked for nothing, and pays for nothing any more.
pub(super) fn user_left(state: &mut State, user: UserId) {
    closed(state, PurseOf::User(user));
    state.remove_bean_request(&user);
    let tallies = state.tallies.values();
    let theirs = tallies.filter(|tally| tally.owner == user);
    let keys: Vec<_> = theirs.map(Tally::key).collect();
    keys.iter().for_each(|key| state.remove_tally(key));
}

pub(super) fn group_dissolved(state: &mut State, group: GroupId) {
    closed(state, PurseOf::Group(group));
}
