//! The bell at the top of every page: how much there is that one has not read.

use docklet_control::notice;
use maud::{Markup, html};

use crate::asker::Asker;

/// The id of the element, for the live stream.
pub(crate) const ID: &str = "bell";

/// A link to the notices, with the count if there is something new.
pub(crate) fn bell(asker: &Asker) -> Markup {
    let unread = notice::unread(&asker.frozen.state, &asker.user);
    let label = match unread {
        0 => "Notices, nothing new".to_owned(),
        unread => format!("Notices, {unread} unread"),
    };
    html! {
        a #(ID) .bell href="/notices" aria-label=(label) title=(label) {
            svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true" focusable="false" {
                path fill="currentColor" d="M12 2.5a6 6 0 0 0-6 6v4.2l-1.9 3.2c-.4.7.1 1.6.9 1.6h14c.8 0 1.3-.9.9-1.6L18 12.7V8.5a6 6 0 0 0-6-6zm-2.6 16.6a2.7 2.7 0 0 0 5.2 0z" {}
            }
            @if unread > 0 { span.count aria-hidden="true" { (unread) } }
        }
    }
}
