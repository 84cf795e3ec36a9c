//! The first page: what the person has, and what to do next.

use docklet_control::model::WorkerStatus;
use docklet_control::view::{VclusterView, vcluster};
use maud::{Markup, html};

use super::berth::berths;
use super::{Page, bean, by_command, notices, phase, quota};
use crate::asker::Asker;

/// So many are shown here; the others are a click away.
const SHOWN_MAX: usize = 8;

pub(crate) async fn show(mut asker: Asker) -> Markup {
    // The entry of the login is nothing to report here.
    asker.after = None;
    let body = html! {
        div.head {
            h1 { "Welcome, " (asker.user.name) }
            a.button href="/new/vcluster" { "Create a vcluster" }
        }
        (overview(&asker))
    };
    let live = Some("/live/home".to_owned());
    Page {
        title: "Home",
        asker: &asker,
        live,
        script: None,
    }
    .render(body)
}

pub(crate) fn fragments(asker: &Asker) -> Vec<(String, Markup)> {
    vec![("overview".to_owned(), overview(asker))]
}

fn overview(asker: &Asker) -> Markup {
    let mine = vcluster::own(&asker.frozen.state, &asker.user);
    let others = vcluster::count_of_others(&asker.frozen.state, &asker.user);
    html! {
        div #overview .cards {
            section.card.wide aria-labelledby="mine" {
                h2 #mine { "Your vclusters" }
                @if mine.is_empty() { (first_steps()) } @else { (fleet(&mine, others)) }
            }
            @if asker.user.operates() { (machines(asker)) }
            (notices::newest(asker))
            (quota::own(asker))
            (bean::own_card(asker))
        }
    }
}

fn fleet(mine: &[VclusterView], others: usize) -> Markup {
    html! {
        ul.fleet {
            @for view in mine.iter().take(SHOWN_MAX) {
                li {
                    a href={"/vclusters/" (view.name)} { (view.name) }
                    (berths(view))
                    (phase(view.phase))
                }
            }
        }
        p {
            a href="/vclusters" { "All vclusters" }
            @if mine.len() > SHOWN_MAX { span.muted { ", " (mine.len() - SHOWN_MAX) " more of yours" } }
            @if others > 0 { span.muted { ", " (others) " of others" } }
        }
    }
}

/// For somebody who has nothing yet.
fn first_steps() -> Markup {
    html! {
        p { "A vcluster is a private group of Linux hosts, spread over the machines here. They see each other by name, and nobody else sees them." }
        ol.steps {
            li { a href="/new/vcluster" { "Create your first" } ": a name and a number of hosts are enough." }
            li { "Watch its hosts turn " (phase(docklet_control::view::Phase::Running)) ", a second or two." }
            li { "Open a terminal on " code { "host-0" } " and say " code { "ping host-1" } "." }
        }
        (by_command("docklet vc create lab --vnodes 2 --wait"))
    }
}

fn machines(asker: &Asker) -> Markup {
    let state = &asker.frozen.state;
    let up = state
        .workers
        .values()
        .filter(|worker| worker.status == WorkerStatus::Up);
    html! {
        section.card aria-labelledby="machines" {
            h2 #machines { "Machines" }
            p { a href="/health" { "How the cluster is" } }
            dl.figures {
                div { dt { a href="/masters" { "Masters" } } dd { (state.masters.len()) } }
                div { dt { a href="/workers" { "Workers up" } } dd { (up.count()) " of " (state.workers.len()) } }
                div { dt { a href="/images" { "Images" } } dd { (state.images.len()) } }
                div { dt { "Vnodes" } dd { (state.vnodes.len()) } }
            }
        }
    }
}
