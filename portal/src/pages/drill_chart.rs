//! The times without writes of the last drills as bars, the oldest on the left. The table beside it says the same.

use docklet_control::model::drill::Verdict;
use docklet_control::view::DrillView;
use docklet_control::view::drill::duration;
use maud::{Markup, html};

/// Drills that are shown.
const BARS_MAX: usize = 16;
/// In the drawing's own units.
const WIDTH: u64 = 480;
const HEIGHT: u64 = 190;
const LEFT: u64 = 52;
const TOP: u64 = 12;
const BOTTOM: u64 = 34;
const BAR_WIDTH_MAX: u64 = 30;

/// One bar.
struct Bar<'d> {
    drill: &'d DrillView,
    gap_ms: u64,
    verdict: Verdict,
}

/// The chart; nothing if no drill has measured anything.
pub(crate) fn chart(drills: &[DrillView]) -> Markup {
    let measured = drills.iter().filter_map(bar);
    let mut bars: Vec<Bar<'_>> = measured.take(BARS_MAX).collect();
    bars.reverse();
    if bars.is_empty() {
        return html! {};
    }
    let highest = bars.iter().map(|bar| bar.gap_ms.max(bar.drill.gap_max_ms));
    let top_ms = round_up(highest.max().unwrap_or(1));
    html! {
        figure.chart {
            svg viewBox={"0 0 " (WIDTH) " " (HEIGHT)} role="group" aria-labelledby="chart-title" {
                title #chart-title { "Longest time without an acknowledged write, by drill" }
                @for part in 0..=2_u64 { (line(part, top_ms)) }
                @for (place, bar) in (0_u64..).zip(&bars) { (column(place, bars.len() as u64, bar, top_ms)) }
            }
            figcaption {
                "Longest time without an acknowledged write in each drill. The dash is what was accepted. "
                span.key.passed { "passed" } " " span.key.aborted { "aborted" } " " span.key.failed { "failed" }
            }
        }
    }
}

fn bar(drill: &DrillView) -> Option<Bar<'_>> {
    let figures = drill.figures.filter(|figures| figures.probes_acked > 0)?;
    Some(Bar {
        drill,
        gap_ms: figures.write_gap_ms,
        verdict: drill.verdict?,
    })
}

/// The next of 100, 200, 500, 1,000 and so on.
fn round_up(ms: u64) -> u64 {
    let steps = [1, 2, 5].map(|step| step * 100);
    (0..8)
        .flat_map(|power| steps.map(|step| step * 10_u64.pow(power)))
        .find(|step| *step >= ms)
        .unwrap_or(ms)
}

fn y(ms: u64, top_ms: u64) -> u64 {
    let height = HEIGHT - TOP - BOTTOM;
    TOP + height - ms.min(top_ms) * height / top_ms
}

/// A line of the grid with its time.
fn line(part: u64, top_ms: u64) -> Markup {
    let ms = top_ms * part / 2;
    html! {
        line.grid x1=(LEFT) x2=(WIDTH) y1=(y(ms, top_ms)) y2=(y(ms, top_ms)) {}
        text.axis x=(LEFT - 6) y=(y(ms, top_ms) + 4) text-anchor="end" { (duration(ms)) }
    }
}

fn column(place: u64, count: u64, bar: &Bar<'_>, top_ms: u64) -> Markup {
    let room = (WIDTH - LEFT) / count;
    let width = (room * 2 / 3).min(BAR_WIDTH_MAX);
    let x = LEFT + place * room + (room - width) / 2;
    let (top, bottom) = (y(bar.gap_ms, top_ms), y(0, top_ms));
    let accepted = y(bar.drill.gap_max_ms, top_ms);
    let label = format!(
        "Drill {}, {}, {}: {} without writes, {} accepted",
        bar.drill.id,
        bar.drill.kind.word(),
        bar.verdict.word(),
        duration(bar.gap_ms),
        duration(bar.drill.gap_max_ms)
    );
    html! {
        a href={"/drills/" (bar.drill.id)} aria-label=(label) {
            title { (label) }
            rect class={"bar " (bar.verdict.word())} x=(x) y=(top) width=(width) height=(bottom.saturating_sub(top).max(2)) {}
            line.accepted x1=(x.saturating_sub(3)) x2=(x + width + 3) y1=(accepted) y2=(accepted) {}
            text.axis x=(x + width / 2) y=(HEIGHT - BOTTOM + 15) text-anchor="middle" { (bar.drill.id) }
            text.axis.mark x=(x + width / 2) y=(HEIGHT - BOTTOM + 29) text-anchor="middle" { (mark(bar.verdict)) }
        }
    }
}

/// Never by colour alone.
fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "✓",
        Verdict::Failed => "✗",
        Verdict::Aborted => "–",
    }
}

#[cfg(test)]
mod tests {
    use super::round_up;

    #[test]
    fn the_scale_ends_at_a_round_time() {
        let rounded = [0, 100, 101, 450, 812, 3_000, 5_001].map(round_up);
        assert_eq!(rounded, [100, 100, 200, 500, 1_000, 5_000, 10_000]);
    }
}
