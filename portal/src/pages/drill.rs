//! Drills: ordering one, watching it, and what the earlier ones cost. For admins.

use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use docklet_control::drill::command::DrillAsk;
use docklet_control::model::drill::{DrillStage, Verdict};
use docklet_control::model::receipt::Subject;
use docklet_control::permit;
use docklet_control::view::DrillView;
use docklet_control::view::drill::{self, duration};
use docklet_raft::DrillNow;
use maud::{Markup, html};
use serde::Deserialize;

use super::drill_chart::chart;
use super::{Page, check_csrf, csrf, instant};
use crate::api::drill::{find, start_command, stop};
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn list(State(portal): State<Portal>, asker: Asker) -> Result<Markup, Problem> {
    permit::operator(&asker.frozen.state, asker.actor(), "list drills")?;
    Ok(list_page(&portal, &asker, &NewDrill::default(), None))
}

fn list_page(portal: &Portal, asker: &Asker, form: &NewDrill, problem: Option<&Problem>) -> Markup {
    let body = html! {
        h1 { "Drills" }
        p.muted {
            "A drill breaks something on purpose, on this cluster, within the bounds that you give: everybody is told before, it ends by itself, and what it cost is kept."
        }
        @if let Some(problem) = problem { p.notice.refused role="alert" { (problem.detail) } }
        (running(portal, asker))
        (order(asker, form))
        (history(asker))
    };
    Page {
        title: "Drills",
        asker,
        live: Some("/live/drills".to_owned()),
        script: None,
    }
    .render(body)
}

pub(crate) fn list_fragments(portal: &Portal, asker: &Asker) -> Vec<(String, Markup)> {
    if permit::operator(&asker.frozen.state, asker.actor(), "list drills").is_err() {
        return Vec::new();
    }
    vec![
        ("running".to_owned(), running(portal, asker)),
        ("history".to_owned(), history(asker)),
    ]
}

/// The drill that is under way.
fn running(portal: &Portal, asker: &Asker) -> Markup {
    let state = &asker.frozen.state;
    let running = state.running_drill();
    html! {
        div #running {
            @if let Some(running) = running {
                @let view = drill::show(state, running);
                section.card.running {
                    h2 { a href={"/drills/" (view.id)} { "Drill " (view.id) } " " (stage(&view)) }
                    p { (view.what) "." }
                    (at_the_moment(portal.master.drill_now(view.id), &view))
                    (abort_form(asker, &view))
                }
            }
        }
    }
}

/// What the master that serves this page measures, if it does.
fn at_the_moment(now: Option<DrillNow>, view: &DrillView) -> Markup {
    html! {
        @if let Some(now) = now.filter(|now| now.sent > 0) {
            dl.facts {
                div { dt { "Without writes now" } dd { (duration(now.gap_ms / 100 * 100)) } }
                div { dt { "Longest since the fault" } dd { (duration(now.worst_gap_ms)) " of " (duration(view.gap_max_ms)) } }
                div { dt { "Probes acknowledged" } dd { (now.acked) " of " (now.sent) } }
            }
        }
    }
}

fn abort_form(asker: &Asker, view: &DrillView) -> Markup {
    html! {
        form.actions method="post" action={"/drills/" (view.id) "/abort"} {
            (csrf(asker))
            button.button.danger type="submit" { "Abort and heal" }
        }
    }
}

/// The stage or the verdict as a word with a mark.
fn stage(view: &DrillView) -> Markup {
    let (class, word) = match (view.verdict, view.stage) {
        (Some(Verdict::Passed), _) => ("running", "passed"),
        (Some(Verdict::Failed), _) => ("failed", "failed"),
        (Some(Verdict::Aborted), _) => ("stopped", "aborted"),
        (None, DrillStage::Announced) => ("pending", "announced"),
        (None, stage) => ("starting", stage.word()),
    };
    html! { span class={"phase phase-" (class)} { (word) } }
}

/// The form's fields, as text: what does not fit comes back as it was typed.
#[derive(Deserialize)]
pub(crate) struct NewDrill {
    csrf: String,
    kind: String,
    target: String,
    cut: String,
    fault_s: String,
    gap_max_s: String,
    announce_s: String,
}

impl Default for NewDrill {
    fn default() -> Self {
        let text = str::to_owned;
        Self {
            csrf: String::new(),
            kind: text("leader-loss"),
            target: String::new(),
            cut: text("both"),
            fault_s: text("5"),
            gap_max_s: text("3"),
            announce_s: text("10"),
        }
    }
}

impl NewDrill {
    fn ask(&self) -> Result<DrillAsk, Problem> {
        let word = |what: &str, error: String| Problem::malformed(what, error);
        Ok(DrillAsk {
            kind: self.kind.parse().map_err(|error| word("kind", error))?,
            cut: self.cut.parse().map_err(|error| word("cut", error))?,
            target: (!self.target.is_empty()).then(|| self.target.clone()),
            fault_ms: milliseconds("fault", &self.fault_s)?,
            gap_max_ms: milliseconds("accepted time without writes", &self.gap_max_s)?,
            announce_ms: milliseconds("announcement", &self.announce_s)?,
        })
    }
}

/// Seconds with at most three places.
fn milliseconds(what: &str, text: &str) -> Result<u64, Problem> {
    let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let number = |digits: &str| digits.parse::<u64>().ok().filter(|n| *n <= 1_000_000);
    let part = format!("{part:0<3}");
    match (number(whole), number(&part)) {
        (Some(seconds), Some(ms)) if part.len() == 3 => Ok(seconds * 1_000 + ms),
        _ => Err(Problem::malformed(what, "give seconds, as 5 or 2.5")),
    }
}

const KINDS: [(&str, &str); 5] = [
    ("leader-loss", "Leader lost: its process stops"),
    ("partition", "Partition: one master is cut off"),
    ("quorum-loss", "Quorum lost: most masters are cut off"),
    (
        "restore",
        "Nothing: a backup is restored beside the cluster",
    ),
    (
        "worker-loss",
        "Worker lost: nothing comes in or goes out of it",
    ),
];
const CUTS: [(&str, &str); 3] = [
    ("both", "both ways"),
    ("in", "it hears nobody"),
    ("out", "nobody hears it"),
];

fn order(asker: &Asker, form: &NewDrill) -> Markup {
    let masters = asker.frozen.state.masters.values();
    let workers = asker.frozen.state.workers.values();
    html! {
        details.card open[!form.csrf.is_empty()] {
            summary { "Order a drill" }
            form.stack method="post" action="/drills" data-confirm="Do this to the live cluster? Everybody who is logged in is told." {
                (csrf(asker))
                label for="kind" { "What is to go wrong" }
                select #kind name="kind" { @for (value, text) in KINDS { option value=(value) selected[value == form.kind] { (text) } } }
                div.pair {
                    div {
                        label for="target" { "To whom (partition, worker loss)" }
                        select #target name="target" {
                            option value="" { "the leader; the worker with the fewest vnodes" }
                            optgroup label="Masters" {
                                @for master in masters { option value=(master.name) selected[master.name.as_str() == form.target] { (master.name) } }
                            }
                            optgroup label="Workers" {
                                @for worker in workers { option value=(worker.name) selected[worker.name.as_str() == form.target] { (worker.name) } }
                            }
                        }
                    }
                    div {
                        label for="cut" { "Cut (partition)" }
                        select #cut name="cut" { @for (value, text) in CUTS { option value=(value) selected[value == form.cut] { (text) } } }
                    }
                }
                label for="fault" { "For at most, in seconds" }
                input #fault name="fault_s" inputmode="decimal" value=(form.fault_s) required;
                label for="gap" { "Accepted time without writes, in seconds" }
                input #gap name="gap_max_s" inputmode="decimal" value=(form.gap_max_s) required aria-describedby="gap-hint";
                p.hint #gap-hint { "Refused if it is expected to take longer, healed at once if it does. While a quorum is lost nobody writes: accept at least that time and three seconds more. A restore costs no writes; give it up to a minute. A lost worker costs none either: give it 30 seconds, and accept here how long vnodes may be away that begin anew elsewhere, without what is on their disks." }
                label for="announce" { "Announced before, in seconds" }
                input #announce name="announce_s" inputmode="decimal" value=(form.announce_s) required;
                div.actions { button.button type="submit" { "Announce the drill" } }
            }
        }
    }
}

pub(crate) async fn start(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<NewDrill>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    permit::operator(&asker.frozen.state, asker.actor(), "order a drill")?;
    match ordered(&portal, &asker, &form).await {
        Ok(place) => Ok(Redirect::to(&place).into_response()),
        Err(problem) => {
            let page = list_page(&portal, &asker, &form, Some(&problem));
            Ok((problem.status, page).into_response())
        }
    }
}

/// Where the new drill is to be seen.
async fn ordered(portal: &Portal, asker: &Asker, form: &NewDrill) -> Result<String, Problem> {
    let command = start_command(portal, form.ask()?).await?;
    let receipt = propose(portal, asker, command).await?;
    Ok(match receipt.accepted() {
        Ok(Subject::Drill(id)) => format!("/drills/{id}?after={}", receipt.index),
        Ok(_) | Err(_) => format!("/drills?after={}", receipt.index),
    })
}

#[derive(Deserialize)]
pub(crate) struct Abort {
    csrf: String,
}

pub(crate) async fn abort(
    State(portal): State<Portal>,
    asker: Asker,
    Path(id): Path<String>,
    Form(form): Form<Abort>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let receipt = stop(&portal, &asker, &id).await?;
    let place = format!("/drills/{id}?after={}", receipt.index);
    Ok(Redirect::to(&place).into_response())
}

fn history(asker: &Asker) -> Markup {
    let views = drill::list(&asker.frozen.state);
    let ended: Vec<DrillView> = views.into_iter().filter(|v| v.verdict.is_some()).collect();
    html! {
        div #history {
            h2 { "History" }
            @if ended.is_empty() {
                div.empty { p { "No drills yet. The first one tells how long writes wait when the leader is lost." } }
            } @else {
                (chart(&ended))
                table {
                    thead { tr { th { "Drill" } th { "Kind" } th { "Verdict" } th { "Without writes" } th { "Lost" } th { "Healed after" } th { "Ended" } } }
                    tbody { @for view in &ended { (row(view)) } }
                }
            }
        }
    }
}

fn row(view: &DrillView) -> Markup {
    let figures = view.figures.unwrap_or_default();
    let measured = figures.probes_acked > 0;
    html! {
        tr data-drill=(view.id) data-verdict=(view.verdict.map_or("", Verdict::word)) {
            td data-label="Drill" { a href={"/drills/" (view.id)} { (view.id) } }
            td data-label="Kind" { (view.kind.word()) p.hint { (view.targets.join(", ")) } }
            td data-label="Verdict" { (stage(view)) }
            td data-label="Without writes" {
                @if measured { (duration(figures.write_gap_ms)) p.hint { (duration(view.gap_max_ms)) " accepted" } } @else { "—" }
            }
            td data-label="Lost" { @if measured { (figures.probes_lost) " of " (figures.probes_acked) } @else { "—" } }
            td data-label="Healed after" { (optional(figures.healed_ms)) }
            td data-label="Ended" { @if let Some(at) = view.ended_at { (instant(at)) } }
        }
    }
}

fn optional(ms: Option<u64>) -> String {
    ms.map_or_else(|| "—".to_owned(), duration)
}

pub(crate) async fn show(
    State(portal): State<Portal>,
    asker: Asker,
    Path(id): Path<String>,
) -> Result<Markup, Problem> {
    let view = drill::show(&asker.frozen.state, find(&asker, &id)?);
    let body = html! {
        p.crumbs { a href="/drills" { "Drills" } " / " (view.id) }
        (detail(&portal, &asker, &view))
    };
    let title = format!("Drill {}", view.id);
    let page = Page {
        title: &title,
        asker: &asker,
        live: Some(format!("/live/drills/{}", view.id)),
        script: None,
    };
    Ok(page.render(body))
}

pub(crate) fn show_fragments(portal: &Portal, asker: &Asker, id: &str) -> Vec<(String, Markup)> {
    match find(asker, id) {
        Ok(found) => {
            let view = drill::show(&asker.frozen.state, found);
            vec![("drill".to_owned(), detail(portal, asker, &view))]
        }
        Err(_) => Vec::new(),
    }
}

fn detail(portal: &Portal, asker: &Asker, view: &DrillView) -> Markup {
    html! {
        div #drill data-stage=(view.stage.word()) data-verdict=(view.verdict.map_or("", Verdict::word)) {
            h1 { "Drill " (view.id) ": " (view.kind.word()) " " (stage(view)) }
            p { (view.what) "." }
            @if view.verdict.is_none() {
                (at_the_moment(portal.master.drill_now(view.id), view))
                (abort_form(asker, view))
            }
            @for reason in &view.reasons { p.notice.refused { (reason) "." } }
            (figures(view))
            (tried_out(view))
            (lost(view))
            (bounds(view))
            (timeline(view))
            (measured(view))
            (checks(view))
        }
    }
}

fn figures(view: &DrillView) -> Markup {
    html! {
        @if let Some(figures) = view.figures.filter(|figures| figures.probes_acked > 0) {
            h2 { "What it cost" }
            dl.facts {
                div { dt { "Without writes" } dd { (duration(figures.write_gap_ms)) " (usually " (duration(figures.write_gap_before_ms)) ")" } }
                div { dt { "Next write after" } dd { (optional(figures.resumed_ms)) } }
                div { dt { "Longest wait for a write" } dd { (duration(figures.write_wait_ms)) } }
                div { dt { "Without current reads" } dd { (duration(figures.read_gap_ms)) } }
                div { dt { "Fault held" } dd { (duration(figures.held_ms)) } }
                div { dt { "Healed after" } dd { (optional(figures.healed_ms)) } }
                div { dt { "Elections" } dd { (figures.elections) } }
                div { dt { "Leader" } dd { (view.leader_before.as_deref().unwrap_or("—")) " → " (view.leader_after.as_deref().unwrap_or("—")) } }
                div { dt { "Acknowledged and lost" } dd { (figures.probes_lost) " of " (figures.probes_acked) } }
                div { dt { "Vnodes running" } dd { (figures.vnodes_before) " → " (figures.vnodes_after) } }
            }
        }
    }
}

/// What became of the worker that looked lost, and of its vnodes.
fn lost(view: &DrillView) -> Markup {
    html! {
        @if let Some(loss) = &view.loss {
            h2 { "Worker " (loss.worker) }
            dl.facts {
                div { dt { "Found lost after" } dd { (optional(loss.down_ms)) } }
                div { dt { "Silent for" } dd { (optional(loss.held_ms)) } }
                div { dt { "Found back after" } dd { (optional(loss.back_ms)) } }
            }
            @if !loss.vnodes.is_empty() {
                table {
                    thead { tr { th { "Vnode" } th { "If its worker is lost" } th { "Ran again after" } th { "Could not be reached for" } } }
                    tbody {
                        @for vnode in &loss.vnodes {
                            tr {
                                td data-label="Vnode" { (vnode.vnode) }
                                td data-label="If its worker is lost" { @if vnode.restarts { "begins anew elsewhere" } @else { "waits" } }
                                td data-label="Ran again after" {
                                    (optional(vnode.again_ms))
                                    @if let Some(worker) = &vnode.went_to { p.hint { "on " (worker) } }
                                }
                                td data-label="Could not be reached for" { (optional(vnode.unreached_ms)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What became of the backup, in a restore.
fn tried_out(view: &DrillView) -> Markup {
    html! {
        @if let Some(restored) = &view.restored {
            h2 { "The backup" }
            dl.facts {
                div { dt { "Taken in" } dd { (duration(restored.backup_ms)) } }
                div { dt { "After entry" } dd { (restored.index) } }
                div { dt { "Bytes" } dd { (restored.bytes) } }
                div { dt { "Restored in" } dd { (duration(restored.restore_ms)) } }
                div { dt { "Wrote after" } dd { (duration(restored.write_ms)) } }
                div { dt { "Same state" } dd { @if restored.same_state { "yes" } @else { "no" } } }
            }
        }
    }
}

fn bounds(view: &DrillView) -> Markup {
    html! {
        h2 { "Bounds" }
        dl.facts {
            div { dt { "Asked for by" } dd { (view.asked_by) } }
            div { dt { "Announced" } dd { (duration(view.announce_ms)) " before" } }
            div { dt { "Fault" } dd { "at most " (duration(view.fault_ms)) } }
            div { dt { "Without writes" } dd { "accepted " (duration(view.gap_max_ms)) ", expected " (duration(view.estimate_ms)) } }
            div { dt { "Over by" } dd { (instant(view.ends_by)) } }
        }
    }
}

fn timeline(view: &DrillView) -> Markup {
    html! {
        h2 { "What happened" }
        ol.timeline {
            @for step in &view.steps {
                li {
                    span.when { "+" (duration(step.at.since_ms(view.announced_at))) }
                    span { (step.text) }
                }
            }
        }
    }
}

fn measured(view: &DrillView) -> Markup {
    html! {
        @if !view.probers.is_empty() {
            h2 { "Measured from outside" }
            table {
                thead { tr { th { "By" } th { "Acknowledged" } th { "Without writes" } th { "Next write after" } th { "Without current reads" } } }
                tbody {
                    @for prober in &view.probers {
                        tr {
                            td data-label="By" { (prober.prober) }
                            td data-label="Acknowledged" { (prober.acked) " of " (prober.sent) }
                            td data-label="Without writes" { (duration(prober.figures.write_gap_ms)) }
                            td data-label="Next write after" { (optional(prober.figures.resumed_ms)) }
                            td data-label="Without current reads" { (duration(prober.figures.read_gap_ms)) }
                        }
                    }
                }
            }
            @for gone in &view.gone { p.hint { "The " (gone) " left before it could say what it saw." } }
        }
    }
}

fn checks(view: &DrillView) -> Markup {
    html! {
        @if !view.checks.is_empty() {
            h2 { "Looked for afterwards" }
            table {
                thead { tr { th { "Master" } th { "Acknowledged writes that it lacks" } th { "State" } } }
                tbody {
                    @for check in &view.checks {
                        tr {
                            td data-label="Master" { (check.master) }
                            td data-label="Lacks" { @match check.missing { Some(missing) => (missing), None => "did not answer" } }
                            td data-label="State" {
                                @if let (Some(index), Some(hash)) = (check.index, &check.state_hash) {
                                    code { (hash.get(..12).unwrap_or(hash)) } " after entry " (index)
                                } @else { "—" }
                            }
                        }
                    }
                }
            }
        }
    }
}
