//! What vnodes use: beside each of them, as a chart, and as a table that says the same as the chart.

use axum::extract::{Path, Query, State};
use docklet_control::amount::VnodeSize;
use docklet_control::id::{UnixMs, VnodeId};
use docklet_control::meter::{History, Measure, Span, Usage, Values};
use docklet_control::view::VclusterView;
use maud::{Markup, html};
use serde::Deserialize;

use super::amount::{bytes, cores, count};
use super::{Page, by_command, instant};
use crate::asker::Asker;
use crate::meters;
use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker::find_vcluster;

/// Rows of the table at most: what is finer is in the interface.
const ROWS_MAX: usize = 48;

/// Columns of the table.
pub(super) const COLUMNS: [Measure; 8] = [
    Measure::CpuMilli,
    Measure::MemoryBytes,
    Measure::DiskBytes,
    Measure::ReceivedBytes,
    Measure::SentBytes,
    Measure::ReadBytes,
    Measure::WrittenBytes,
    Measure::Processes,
];

/// Spans as people choose them.
const SPANS: [(Span, &str); 6] = [
    (Span::TenMinutes, "10 minutes"),
    (Span::FourHours, "4 hours"),
    (Span::Day, "1 day"),
    (Span::Week, "1 week"),
    (Span::Month, "1 month"),
    (Span::Year, "1 year"),
];

/// What the chart can show.
const CHARTS: [(&str, &str); 7] = [
    ("cpu", "CPU"),
    ("memory", "Memory"),
    ("network", "Network"),
    ("space", "Disk space"),
    ("disk", "Disk traffic"),
    ("waiting", "Waiting"),
    ("processes", "Processes"),
];
/// The same, of vclusters that have GPUs.
const GPU_CHARTS: [(&str, &str); 2] = [("gpu", "GPUs"), ("gpu-memory", "GPU memory")];

/// Where the page's script writes what a vnode uses now.
pub(crate) fn now_of(id: VnodeId) -> Markup {
    html! { span data-usage=(id) { "—" } }
}

/// What a vnode uses now, in words.
pub(crate) fn words(usage: &Usage, size: VnodeSize) -> String {
    let cpu = usage.values.get(Measure::CpuMilli).map(|milli| {
        let of = f64::from(size.cpu_milli.0.max(1));
        format!("{:.0} % CPU", f64::from(milli) * 100.0 / of)
    });
    let memory = usage
        .values
        .get(Measure::MemoryBytes)
        .map(|used| bytes(f64::from(used)));
    let known: Vec<String> = cpu.into_iter().chain(memory).collect();
    known.join(", ")
}

/// A chart of what something uses.
pub(crate) struct Chart<'c> {
    /// Where its figures are, without the question.
    pub(crate) history: &'c str,
    /// The same of one part, with `{}` for its name.
    pub(crate) each: Option<String>,
    /// Its parts to choose from, by value and by name; the first is all of them.
    pub(crate) of: Vec<(String, String)>,
    pub(crate) has_gpus: bool,
    /// The page with the same as a table.
    pub(crate) table: &'c str,
}

/// A chart with its controls; the script draws it, and without one the table is a link away.
pub(crate) fn chart(chart: &Chart<'_>) -> Markup {
    let of_gpus = GPU_CHARTS.into_iter().filter(|_| chart.has_gpus);
    let parts = chart.of.iter();
    let parts = parts.map(|(value, text)| (value.as_str(), text.as_str()));
    html! {
        section #usage data-history=(chart.history) data-history-each=[chart.each.as_deref()] {
            div.head {
                h2 { "In use" }
                div.actions #usage-controls hidden {
                    (choice("usage-what", "Show", CHARTS.into_iter().chain(of_gpus)))
                    @if chart.of.len() > 1 { (choice("usage-of", "Of", parts)) }
                    (choice("usage-span", "Back", SPANS.into_iter().map(|(span, text)| (span.word(), text))))
                }
            }
            div #usage-plot .plot role="img" aria-label="What is in use, over time; the table says the same" {}
            p #usage-remark .hint role="status" {}
            p { a #usage-table href=(chart.table) { "As a table" } }
        }
    }
}

/// The chart of a vcluster.
pub(crate) fn section(view: &VclusterView, name: &str) -> Markup {
    chart(&Chart {
        history: &format!("/api/v1/vclusters/{name}/history"),
        each: Some(format!("/api/v1/vclusters/{name}/vnodes/{{}}/history")),
        of: vnodes_of(view),
        has_gpus: view.vnodes.iter().any(|vnode| !vnode.gpus.is_empty()),
        table: &format!("/vclusters/{name}/usage"),
    })
}

fn vnodes_of(view: &VclusterView) -> Vec<(String, String)> {
    let all = (String::new(), "all vnodes".to_owned());
    let each = view
        .vnodes
        .iter()
        .map(|vnode| (vnode.name.clone(), vnode.name.clone()));
    std::iter::once(all).chain(each).collect()
}

fn choice<'o>(id: &str, label: &str, options: impl Iterator<Item = (&'o str, &'o str)>) -> Markup {
    html! {
        span.labelled {
            label for=(id) { (label) }
            select id=(id) { @for (value, text) in options { option value=(value) { (text) } } }
        }
    }
}

/// What the table is to show.
#[derive(Deserialize)]
pub(crate) struct Shown {
    #[serde(default = "four_hours")]
    pub(crate) span: Span,
    /// One vnode by name; all together if empty.
    #[serde(default)]
    of: String,
}

fn four_hours() -> Span {
    Span::FourHours
}

pub(crate) async fn show(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Query(shown): Query<Shown>,
) -> Result<Markup, Problem> {
    let state = &asker.frozen.state;
    let found = find_vcluster(state, &asker.user, &name)?;
    let live = state.live_vnodes_of(found.id);
    let names: Vec<String> = live.iter().map(|vnode| vnode.hostname()).collect();
    let wanted = live.into_iter().zip(&names);
    let wanted = wanted.filter(|(_, name)| shown.of.is_empty() || shown.of == **name);
    let vnodes = wanted.map(|(vnode, _)| vnode);
    let history = meters::history(&portal, state, vnodes, shown.span, &COLUMNS).await;
    let vnodes: Vec<(&str, &str)> = std::iter::once(("", "all vnodes"))
        .chain(names.iter().map(|name| (name.as_str(), name.as_str())))
        .collect();
    let body = html! {
        p.crumbs { a href="/vclusters" { "Vclusters" } " / " a href={"/vclusters/" (name)} { (found.name) } " / in use" }
        h1 { "In use" }
        form.inline method="get" {
            label for="of" { "Of" }
            select #of name="of" { @for (value, text) in vnodes { option value=(value) selected[value == shown.of] { (text) } } }
            (spans(shown.span))
        }
        (answered(&history))
        (by_command(&format!("docklet vc top {}", found.name)))
    };
    Ok(Page {
        title: "In use",
        asker: &asker,
        live: None,
        script: None,
    }
    .render(body))
}

/// How far back a table reaches, and the button that shows it.
pub(super) fn spans(shown: Span) -> Markup {
    html! {
        label for="span" { "Back" }
        select #span name="span" { @for (span, text) in SPANS { option value=(span.word()) selected[span == shown] { (text) } } }
        button.button.secondary type="submit" { "Show" }
    }
}

/// A table of what was answered, and who did not.
pub(super) fn answered(history: &History) -> Markup {
    html! {
        @if !history.unanswered.is_empty() {
            p.notice role="status" { "Not answering, and so missing here: " (history.unanswered.join(", ")) "." }
        }
        (table(history))
    }
}

fn table(history: &History) -> Markup {
    let rows = rows(history);
    html! {
        @if rows.is_empty() { p.notice { "Nothing was measured in this time." } } @else {
            table {
                thead { tr { th { "From" } th { "CPU" } th { "Memory" } th { "Disk" } th { "Received" } th { "Sent" } th { "Read" } th { "Written" } th { "Processes" } } }
                tbody {
                    @for (begin_s, values) in rows.iter().rev() {
                        tr {
                            td.main data-label="From" { (instant(UnixMs(begin_s * 1_000))) }
                            td data-label="CPU" { (known(values, Measure::CpuMilli, |milli| cores(whole(milli)))) }
                            td data-label="Memory" { (known(values, Measure::MemoryBytes, bytes)) }
                            td data-label="Disk" { (known(values, Measure::DiskBytes, bytes)) }
                            td data-label="Received" { (known(values, Measure::ReceivedBytes, per_second)) }
                            td data-label="Sent" { (known(values, Measure::SentBytes, per_second)) }
                            td data-label="Read" { (known(values, Measure::ReadBytes, per_second)) }
                            td data-label="Written" { (known(values, Measure::WrittenBytes, per_second)) }
                            td data-label="Processes" { (known(values, Measure::Processes, |n| count(whole(n)))) }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn known(values: &Values, measure: Measure, words: impl Fn(f64) -> String) -> String {
    let value = values.get(measure);
    value.map_or_else(|| "—".to_owned(), |value| words(f64::from(value)))
}

fn per_second(rate: f64) -> String {
    format!("{}/s", bytes(rate))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "what is measured is never negative, and far below 2^64"
)]
pub(super) fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// Means over as many steps as make the table short; times in which nothing was measured are left out.
fn rows(history: &History) -> Vec<(u64, Values)> {
    let series = &history.series;
    let together = series.times.len().div_ceil(ROWS_MAX).max(1);
    let mut rows = Vec::new();
    for (chunk, times) in series.times.chunks(together).enumerate() {
        let mut values = Values::default();
        for (measure, column) in &series.columns {
            let part = column.iter().skip(chunk * together).take(times.len());
            let known: Vec<f32> = part.copied().flatten().collect();
            if !known.is_empty() {
                let number = u16::try_from(known.len()).unwrap_or(u16::MAX);
                values.set(*measure, known.iter().sum::<f32>() / f32::from(number));
            }
        }
        if COLUMNS.iter().any(|measure| values.get(*measure).is_some()) {
            rows.push((times[0], values));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use docklet_control::meter::Series;

    #[test]
    fn a_long_series_becomes_a_short_table_of_means_without_gaps() {
        let times: Vec<u64> = (0..1_440).collect();
        let cpu = (0..1_440_u16).map(|n| (n >= 720).then_some(f32::from(n)));
        let history = History {
            series: Series {
                step_s: 1,
                times,
                columns: [(Measure::CpuMilli, cpu.collect())].into(),
            },
            unanswered: Vec::new(),
        };
        let rows = rows(&history);
        assert_eq!(rows.len(), 24);
        assert_eq!(rows[0].0, 720);
        assert_eq!(rows[0].1.get(Measure::CpuMilli), Some(734.5));
        assert_eq!(rows[0].1.get(Measure::MemoryBytes), None);
    }

    #[test]
    fn words_say_the_share_of_what_a_vnode_may_use() {
        let mut usage = Usage::default();
        assert_eq!(words(&usage, VnodeSize::default()), "");
        let size = VnodeSize::default();
        usage
            .values
            .set(Measure::CpuMilli, size.cpu_milli.0 as f32 / 4.0);
        usage.values.set(Measure::MemoryBytes, 52_428_800.0);
        assert_eq!(words(&usage, size), "25 % CPU, 50 MiB");
    }
}
