//! The fields of notices, mails and bug reports: never what the mail server is shown.

use super::{Building, Fields, Noun, Shown};
use crate::notice::{is_for, is_shown_to};
use crate::state::State;
use crate::view::part::Wanted;
use crate::view::{mail, notice};

/// By which server mails go.
pub(super) fn mail_server(state: &State) -> Option<Fields> {
    let server = state.mail_server.as_ref()?;
    let fields = Building::default()
        .text("host", &server.host)
        .number("port", server.port)
        .text("tls", server.tls.word())
        .text("user", &server.user)
        .text("from", &server.from)
        .text("portal", &server.portal);
    Some(fields.0)
}

impl Shown<'_> {
    /// Those that who looks reads, or may take back.
    pub(super) fn notices(&mut self) {
        let (state, asker) = (self.state, self.asker);
        let reader = state.reader_of(asker.id);
        let notices = state.notices.values();
        for row in notices.filter(|notice| is_shown_to(state, notice, asker)) {
            let read = if !is_for(state, row, asker) {
                None
            } else if reader.has_read(row.id) {
                Some("yes")
            } else {
                Some("no")
            };
            let fields = Building::default()
                .text("to", notice::to(state, asker, row.to))
                .text("severity", row.severity.word())
                .text("title", &row.title)
                .text("body", &row.body)
                .text("link", &row.link)
                .text("by", &row.by)
                .number("since", row.since.0)
                .number("until", row.until.0)
                .text_if("read", read);
            self.add(Noun::Notices, row.id.to_string(), row.id, fields.0);
        }
    }

    /// Their own, of an admin all.
    pub(super) fn bugs(&mut self) {
        for view in notice::bugs(self.state, self.asker) {
            let closed = if view.closed { "yes" } else { "no" };
            let fields = Building::default()
                .text("by", &view.by)
                .text("text", &view.text)
                .number("at", view.at.0)
                .text("closed", closed)
                .text("answer", &view.answer)
                .text("answered_by", &view.answered_by)
                .number_if("answered_at", view.answered_at.map(|at| at.0));
            self.add(Noun::Bugs, view.id.to_string(), view.id, fields.0);
        }
    }

    /// For admins.
    pub(super) fn mails(&mut self) {
        if !self.asker.is_admin() {
            return;
        }
        for view in mail::part(self.state, &Wanted::all()).rows {
            let fields = Building::default()
                .text("to", &view.address)
                .text("user", &view.user)
                .text("subject", &view.subject)
                .text("stage", &view.stage)
                .number("tries", view.tries)
                .number("made_at", view.made_at.0)
                .number_if("next_at", view.next_at.map(|at| at.0))
                .text("cause", &view.cause);
            self.add(Noun::Mails, view.id.to_string(), view.id, fields.0);
        }
    }
}
