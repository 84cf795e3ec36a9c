//! What must hold of beans: each balance is the sum of its lines and of what was before them, and rows are of somebody.

use std::collections::{BTreeMap, BTreeSet};

use crate::bean;
use crate::model::{BeanDay, BeanDays, BeanLine, LineOf, MicroBeans, Month, PurseOf, Used};
use crate::state::State;

/// Counted anew, from the lines alone.
pub(super) fn balances_are_right(state: &State, broken: &mut Vec<String>) {
    let mut counted: BTreeMap<PurseOf, MicroBeans> = BTreeMap::new();
    for line in state.bean_lines.values() {
        let sum = counted.entry(line.of).or_default();
        *sum = sum.plus(line.amount());
    }
    for purse in state.purses.values() {
        let lines = counted.remove(&purse.of).unwrap_or_default();
        let name = bean::called(state, purse.of);
        if purse.balance != purse.before.plus(lines) {
            broken.push(format!("the balance of {name} is not what its lines say"));
        }
        let spent = purse.balance.is_spent();
        // Whoever begins with nothing is as one who has spent all.
        if spent != purse.spent_since.is_some() {
            broken.push(format!("{name} has beans and is taken for one without"));
        }
    }
    for of in counted.keys() {
        let name = bean::called(state, *of);
        broken.push(format!("there are lines of {name}, who has no purse"));
    }
    let spent: BTreeSet<PurseOf> = state.spent_purses().collect();
    let purses = state.purses.values();
    let anew = purses.filter(|purse| purse.spent_since.is_some());
    if spent != anew.map(|purse| purse.of).collect() {
        broken.push("other purses are taken for empty".to_owned());
    }
}

/// The days of a month come to what its lines come to, and none is missing of those months of which days are kept.
pub(super) fn days_are_as_lines(state: &State, broken: &mut Vec<String>) {
    let mut by_month: BTreeMap<(PurseOf, Month), BeanDay> = BTreeMap::new();
    let mut newest: BTreeMap<PurseOf, Month> = BTreeMap::new();
    for line in state.bean_lines.values() {
        let more = BeanDay {
            cost: line.cost,
            credit: line.credit,
        };
        let sum = by_month.entry((line.of, line.month)).or_default();
        *sum = sum.plus(&more);
        newest.insert(line.of, line.month);
    }
    let is_kept = |(of, month): &(PurseOf, Month)| {
        let newest = newest.get(of).map_or(0, |month| month.0);
        month.0 + BeanDays::MONTHS_KEPT > newest
    };
    by_month.retain(|key, _| is_kept(key));
    for days in state.bean_days.values() {
        let day_by_day = days.days.values();
        let sum = day_by_day.fold(BeanDay::default(), |sum, day| sum.plus(day));
        if by_month.remove(&days.key()) != Some(sum) {
            let name = bean::called(state, days.of);
            broken.push(format!(
                "the days of {name} in {} are not its lines",
                days.month
            ));
        }
    }
    for (of, month) in by_month.keys() {
        let name = bean::called(state, *of);
        broken.push(format!("there are no days of {name} in {month}"));
    }
}

/// Each purse, tally and request is of somebody who is there, tallies only where beans are in use, and there are not too many
/// lines.
pub(super) fn rows_are_of_somebody(state: &State, broken: &mut Vec<String>) {
    for of in state.purses.keys() {
        let there = match of {
            PurseOf::User(user) => state.users.contains_key(user),
            PurseOf::Group(group) => state.groups.contains_key(group),
        };
        if !there {
            broken.push(format!("{of:?} has a purse and is not there"));
        }
    }
    for request in state.bean_requests.values() {
        if !state.users.contains_key(&request.user) {
            broken.push(format!("user {} asks and is not there", request.user));
        }
    }
    for tally in state.tallies.values() {
        let used = tally.used.as_ref();
        let sound = used.is_none_or(|used| used.follows(&Used::default()));
        let there = state.users.contains_key(&tally.owner);
        if !sound || !there || bean::in_use(state).is_none() {
            broken.push(format!("the tally of vnode {} is not sound", tally.vnode));
        }
    }
    // Of what runs nothing is left out.
    if bean::in_use(state).is_some() {
        let placed = state.vnodes.values();
        let placed = placed.filter_map(|vnode| Some((vnode.id, vnode.placement?)));
        for (vnode, placement) in placed {
            let tally = state.tallies.get(&(vnode, placement.epoch));
            if tally.is_none_or(|tally| tally.worker != placement.worker) {
                broken.push(format!("nobody counts what vnode {vnode} uses"));
            }
        }
    }
    let mut months: BTreeMap<(PurseOf, Month), usize> = BTreeMap::new();
    for line in state.bean_lines.values() {
        if matches!(line.about, LineOf::Vnode(_)) {
            *months.entry((line.of, line.month)).or_default() += 1;
        }
    }
    if months.values().any(|lines| *lines > BeanLine::VNODES_MAX) {
        broken.push("there are too many lines in a month".to_owned());
    }
}
