//! The first page: what the person has, and what to do next.

use docklet_control::model::Role;
use docklet_control::view::{Phase, vcluster};
use maud::{Markup, html};

use super::{Page, phase};
use crate::asker::Asker;
use crate::problem::Problem;

pub(crate) async fn show(mut asker: Asker) -> Result<Markup, Problem> {
    // The entry of the login is nothing to report here.
    asker.after = None;
    let views = vcluster::list(&asker.frozen.state, &asker.user);
    let mine: Vec<_> = views
        .iter()
        .filter(|v| v.owner == asker.user.name.as_str())
        .collect();
    let running = mine.iter().filter(|v| v.phase == Phase::Running).count();
    let body = html! {
        h1 { "Welcome, " (asker.user.name) }
        div.cards {
            section.card {
                h2 { "Vclusters" }
                p.figure { (running) " of " (mine.len()) " running" }
                @if mine.is_empty() {
                    p.muted { "You have none yet. A vcluster is a private group of Linux hosts that see each other by name." }
                } @else {
                    ul.plain {
                        @for view in mine.iter().take(5) {
                            li { a href={"/vclusters/" (view.name)} { (view.name) } " " (phase(view.phase)) }
                        }
                    }
                }
                p { a.button href="/vclusters/new" { "Create a vcluster" } " " a href="/vclusters" { "All vclusters" } }
            }
            @if asker.user.role == Role::Admin {
                (machines(&asker))
            }
        }
    };
    let page = Page {
        title: "Home",
        asker: &asker,
        live: None,
        script: None,
    };
    Ok(page.render(body))
}

fn machines(asker: &Asker) -> Markup {
    let state = &asker.frozen.state;
    html! {
        section.card {
            h2 { "Machines" }
            p.figure { (state.masters.len()) " masters, " (state.workers.len()) " workers" }
            p { a href="/masters" { "Masters" } " · " a href="/workers" { "Workers" } " · " a href="/images" { "Images" } }
        }
    }
}
