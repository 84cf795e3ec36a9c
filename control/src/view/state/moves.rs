//! The fields of moves.

use super::{Building, Noun, Shown};
use crate::permit;
use crate::view::moves;

impl Shown<'_> {
    pub(super) fn moves(&mut self) {
        let (state, asker) = (self.state, self.asker);
        let rows = state.moves.values();
        for row in rows.filter(|row| permit::owns(asker, row.owner)) {
            let view = moves::show(state, row);
            let gpus = (!row.gpus.is_empty()).then(|| row.gpus.join(" "));
            let fields = Building::default()
                .number("number", row.number.0)
                .text("stage", &view.stage)
                .text("way", row.way.word())
                .text("why", &view.why)
                .text("from", &view.from)
                .text("to", &view.to)
                .number("epoch", row.epoch.0)
                .number("round", row.copied.round)
                .number("sent_bytes", row.copied.sent_bytes)
                .number("memory_rounds", row.copied.memory_rounds)
                .number("memory_bytes", row.copied.memory_bytes)
                .number("asked_at", row.times.asked_at.0)
                .number_if("switched_at", row.times.switched_at.map(|at| at.0))
                .number_if("placed_at", row.times.placed_at.map(|at| at.0))
                .number_if("ended_at", row.times.ended_at.map(|at| at.0))
                .number_if("down_ms", view.down_ms)
                .text_if("gpus_kept", gpus)
                .text_if("cause", view.cause);
            let vnode = state.vnodes.get(&row.vnode);
            let vnode = vnode.map_or_else(String::new, |vnode| self.vnode(vnode));
            self.add(Noun::Moves, vnode, row.vnode, fields.0);
        }
    }
}
