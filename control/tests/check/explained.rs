//! Whoever sees a vnode is told why it is where it is, or nowhere: of every worker, and never nothing.

use docklet_control::model::{User, Vnode};
use docklet_control::view::Explanation;
use docklet_control::view::explain;
use docklet_control::{State, permit};

use super::demand;

/// # Errors
/// Of which vnode something is not said, and to whom.
pub fn check(state: &State) -> Result<(), String> {
    state.users.values().try_for_each(|user| of(state, user))
}

fn of(state: &State, user: &User) -> Result<(), String> {
    let vnodes = state.vnodes.values();
    let visible = vnodes.filter(|vnode| permit::watches(user, vnode.owner));
    let visible: Vec<&Vnode> = visible.collect();
    let told = explain::vnodes(state, user, &visible);
    demand(told.len() == visible.len(), "a vnode is not explained")?;
    told.iter().try_for_each(|told| whole(state, user, told))
}

fn whole(state: &State, user: &User, told: &Explanation) -> Result<(), String> {
    let demand = |holds, what: &str| {
        let otherwise = format!("{what} of {} to user {}: {told:?}", told.vnode, user.id);
        demand(holds, &otherwise)
    };
    demand(!told.summary.is_empty(), "no summary")?;
    demand(!told.quota.is_empty(), "no word about the quota")?;
    let helps = &told.unblock;
    let says = !helps.is_empty() && helps.iter().all(|line| !line.is_empty());
    demand(says, "nothing that would help")?;
    let all = told.workers.len() == state.workers.len();
    demand(all, "a worker is left out")?;
    for verdict in &told.workers {
        let either = verdict.place.is_some() == verdict.lacks.is_empty();
        demand(either, "neither a place nor a lack")?;
        let texts = verdict.lacks.iter().all(|lack| !lack.text.is_empty());
        demand(texts, "a lack without words")?;
    }
    Ok(())
}
