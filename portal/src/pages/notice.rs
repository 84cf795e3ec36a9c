//! What everybody is told on every page: the drill that is announced or under way.

use docklet_control::view::drill;
use maud::{Markup, html};

use super::instant;
use crate::asker::Asker;

/// The live stream of pages on which nothing else changes.
pub(crate) const LIVE: &str = "/live/notice";

/// The banner, which is empty most of the time.
pub(crate) fn banner(asker: &Asker) -> Markup {
    let notice = drill::notice(&asker.frozen.state);
    html! {
        div #notice role="status" aria-live="polite" {
            @if let Some(notice) = notice {
                p.banner.drill {
                    (notice.text)
                    " Begin: " (instant(notice.begins_at)) ". End at the latest: " (instant(notice.ends_by)) "."
                    @if asker.user.operates() {
                        " " a href={"/drills/" (notice.drill)} { "Drill " (notice.drill) }
                    }
                }
            }
        }
    }
}
