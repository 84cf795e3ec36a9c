//! How evenly workers are loaded, what would be moved, and when the leader does that by itself; on the page of workers.

use axum::extract::{Form, State};
use axum::response::Redirect;
use docklet_control::Command;
use docklet_control::model::RebalancePolicy;
use docklet_control::rebalance::command::{Extent, RebalanceCommand};
use docklet_control::rebalance::percent::{percent, permille};
use docklet_control::view::rebalance::{self, PlanView, PolicyView, span};
use maud::{Markup, html};
use serde::Deserialize;

use super::{by_command, check_csrf, csrf, instant, sentence};
use crate::asker::{Asker, now, propose};
use crate::past::aside;
use crate::problem::Problem;
use crate::serve::Portal;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// What can be chosen as the time for which it must hold, and as that of the budget.
const HOLDS_MS: [u64; 6] = [
    MINUTE_MS,
    5 * MINUTE_MS,
    10 * MINUTE_MS,
    30 * MINUTE_MS,
    HOUR_MS,
    6 * HOUR_MS,
];
const WINDOWS_MS: [u64; 4] = [10 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS, 24 * HOUR_MS];

/// The plan is of the moment in which the page was asked for; what is begun is found anew. Forms stay while figures change.
pub(super) async fn section(asker: &Asker) -> Result<Markup, Problem> {
    let (frozen, user) = (asker.frozen.clone(), asker.user.clone());
    let plan = move || rebalance::plan(&frozen.state, &user, now(), &Extent::default());
    let plan = aside(plan).await??;
    let policy = asker.frozen.state.rebalance_policy();
    Ok(html! {
        section #rebalance {
            h2 { "Balance" }
            (balance(asker))
            (planned(asker, &plan))
            (policy_form(asker, &policy))
            (by_command("docklet rebalance --plan"))
        }
    })
}

/// What changes by itself.
pub(super) fn balance(asker: &Asker) -> Markup {
    let state = &asker.frozen.state;
    let view = rebalance::policy(state, &asker.user, now());
    html! {
        div #balance data-uneven[view.uneven_since.is_some()] {
            p {
                "Of the most loaded worker " strong { (percent(view.spread_permille)) }
                " more is promised than of the least loaded one. "
                (sentence(&view.sentence()))
            }
            (waiting(&view))
            @if !view.under_way.is_empty() {
                ul.plain { @for moving in &view.under_way { li { (moving.vnode) " " (moving.moving.sentence()) } } }
            }
        }
    }
}

fn waiting(view: &PolicyView) -> Markup {
    html! {
        @if let (Some(since), Some(from)) = (view.uneven_since, view.moves_from) {
            p.hint { "Uneven since " (instant(since)) "; vnodes are moved from " (instant(from)) " on." }
        }
    }
}

fn planned(asker: &Asker, plan: &PlanView) -> Markup {
    let moves = plan.moves.len();
    let word = if moves == 1 { "vnode" } else { "vnodes" };
    html! {
        @if moves == 0 {
            p.hint data-moves="0" { (sentence(&plan.sentence())) }
        } @else {
            details.card data-moves=(moves) {
                summary { "Would move " (moves) " " (word) }
                p.hint { (sentence(&plan.sentence())) " What runs is down for the moment in which it is moved, unless it can be moved live." }
                (moves_table(plan))
                (shares_table(plan))
                form method="post" action="/rebalance/apply" {
                    (csrf(asker))
                    button.button type="submit" { "Move them" }
                }
            }
        }
    }
}

fn moves_table(plan: &PlanView) -> Markup {
    let pair = |before, after| format!("{} to {}", percent(before), percent(after));
    html! {
        table {
            thead { tr { th { "Vnode" } th { "From" } th { "Its share" } th { "To" } th { "Its share" } } }
            tbody {
                @for one in &plan.moves {
                    tr {
                        td.main data-label="Vnode" { (one.vnode) }
                        td data-label="From" { (one.from) }
                        td data-label="Its share" { (pair(one.from_before_permille, one.from_after_permille)) }
                        td data-label="To" { (one.to) }
                        td data-label="Its share" { (pair(one.to_before_permille, one.to_after_permille)) }
                    }
                }
            }
        }
    }
}

fn shares_table(plan: &PlanView) -> Markup {
    let share = |share: Option<u64>| share.map_or_else(|| "–".to_owned(), percent);
    html! {
        table {
            thead { tr { th { "Worker" } th { "Promised" } th { "Afterwards" } } }
            tbody {
                @for worker in &plan.workers {
                    tr {
                        td.main data-label="Worker" {
                            (worker.worker)
                            @if let Some(absence) = &worker.absence { p.hint { "takes no part: " (absence) } }
                        }
                        td data-label="Promised" { (share(worker.share_permille)) }
                        td data-label="Afterwards" { (share(worker.share_after_permille)) }
                    }
                }
            }
        }
    }
}

fn policy_form(asker: &Asker, policy: &RebalancePolicy) -> Markup {
    let threshold = percent(policy.threshold_permille.into());
    let threshold = threshold.trim_end_matches(" %");
    let (at_once_least, at_once_most) = RebalancePolicy::AT_ONCE_RANGE.into_inner();
    let (moves_least, moves_most) = RebalancePolicy::MOVES_RANGE.into_inner();
    html! {
        details.card {
            summary { "When the leader does it by itself" }
            form.fields method="post" action="/rebalance/policy" aria-label="When the leader evens out workers" {
                (csrf(asker))
                div.field {
                    label for="rebalance-enabled" { "By itself" }
                    select #rebalance-enabled name="enabled" {
                        option value="yes" selected[policy.enabled] { "On" }
                        option value="no" selected[!policy.enabled] { "Off" }
                    }
                }
                div.field {
                    label for="rebalance-threshold" { "Apart, in percent" }
                    input #rebalance-threshold name="threshold" type="number" min="1" max="100" step="0.1" value=(threshold) required;
                }
                div.field {
                    label for="rebalance-hold" { "For" }
                    (spans("rebalance-hold", "hold_ms", &HOLDS_MS, policy.hold_ms))
                }
                div.field {
                    label for="rebalance-at-once" { "At once" }
                    input #rebalance-at-once name="at_once" type="number" min=(at_once_least) max=(at_once_most) value=(policy.at_once) required;
                }
                div.field {
                    label for="rebalance-moves" { "Moves, at most" }
                    input #rebalance-moves name="moves_max" type="number" min=(moves_least) max=(moves_most) value=(policy.moves_max) required;
                }
                div.field {
                    label for="rebalance-window" { "Within" }
                    (spans("rebalance-window", "window_ms", &WINDOWS_MS, policy.window_ms))
                }
                button.button.secondary type="submit" { "Set" }
            }
        }
    }
}

fn spans(id: &str, name: &str, choices: &[u64], chosen: u64) -> Markup {
    html! {
        select id=(id) name=(name) {
            @for ms in choices { option value=(ms) selected[*ms == chosen] { (span(*ms)) } }
            @if !choices.contains(&chosen) { option value=(chosen) selected { (span(chosen)) } }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Confirmed {
    csrf: String,
}

pub(crate) async fn apply(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<Confirmed>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let extent = Extent::default();
    ask(&portal, &asker, RebalanceCommand::Apply { extent }).await
}

#[derive(Deserialize)]
pub(crate) struct Policy {
    csrf: String,
    enabled: String,
    /// In percent.
    threshold: String,
    hold_ms: u64,
    at_once: u32,
    moves_max: u32,
    window_ms: u64,
}

pub(crate) async fn set_policy(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<Policy>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let threshold = permille(&form.threshold);
    let unread = || Problem::malformed("threshold", "give percent, as 20 or 12.5");
    let policy = RebalancePolicy {
        enabled: form.enabled == "yes",
        threshold_permille: threshold.ok_or_else(unread)?,
        hold_ms: form.hold_ms,
        at_once: form.at_once,
        moves_max: form.moves_max,
        window_ms: form.window_ms,
    };
    ask(&portal, &asker, RebalanceCommand::SetPolicy { policy }).await
}

/// To the workers' page, which knows the write.
async fn ask(
    portal: &Portal,
    asker: &Asker,
    command: RebalanceCommand,
) -> Result<Redirect, Problem> {
    let receipt = propose(portal, asker, Command::Rebalance(command)).await?;
    Ok(Redirect::to(&format!("/workers?after={}", receipt.index)))
}
