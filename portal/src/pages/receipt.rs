//! The receipt above a page's content: what somebody asked for a moment ago, and each stage of what came of it, with its time.

use docklet_control::id::UnixMs;
use docklet_control::view::course::Course;
use docklet_control::view::happened::Happened;
use maud::{Markup, html};

use crate::receipt::Receipt;

/// Stages that come while one looks.
pub(crate) const STAGES: &str = "receipt-stages";

/// All of it.
pub(super) fn receipt(receipt: &Receipt) -> Markup {
    html! {
        section #receipt .notice.done aria-label="Receipt" {
            p role="status" {
                @match &receipt.course {
                    Some(course) => {
                        "Done. It is entry " (course.asked.index) " of the log, on the disks of most masters."
                    }
                    None => "Done.",
                }
            }
            @if let Some(course) = &receipt.course { (stages(course)) }
            @if !receipt.told.is_empty() {
                ol.timeline.plain {
                    @let begun = receipt.course.as_ref().map(|course| course.asked.at);
                    @let begun = begun.or(receipt.told.first().map(|told| told.at)).unwrap_or_default();
                    @for told in &receipt.told { (line(told.at, begun, std::slice::from_ref(&told.says), 0)) }
                }
            }
        }
    }
}

/// The stages that the log tells.
pub(crate) fn stages(course: &Course) -> Markup {
    let asked = &course.asked;
    let stage = |stage: &Happened| line(stage.at, asked.at, &stage.says, stage.more);
    html! {
        ol #(STAGES) .timeline.plain {
            (stage(asked))
            @for one in course.first() { (stage(one)) }
            @if course.left_out > 0 {
                li { span.when { "…" } span { (course.left_out) " more" } }
            }
            @for one in course.last() { (stage(one)) }
        }
    }
}

fn line(at: UnixMs, begun: UnixMs, says: &[String], more: usize) -> Markup {
    let ms = at.since_ms(begun);
    html! {
        li {
            span.when title=(moment(at)) {
                @if ms == 0 { (clock(at)) } @else { (after(ms)) }
            }
            span {
                @for (place, says) in says.iter().enumerate() {
                    @if place > 0 { " " }
                    (says)
                }
                @if more > 0 { span.muted { " and " (more) " more" } }
            }
        }
    }
}

/// When it began, to the second.
fn clock(at: UnixMs) -> Markup {
    html! { time data-clock datetime=(moment(at)) { (crate::past::instant(at).get(11..19).unwrap_or_default()) } }
}

fn moment(at: UnixMs) -> String {
    let ms = i64::try_from(at.0).unwrap_or(i64::MAX);
    let stamp = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    stamp.to_string()
}

/// How long after the beginning.
fn after(ms: u64) -> String {
    match ms {
        0..10_000 => format!("+{}.{:03} s", ms / 1_000, ms % 1_000),
        10_000..120_000 => format!("+{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("+{} min {} s", ms / 60_000, ms / 1_000 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_say_how_long_after() {
        let told = [3, 1_250, 12_345, 125_000].map(after);
        assert_eq!(told, ["+0.003 s", "+1.250 s", "+12.3 s", "+2 min 5 s"]);
    }
}
