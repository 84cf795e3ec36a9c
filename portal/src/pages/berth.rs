//! A vcluster at a glance: one mark for each vnode, in its colour and shape.

use docklet_control::view::{Phase, VclusterView};
use maud::{Markup, html};

/// More marks than this say no more than a number.
const MARKS_MAX: usize = 24;

pub(crate) fn berths(view: &VclusterView) -> Markup {
    let staying: Vec<Phase> = view
        .vnodes
        .iter()
        .map(|vnode| vnode.phase)
        .filter(|phase| *phase != Phase::Removing)
        .collect();
    let label = format!("{} of {} running", view.running, staying.len());
    html! {
        span.berths role="img" aria-label=(label) title=(label) {
            @for phase in staying.iter().take(MARKS_MAX) { i class={"berth berth-" (phase.word())} {} }
            @if staying.len() > MARKS_MAX { b { "+" (staying.len() - MARKS_MAX) } }
        }
    }
}
