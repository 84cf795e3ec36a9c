//! Workers, for admins.

use docklet_control::model::WorkerStatus;
use docklet_control::permit;
use docklet_control::view::{WorkerView, worker};
use maud::{Markup, html};

use super::amount::{cores, mib};
use super::{Page, instant};
use crate::asker::Asker;
use crate::problem::Problem;

pub(crate) async fn list(asker: Asker) -> Result<Markup, Problem> {
    permit::admin(&asker.frozen.state, asker.actor(), "list workers")?;
    let body = html! {
        h1 { "Workers" }
        (table(&asker))
        p.hint { "A worker is added with " code { "docklet token create --role agent" } " here and " code { "docklet agent join TOKEN" } " there." }
    };
    let live = Some("/live/workers".to_owned());
    Ok(Page {
        title: "Workers",
        asker: &asker,
        live,
        script: None,
    }
    .render(body))
}

pub(crate) fn fragments(asker: &Asker) -> Vec<(String, Markup)> {
    match permit::admin(&asker.frozen.state, asker.actor(), "list workers") {
        Ok(_) => vec![("workers".to_owned(), table(asker))],
        Err(_) => Vec::new(),
    }
}

fn table(asker: &Asker) -> Markup {
    let views = worker::list(&asker.frozen.state);
    html! {
        div #workers {
            @if views.is_empty() {
                div.empty {
                    h2 { "No workers yet" }
                    p { "Vnodes run on workers. Make a token here, and join with it there:" }
                    p { code { "docklet token create --role agent" } }
                    p { code { "docklet agent join TOKEN" } }
                }
            } @else {
                table {
                    thead { tr { th { "Worker" } th { "State" } th { "Vnodes" } th { "Memory promised" } th { "CPU promised" } th { "Disk promised" } th { "GPUs" } th { "System" } } }
                    tbody { @for view in &views { (row(view)) } }
                }
            }
        }
    }
}

fn row(view: &WorkerView) -> Markup {
    html! {
        tr data-worker=(view.name) {
            td.main data-label="Worker" { (view.name) p.hint { code { (view.data_addr) } } }
            td data-label="State" { (status(view.status)) p.hint { "since " (instant(view.status_since)) } }
            td data-label="Vnodes" { (view.vnodes) }
            td data-label="Memory promised" { (meter(view.memory_mib_promised, view.memory_mib_max, mib)) }
            td data-label="CPU promised" { (meter(view.cpu_milli_promised, view.cpu_milli_max, cores)) }
            td data-label="Disk promised" { (meter(view.disk_mib_promised, view.disk_mib_max, mib)) }
            td data-label="GPUs" {
                (view.facts.capacity.gpus.len())
                @if view.gpus_given > 0 { p.hint { (view.gpus_given) " given away" } }
            }
            td data-label="System" { (view.facts.kernel) p.hint { "liblxc " (view.facts.liblxc) ", agent " (view.facts.agent) } }
        }
    }
}

fn status(status: WorkerStatus) -> Markup {
    let (class, word) = match status {
        WorkerStatus::Up => ("running", "up"),
        WorkerStatus::Joined => ("pending", "joined"),
        WorkerStatus::Down => ("failed", "down"),
        WorkerStatus::Unadmitted => ("failed", "must join again"),
    };
    html! { span class={"phase phase-" (class)} { (word) } }
}

fn meter(used: u64, of: u64, words: fn(u64) -> String) -> Markup {
    html! {
        meter min="0" max=(of.max(1)) value=(used) aria-label={ (words(used)) " of " (words(of)) } {}
        p.hint { (words(used)) " of " (words(of)) }
    }
}
