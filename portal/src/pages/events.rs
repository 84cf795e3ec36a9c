//! What happened, the newest first: each entry of the log that the person may see, in sentences. New ones come by the page's
//! stream; the address says from which entry on, so that it can be kept and come back to.

use axum::extract::{Query, State};
use docklet_control::id::LogIndex;
use docklet_control::view::happened::{Happened, Topic, Wish};
use maud::{Markup, html};

use super::{Page, by_command, instant};
use crate::asker::Asker;
use crate::happened::{self, Found, Most, Sought};
use crate::problem::Problem;
use crate::serve::Portal;

/// Of one page.
const MOST: Most = Most {
    rows: 50,
    entries: 20_000,
};
/// Of a vcluster's own page, which nobody is to wait for.
const MOST_OF_VCLUSTER: Most = Most {
    rows: 8,
    entries: 500,
};
/// Where new rows go.
pub(crate) const ROWS: &str = "happened";

pub(crate) async fn show(
    State(portal): State<Portal>,
    mut asker: Asker,
    Query(sought): Query<Sought>,
) -> Result<Markup, Problem> {
    // Here it says from where on to show, and no write was.
    asker.after = None;
    let found = happened::find(&portal, &asker, (&sought, &sought.wish()), MOST).await?;
    let newest = asker.frozen.index.0;
    let body = html! {
        h1 { "Events" }
        p { "What happened to what you may see, the newest first. What comes now appears by itself." }
        (filter(&sought))
        @if let Some(after) = sought.after {
            p.muted { "Only what came after entry " (after) ". " a href=(sought.at("/events", None, None)) { "Show all" } }
        }
        (table(&found))
        @if found.rows.is_empty() { (nothing(&sought, &found)) }
        @if let Some(cut) = found.cut { (gap(cut)) }
        (turn(&sought, &found, newest))
        (by_command(&format!("docklet events --after {newest}")))
    };
    // Who looks back is not to be disturbed by what comes.
    let live = sought.before.is_none();
    let seen = Sought {
        seen: None,
        ..sought.clone()
    };
    let live = live.then(|| seen.at("/live/events", Some(newest), None));
    Ok(Page {
        title: "Events",
        asker: &asker,
        live,
        script: None,
    }
    .render(body))
}

/// What happened to a vcluster lately, called so by its owner; new rows come by the page's stream.
pub(super) async fn of_vcluster(
    portal: &Portal,
    asker: &Asker,
    (owner, name): (&str, &str),
) -> Result<Markup, Problem> {
    let all = Sought {
        thing: format!("{owner}/{name}"),
        ..Sought::default()
    };
    let (everything, wish) = (Sought::default(), Wish::of_vcluster(owner, name));
    let found = happened::find(portal, asker, (&everything, &wish), MOST_OF_VCLUSTER).await?;
    Ok(html! {
        section aria-labelledby="happened-title" {
            h2 #happened-title { "What happened" }
            (table(&found))
            @if found.rows.is_empty() { p.muted id={(ROWS) "-none"} { "Nothing lately." } }
            p { a href=(all.at("/events", None, None)) { "All events of " (name) } }
        }
    })
}

fn filter(sought: &Sought) -> Markup {
    let wish = sought.wish();
    html! {
        form.fields method="get" action="/events" role="search" {
            div.field {
                label for="topic" { "Topic" }
                select #topic name="topic" {
                    option value="" { "all" }
                    @for topic in Topic::ALL { option value=(topic.word()) selected[wish.topic == Some(topic)] { (topic.word()) } }
                }
            }
            div.field.long {
                label for="thing" { "Thing" }
                input #thing name="thing" value=(sought.thing) autocomplete="off" placeholder="lab";
            }
            div.field.long {
                label for="who" { "Who" }
                input #who name="who" value=(sought.who) autocomplete="off" placeholder="alice, or cluster";
            }
            @if let Some(after) = sought.after { input type="hidden" name="after" value=(after); }
            button.button.secondary type="submit" { "Find" }
        }
    }
}

fn table(found: &Found) -> Markup {
    html! {
        table.events hidden[found.rows.is_empty()] {
            thead { tr { th { "What" } th { "When" } th { "Who" } th { "Topic" } th { "Entry" } } }
            tbody id=(ROWS) { @for one in &found.rows { (row(one)) } }
        }
    }
}

/// One entry.
pub(crate) fn row(one: &Happened) -> Markup {
    html! {
        tr id={"entry-" (one.index)} {
            td.main data-label="What" {
                @for (place, says) in one.says.iter().enumerate() {
                    @if place > 0 { br; }
                    (says)
                }
                @if one.more > 0 { br; span.muted { "and " (one.more) " more" } }
            }
            td data-label="When" { (instant(one.at)) }
            td data-label="Who" { (one.who) }
            td data-label="Topic" { (one.topic.word()) }
            td data-label="Entry" { a href={"/events?after=" (one.index)} title="What came after this" { (one.index) } }
        }
    }
}

/// In the place of what a stream has not: some changes are no longer kept.
pub(crate) fn gap_row(upto: LogIndex) -> Markup {
    html! {
        tr.gap id={"entry-" (upto)} { td.main data-label="What" colspan="5" { (cut(upto)) } }
    }
}

fn cut(upto: LogIndex) -> String {
    let next = upto.0.saturating_add(1);
    format!("What came up to entry {upto} is no longer kept: this goes on from entry {next}. ")
}

fn gap(upto: LogIndex) -> Markup {
    html! { p.notice role="status" { (cut(upto)) a href="/audit" { "The audit trail" } " reaches further back." } }
}

fn nothing(sought: &Sought, found: &Found) -> Markup {
    html! {
        p.muted id={(ROWS) "-none"} {
            @if found.before.is_some() { "None among those looked at; there are older ones." }
            @else if sought.after.is_some() { "Nothing yet." }
            @else if sought.is_all() { "Nothing yet: what you do from now on is told here." }
            @else { "None fits. Leave a field empty to see more." }
        }
    }
}

/// To the newest, to older ones, and to a page that begins here.
fn turn(sought: &Sought, found: &Found, newest: u64) -> Markup {
    let path = |after, before| sought.at("/events", after, before);
    html! {
        p.actions {
            @if sought.before.is_some() { a.button.secondary href=(path(sought.after, None)) { "Newest" } }
            @if let Some(before) = found.before { a.button.secondary href=(path(sought.after, Some(before))) rel="next" { "Older" } }
            @if sought.before.is_none() { a href=(path(Some(newest), None)) { "Only what comes from now on" } }
        }
    }
}
