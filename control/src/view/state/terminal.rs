//! The fields of shared terminals: never what finds a link, or the terminal.

use super::{Building, Noun, Shown};
use crate::terminal::is_shown_to;

impl Shown<'_> {
    /// Those of vnodes that who looks may go into.
    pub(super) fn shared_terminals(&mut self) {
        let (state, asker) = (self.state, self.asker);
        let shares = state.shares.values();
        for share in shares.filter(|share| is_shown_to(state, share, asker)) {
            let vnode = state.vnodes.get(&share.vnode);
            let guests = share.guests.iter().map(|guest| self.person(*guest));
            let fields = Building::default()
                .text_if("vnode", vnode.map(|vnode| self.vnode(vnode)))
                .text("by", self.person(share.by))
                .text("guests_may", if share.types { "type" } else { "watch" })
                .list("guests", guests)
                .number("made_at", share.made_at.0)
                .number("until", share.until.0);
            self.add(Noun::Shares, share.id.to_string(), share.id, fields.0);
        }
    }
}
