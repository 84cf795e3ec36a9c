//! The audit trail for people: what they did, and who touched what is theirs; for admins all of it.

use axum::extract::{Query, State};
use docklet_control::audit::record::Record;
use maud::{Markup, html};

use super::{Page, by_command, instant};
use crate::asker::Asker;
use crate::audit::{self, Found, Sought};
use crate::problem::Problem;
use crate::serve::Portal;

/// Records of one page.
const LIMIT: usize = 50;

/// Where new rows go.
pub(crate) const ROWS: &str = "records";

pub(crate) async fn show(
    State(portal): State<Portal>,
    asker: Asker,
    Query(sought): Query<Sought>,
) -> Result<Markup, Problem> {
    let found = audit::find(&portal, &asker.user, &sought, LIMIT).await?;
    let admin = asker.user.is_admin();
    let body = html! {
        h1 { "Audit" }
        p {
            @if admin { "Who asked for what, from where, and what came of it. " }
            @else { "What you asked for, and who touched what is yours. " }
            "Each record has a hash over all before it, so none can be changed or left out without a trace."
        }
        (filter(&sought, admin))
        (table(&found.records))
        @if found.records.is_empty() { (nothing(&sought, &found)) }
        (turn(&sought, &found))
        @if admin {
            p { a href="/api/v1/audit/export" download { "Export the whole trail" } " as lines of JSON." }
            (by_command("docklet audit export > trail.ndjson && docklet audit verify trail.ndjson"))
        } @else { (by_command("docklet audit list --thing lab")) }
    };
    // Who looks back is not to be disturbed by what comes.
    let live = sought.before.is_none();
    let head = found.head;
    let live = live.then(|| format!("/live{}&head={head}", path(&sought, None)));
    let page = Page {
        title: "Audit",
        asker: &asker,
        live,
        script: None,
    };
    Ok(page.render(body))
}

fn filter(sought: &Sought, admin: bool) -> Markup {
    html! {
        form.fields method="get" action="/audit" role="search" {
            div.field.long {
                label for="who" { "Who" }
                input #who name="who" value=(sought.who) autocomplete="off" placeholder=(if admin { "alice, or cluster" } else { "" });
            }
            div.field.long {
                label for="thing" { "Thing" }
                input #thing name="thing" value=(sought.thing) autocomplete="off" placeholder="alice/lab";
            }
            div.field.long {
                label for="command" { "Command" }
                input #command name="command" value=(sought.command) autocomplete="off" placeholder="OpenTerminal";
            }
            button.button.secondary type="submit" { "Find" }
        }
    }
}

fn nothing(sought: &Sought, found: &Found) -> Markup {
    let any = sought.who.is_empty() && sought.thing.is_empty() && sought.command.is_empty();
    html! {
        p.muted id={(ROWS) "-none"} {
            @if found.before.is_some() { "None among those looked at; there are older ones." }
            @else if any { "Nothing yet: what you do from now on is told here." }
            @else { "None fits. Leave a field empty to see more." }
        }
    }
}

fn table(records: &[Record]) -> Markup {
    html! {
        table.audit hidden[records.is_empty()] {
            thead { tr { th { "What" } th { "When" } th { "Who" } th { "Things" } th { "Effect" } th { "From" } th { "Record" } } }
            tbody id=(ROWS) { @for record in records { (row(record)) } }
        }
    }
}

/// One record; new ones come by the page's stream.
pub(crate) fn row(record: &Record) -> Markup {
    html! {
        tr id={"record-" (record.number)} data-record=(record.number) {
            td.main data-label="What" { (record.command) }
            td data-label="When" { (instant(record.at)) }
            td data-label="Who" { span { (record.who.label()) @if let Some(token) = &record.token { " " span.muted { "by token " (token) } } } }
            td data-label="Things" { span { (things(record)) } }
            td data-label="Effect" { span { (effect(record)) } }
            td data-label="From" { @if let Some(from) = record.from { span { (from) } } @else { span.muted { "–" } } }
            td data-label="Record" { span title={"Entry " (record.index) " of the log"} { (record.number) } }
        }
    }
}

fn things(record: &Record) -> Markup {
    html! {
        @if record.things.is_empty() { span.muted { "–" } }
        @for (place, thing) in record.things.iter().enumerate() {
            @if place > 0 { ", " }
            (thing)
        }
        @if record.more_things > 0 { " and " (record.more_things) " more" }
    }
}

fn effect(record: &Record) -> Markup {
    html! {
        @if let Some(code) = &record.refused { span.phase.phase-failed { "refused: " (code) } }
        @else if record.effects.is_empty() { span.muted { "none" } }
        @for (place, (kind, count)) in record.effects.iter().enumerate() {
            @if place > 0 { ", " }
            (kind) @if *count > 1 { " × " (count) }
        }
    }
}

/// To the newest, and to older ones.
fn turn(sought: &Sought, found: &Found) -> Markup {
    html! {
        p.actions {
            @if sought.before.is_some() { a.button.secondary href=(path(sought, None)) { "Newest" } }
            @if let Some(before) = found.before { a.button.secondary href=(path(sought, Some(before))) rel="next" { "Older" } }
        }
    }
}

fn path(sought: &Sought, before: Option<u64>) -> String {
    let before = before.map(|before| before.to_string());
    let fields = [
        ("who", Some(sought.who.as_str())),
        ("thing", Some(sought.thing.as_str())),
        ("command", Some(sought.command.as_str())),
        ("before", before.as_deref()),
    ];
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            query.append_pair(name, value);
        }
    }
    format!("/audit?{}", query.finish())
}
