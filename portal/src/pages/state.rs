//! Looking back: the state as it was, and what differs between two moments, of what the reader may see.

use std::collections::BTreeMap;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use docklet_control::id::UnixMs;
use docklet_control::view::state::{
    Field, FieldChange, Fields, NameDiff, Noun, StateDiff, StateView,
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Page, by_command, instant};
use crate::asker::Asker;
use crate::past::{self, Moment, Oldest, Past};
use crate::problem::Problem;
use crate::serve::Portal;

/// Of each noun so many are shown; the command line shows all.
const SHOWN_MAX: usize = 100;

/// The form's fields, as text: what does not fit comes back as it was typed.
#[derive(Default, Deserialize)]
pub(crate) struct Look {
    #[serde(default)]
    at: String,
    #[serde(default)]
    to: String,
}

pub(crate) async fn show(
    State(portal): State<Portal>,
    asker: Asker,
    Query(look): Query<Look>,
) -> Result<(StatusCode, Markup), Problem> {
    let _turn = past::turn(&portal.looks).await?;
    let oldest = past::oldest(&portal.master).await?;
    let (status, found) = match found(&portal, &asker, &look).await {
        Ok(found) => (StatusCode::OK, found),
        Err(problem) => {
            let told = html! { p.notice.refused role="alert" { (problem.detail) } };
            (problem.status, told)
        }
    };
    let body = html! {
        h1 { "Looking back" }
        p.muted {
            "All that you may see, as it was at a moment, or what became different until another. The history of this master reaches back to entry "
            (oldest.index) (since(oldest)) "."
        }
        (form(&look))
        (found)
    };
    let page = Page {
        title: "Past",
        asker: &asker,
        live: None,
        script: None,
    };
    Ok((status, page.render(body)))
}

fn since(oldest: Oldest) -> Markup {
    html! { @if let Some(at) = oldest.at { ", " (instant(at)) } }
}

fn form(look: &Look) -> Markup {
    html! {
        form.fields method="get" action="/past" {
            div.field.long {
                label for="at" { "Moment" }
                input #at name="at" value=(look.at) required placeholder="-15m" aria-describedby="at-hint";
            }
            div.field.long {
                label for="to" { "Until (optional)" }
                input #to name="to" value=(look.to) aria-describedby="at-hint";
            }
            button.button type="submit" { "Look" }
            p.hint #at-hint { "How long ago as -15m (s, m, h or d), a time as 2026-01-31T12:00:00Z, or an entry's number; -0s is now." }
        }
    }
}

/// What is to be seen; nothing if no moment was given.
async fn found(portal: &Portal, asker: &Asker, look: &Look) -> Result<Markup, Problem> {
    let moment = |text: &str| -> Result<Option<Moment>, Problem> {
        let given = Some(text.trim()).filter(|text| !text.is_empty());
        given.map(str::parse).transpose()
    };
    let (Some(at), to) = (moment(&look.at)?, moment(&look.to)?) else {
        return Ok(html! {});
    };
    let from = past::look(portal, asker, Some(at)).await?;
    let reader = asker.clone();
    let Some(to) = to else {
        return past::aside(move || state(&from, &past::view(&from, &reader))).await;
    };
    let to = past::look(portal, asker, Some(to)).await?;
    past::aside(move || differences(&from, &to, &past::compared(&from, &to, &reader))).await
}

/// After which entry, and when that was.
fn when(past: &Past) -> Markup {
    html! { "entry " (past.index) @if let Some(at) = past.at { " (" (instant(at)) ")" } }
}

fn state(past: &Past, view: &StateView) -> Markup {
    html! {
        h2 { "After " (when(past)) }
        @for (noun, named) in &view.0 {
            (table(*noun, named, |fields| html! { (lines(fields)) }))
        }
        (by_command(&format!("docklet state --at {}", past.index)))
    }
}

fn differences(from: &Past, to: &Past, diff: &StateDiff) -> Markup {
    html! {
        h2 { "From " (when(from)) " to " (when(to)) }
        @if diff.0.is_empty() { div.empty { p { "Nothing differs that you can see." } } }
        @for (noun, named) in &diff.0 { (table(*noun, named, became)) }
        (by_command(&format!("docklet state diff {} {}", from.index, to.index)))
    }
}

fn table<V>(noun: Noun, named: &BTreeMap<String, V>, cell: impl Fn(&V) -> Markup) -> Markup {
    let more = named.len().saturating_sub(SHOWN_MAX);
    html! {
        h3 { (noun.word()) }
        table data-noun=(noun.word()) {
            thead { tr { th { "Name" } th { "What it is" } } }
            tbody {
                @for (name, value) in named.iter().take(SHOWN_MAX) {
                    tr data-name=(name) { td.main data-label="Name" { (name) } td data-label="What it is" { (cell(value)) } }
                }
            }
        }
        @if more > 0 { p.hint { "And " (more) " more: the command below shows all." } }
    }
}

/// What became of it, as a word and never by colour alone.
fn became(diff: &NameDiff) -> Markup {
    let (class, word) = match diff {
        NameDiff::Added(_) => ("running", "new"),
        NameDiff::Removed(_) => ("stopped", "gone"),
        NameDiff::Changed(_) => ("pending", "changed"),
    };
    html! {
        span class={"phase phase-" (class)} { (word) }
        @match diff {
            NameDiff::Added(fields) => (lines(fields)),
            NameDiff::Removed(_) => "",
            NameDiff::Changed(changes) => @for (name, change) in changes { (changed(name, change)) }
        }
    }
}

fn changed(name: &str, change: &FieldChange) -> Markup {
    let side = |field: &Option<Field>| match field {
        Some(field) => value(name, field),
        None => html! { "nothing" },
    };
    html! { p.hint { (name) ": " (side(&change.before)) " → " (side(&change.after)) } }
}

fn lines(fields: &Fields) -> Markup {
    html! { @for (name, field) in fields { p.hint { (name) ": " (value(name, field)) } } }
}

fn value(name: &str, field: &Field) -> Markup {
    match field {
        Field::Number(ms) if past::is_instant(name) => instant(UnixMs(*ms)),
        Field::Number(number) => html! { (number) },
        Field::Flag(flag) => html! { (flag) },
        Field::Text(text) if text.is_empty() => html! { "—" },
        Field::Text(text) => html! { (text) },
        Field::List(values) if values.is_empty() => html! { "—" },
        Field::List(values) => html! { (values.join(", ")) },
        Field::Group(fields) if fields.is_empty() => html! { "—" },
        Field::Group(fields) => html! {
            @for (place, (name, field)) in fields.iter().enumerate() {
                @if place > 0 { ", " }
                (name) " " (value(name, field))
            }
        },
    }
}
