//! Templates.

use crate::state::State;
use crate::template::event::TemplateEvent;

pub(super) fn evolve(state: &mut State, event: TemplateEvent) {
    match event {
        TemplateEvent::Published { template, .. } => state.put_template(template),
        TemplateEvent::Withdrawn { template, .. } => state.remove_template(&template.name),
    }
}
