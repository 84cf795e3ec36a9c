//! How the cluster is: what needs a hand, then each subsystem, master and worker.

use axum::extract::State;
use docklet_control::id::UnixMs;
use docklet_control::model::WorkerStatus;
use docklet_control::permit;
use docklet_control::view::health::{
    CLOCK_MS_MAX, Finding, Grade, HealthView, Kind, MasterHealth, Space, SubsystemHealth,
    WorkerHealth, status_word,
};
use docklet_control::view::master::MasterRole;
use maud::{Markup, html};

use super::amount::{bytes, count};
use super::{Page, by_command, instant, with_code};
use crate::asker::Asker;
use crate::health;
use crate::problem::Problem;
use crate::serve::Portal;

const ACTION: &str = "look at the cluster's health";

pub(crate) async fn show(State(portal): State<Portal>, asker: Asker) -> Result<Markup, Problem> {
    permit::operator(&asker.frozen.state, asker.actor(), ACTION)?;
    let view = health::look(&portal, &asker.frozen).await;
    let body = html! {
        h1 { "Health" }
        (all(&view))
        (by_command("docklet doctor"))
    };
    Ok(Page {
        title: "Health",
        asker: &asker,
        live: Some("/live/health".to_owned()),
        script: None,
    }
    .render(body))
}

pub(crate) fn fragments(portal: &Portal, asker: &Asker) -> Vec<(String, Markup)> {
    if permit::operator(&asker.frozen.state, asker.actor(), ACTION).is_err() {
        return Vec::new();
    }
    let view = health::last(portal, &asker.frozen);
    // Until the first view is made there is nothing newer to show than what the page came with.
    let made = !view.masters.is_empty() && view.masters.iter().any(|one| one.applied.is_some());
    if made {
        vec![("health".to_owned(), all(&view))]
    } else {
        Vec::new()
    }
}

fn all(view: &HealthView) -> Markup {
    html! {
        div #health {
            (summary(view))
            section aria-labelledby="health-subsystems" {
                h2 #health-subsystems { "Subsystems" }
                table {
                    thead { tr { th { "Subsystem" } th { "State" } th { "What is so" } th { "Since" } } }
                    tbody { @for part in &view.subsystems { (subsystem(part)) } }
                }
            }
            section aria-labelledby="health-masters" {
                h2 #health-masters { a href="/masters" { "Masters" } }
                table {
                    thead { tr { th { "Master" } th { "State" } th { "Role" } th { "Entry" } th { "Same state" } th { "Version" } th { "Disk free" } th { "Clock" } th { "Certificate" } } }
                    tbody { @for one in &view.masters { (master(one)) } }
                }
            }
            section aria-labelledby="health-workers" {
                h2 #health-workers { a href="/workers" { "Workers" } }
                @if view.workers.is_empty() {
                    p.muted { "None has joined yet: " code { "docklet token create --role agent" } " here, " code { "docklet agent join TOKEN" } " there." }
                } @else {
                    table {
                        thead { tr { th { "Worker" } th { "State" } th { "In touch" } th { "Vnodes" } th { "Agent" } th { "Can" } th { "Disk free" } th { "Clock" } th { "Figures" } } }
                        tbody { @for one in &view.workers { (worker(one)) } }
                    }
                }
            }
        }
    }
}

/// A grade as a word with a mark.
pub(crate) fn grade(grade: Grade) -> Markup {
    let class = match grade {
        Grade::Well => "phase phase-running",
        Grade::Note => "phase",
        Grade::Warning => "phase phase-pending",
        Grade::Bad => "phase phase-failed",
    };
    html! { span class=(class) { (grade.word()) } }
}

fn summary(view: &HealthView) -> Markup {
    html! {
        section.card aria-labelledby="health-hand" data-grade=(view.grade.word()) {
            h2 #health-hand {
                @match view.findings.len() {
                    0 => "Nothing needs a hand",
                    1 => "One thing needs a hand",
                    more => { (more) " things need a hand" }
                }
            }
            @if view.findings.is_empty() {
                p { "Each subsystem, master and worker is as it should be." }
            } @else {
                ul.findings { @for found in &view.findings { (finding(found)) } }
            }
        }
    }
}

fn finding(found: &Finding) -> Markup {
    html! {
        li {
            div.of {
                (grade(found.grade))
                strong { @if found.kind != Kind::Subsystem { (found.kind.word()) " " } (found.name) }
                @if let Some(since) = found.since { span.muted { "since " (instant(since)) } }
            }
            p { (with_code(&found.says)) }
            @if let Some(next) = &found.next { p.hint { (with_code(next)) } }
        }
    }
}

fn since(at: Option<UnixMs>) -> Markup {
    html! { @match at { Some(at) => (instant(at)), None => {} } }
}

fn subsystem(part: &SubsystemHealth) -> Markup {
    html! {
        tr data-subsystem=(part.name) {
            td.main data-label="Subsystem" { (part.name) }
            td data-label="State" { (grade(part.grade)) }
            td data-label="What is so" {
                div {
                    (with_code(&part.says))
                    @if let Some(next) = part.next.as_ref().filter(|_| !part.grade.needs_a_hand()) { p.hint { (with_code(next)) } }
                }
            }
            td data-label="Since" { (since(part.since)) }
        }
    }
}

fn master(one: &MasterHealth) -> Markup {
    html! {
        tr data-master=(one.name) {
            td.main data-label="Master" { (one.name) }
            td data-label="State" { (grade(one.grade)) }
            td data-label="Role" {
                div {
                    (one.role.word())
                    @if let Some(at) = one.silent_since { p.hint { "silent since " (instant(at)) } }
                }
            }
            td data-label="Entry" {
                div {
                    (one.applied.map_or_else(|| "–".to_owned(), |index| count(index.0)))
                    @if one.role != MasterRole::Leader {
                        @if let Some(lag) = one.lag.filter(|lag| *lag > 5) { p.hint { "lacks " (count(lag)) } }
                    }
                }
            }
            td data-label="Same state" { (yes_or_no(one.state_agrees, "yes", "no")) }
            td data-label="Version" { (one.version.as_deref().unwrap_or("–")) }
            td data-label="Disk free" { (disk(one.disk)) }
            td data-label="Clock" { (clock(one.clock_ahead_ms)) }
            td data-label="Certificate" { @match one.certificate_ends_at { Some(at) => { span { "until " (instant(at)) } } None => "–" } }
        }
    }
}

fn worker(one: &WorkerHealth) -> Markup {
    let up = one.status == WorkerStatus::Up;
    html! {
        tr data-worker=(one.name) {
            td.main data-label="Worker" { a href={"/workers/" (one.name)} { (one.name) } }
            td data-label="State" { (grade(one.grade)) }
            td data-label="In touch" {
                div {
                    (status_word(one.status)) " "
                    span.muted { "since " (instant(one.status_since)) }
                    @if let Some(reason) = &one.cordon { p.hint { "cordoned" @if !reason.is_empty() { ": " (reason) } } }
                }
            }
            td data-label="Vnodes" { (one.vnodes) }
            td data-label="Agent" { div { (one.agent) p.hint { "Linux " (one.kernel) ", liblxc " (one.liblxc) } } }
            td data-label="Can" { (abilities(one)) }
            td data-label="Disk free" { (disk(one.disk)) }
            td data-label="Clock" { (clock(one.clock_ahead_ms)) }
            td data-label="Figures" { @if up { (yes_or_no(one.measures, "come", "missing")) } @else { "–" } }
        }
    }
}

/// What not every worker can.
fn abilities(one: &WorkerHealth) -> Markup {
    let moves = one.moves.as_ref();
    html! {
        div {
            @match moves {
                Some(Ok(version)) => { span { "move vnodes that run" } p.hint { (version) } }
                Some(Err(_)) => { span.muted { "move stopped vnodes only" } }
                None => "–",
            }
            @match one.lxcfs {
                Some(true) => { p.hint { "lxcfs" } }
                Some(false) => { p.hint { "no lxcfs" } }
                None => {}
            }
        }
    }
}

fn yes_or_no(known: Option<bool>, yes: &str, no: &str) -> Markup {
    html! {
        @match known {
            Some(true) => (yes),
            Some(false) => strong.bad { (no) },
            None => "–",
        }
    }
}

fn disk(space: Option<Space>) -> Markup {
    #[expect(clippy::cast_precision_loss, reason = "a size to three digits")]
    let words = |space: Space| bytes(space.bytes as f64);
    html! {
        @match space {
            Some(space) => { span { (space.free_percent()) " % of " (words(space)) } }
            None => "–",
        }
    }
}

fn clock(ahead_ms: Option<i64>) -> Markup {
    html! {
        @match ahead_ms.map(|ms| (ms, ms.unsigned_abs())) {
            None => "–",
            Some((_, apart)) if apart <= CLOCK_MS_MAX => "right",
            Some((ms, apart)) => strong.bad { (apart / 1_000) " s " (if ms > 0 { "ahead" } else { "behind" }) },
        }
    }
}
