//! What was spent day by day in one month, as bars. The table below them says the same, and what was given.

use docklet_control::model::MicroBeans;
use docklet_control::view::StatementView;
use docklet_control::view::bean::DayView;
use maud::{Markup, html};

use super::{rounded, short};

/// In the drawing's own units.
const WIDTH: u64 = 480;
const HEIGHT: u64 = 150;
const LEFT: u64 = 52;
const TOP: u64 = 12;
const BOTTOM: u64 = 24;
/// Days that the drawing has room for, whatever the month.
const DAYS: u64 = 31;

/// The chart and the table; nothing of a month of which no days are kept.
pub(super) fn section(statement: &StatementView) -> Markup {
    if statement.days.is_empty() {
        return html! {};
    }
    html! {
        h3 { "Day by day" }
        (chart(statement))
        details {
            summary { "As a table" }
            table.statement {
                thead { tr { th { "Day (UTC)" } th { "Spent" } th { "Given" } } }
                tbody {
                    @for day in &statement.days {
                        tr data-day=(day.day) {
                            td.main data-label="Day (UTC)" { (day.day) }
                            td.number data-label="Spent" { (rounded(day.spent_micro)) }
                            td.number data-label="Given" { (rounded(day.credit)) }
                        }
                    }
                }
            }
        }
    }
}

fn chart(statement: &StatementView) -> Markup {
    let spent = statement.days.iter().map(|day| size(day.spent_micro));
    let top = round_up(spent.max().unwrap_or(0));
    html! {
        figure.chart {
            svg viewBox={"0 0 " (WIDTH) " " (HEIGHT)} role="group" aria-labelledby="days-title" {
                title #days-title { "Beans spent in " (statement.month) ", by day" }
                @for half in 0..=2_u64 { (line(half, top)) }
                @for day in &statement.days { (column(day, top)) }
                @for day in [1, 5, 10, 15, 20, 25, 30_u64] {
                    text.axis x=(x(day) + width() / 2) y=(HEIGHT - 6) text-anchor="middle" { (day) }
                }
            }
            figcaption { "Beans spent on each day of " (statement.month) ", by UTC." }
        }
    }
}

/// In millionths. Nobody is paid for running something.
fn size(beans: MicroBeans) -> u64 {
    u64::try_from(beans.0).unwrap_or(0)
}

/// The next of 1, 2, 5, 10 beans and so on.
fn round_up(micro: u64) -> u64 {
    let steps = [1, 2, 5].map(|step| step * 1_000_000);
    (0..12)
        .flat_map(|power| steps.map(|step: u64| step.saturating_mul(10_u64.pow(power))))
        .find(|step| *step >= micro)
        .unwrap_or(micro)
}

fn width() -> u64 {
    (WIDTH - LEFT) / DAYS * 2 / 3
}

fn x(day: u64) -> u64 {
    LEFT + (day - 1) * (WIDTH - LEFT) / DAYS
}

fn y(micro: u64, top: u64) -> u64 {
    let height = HEIGHT - TOP - BOTTOM;
    // A millionth of a bean is nothing that could be seen.
    let (part, whole) = (micro.min(top) / 1_000, (top / 1_000).max(1));
    TOP + height - part * height / whole
}

/// A line of the grid with its number of beans.
fn line(half: u64, top: u64) -> Markup {
    let micro = top * half / 2;
    let beans = i64::try_from(micro).unwrap_or(i64::MAX);
    html! {
        line.grid x1=(LEFT) x2=(WIDTH) y1=(y(micro, top)) y2=(y(micro, top)) {}
        text.axis x=(LEFT - 6) y=(y(micro, top) + 4) text-anchor="end" { (short(MicroBeans(beans))) }
    }
}

fn column(day: &DayView, top: u64) -> Markup {
    let number = day
        .day
        .rsplit_once('-')
        .and_then(|(_, day)| day.parse().ok());
    let number: u64 = number.unwrap_or(1);
    let (high, low) = (y(size(day.spent_micro), top), y(0, top));
    let label = format!("{}: {} beans", day.day, short(day.spent_micro));
    html! {
        g role="img" aria-label=(label) {
            title { (label) }
            @if size(day.spent_micro) > 0 {
                rect.bar x=(x(number)) y=(high.min(low - 1)) width=(width()) height=((low - high).max(1)) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_ends_at_a_round_number_and_holds_the_largest_day() {
        let rounded = [0, 1, 1_000_001, 7_500_000, 150_000_000].map(round_up);
        let beans = rounded.map(|micro| micro / 1_000_000);
        assert_eq!(beans, [1, 1, 2, 10, 200]);
        assert!(round_up(u64::MAX) >= 5_000_000_000_000);
        assert_eq!(
            (y(0, 1_000_000), y(1_000_000, 1_000_000)),
            (HEIGHT - BOTTOM, TOP)
        );
        assert!(x(31) + width() <= WIDTH);
    }
}
