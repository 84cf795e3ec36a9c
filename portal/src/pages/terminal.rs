//! The terminal of one vnode.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use docklet_control::model::Vnode;
use maud::{Markup, html};

use super::Page;
use crate::asker::Asker;
use crate::follow;
use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker::{find_vcluster, locate};

/// As on every page, but that the terminal makes its style sheets of colours and sizes as it goes.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(crate) async fn show(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode)): Path<(String, String)>,
) -> Result<impl IntoResponse, Problem> {
    // Says at once if there is no such vnode, or it does not run, rather than in a socket.
    if let Err(problem) = locate(&portal, &asker, &vcluster, &vnode).await {
        follow::coming(&portal, &asker.user, (&vcluster, &vnode), false).ok_or(problem)?;
    }
    let desk = Desk {
        vcluster: &vcluster,
        vnode: &vnode,
        vnodes: &running_beside(&portal, &asker, &vcluster, &vnode),
        shared: None,
    };
    let body = html! {
        h1.unseen { "Terminal on " (vnode) " of " (vcluster) }
        p.crumbs { a href="/vclusters" { "Vclusters" } " / " a href={"/vclusters/" (vcluster)} { (vcluster) } " / " (vnode) }
        (desk.markup())
        noscript { p.notice { "A terminal needs JavaScript. " code { "docklet shell " (vcluster) "/" (vnode) } " works without a browser." } }
    };
    let title = format!("{vnode} of {vcluster}");
    let script = Some("terminal.js");
    let page = Page {
        title: &title,
        asker: &asker,
        live: None,
        script,
    }
    .render(body);
    Ok((
        [(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY)],
        page,
    ))
}

/// Where the script puts terminals.
pub(super) struct Desk<'a> {
    pub(super) vcluster: &'a str,
    pub(super) vnode: &'a str,
    /// Where terminals can be opened from here, with spaces between.
    pub(super) vnodes: &'a str,
    /// The link by which this one was shared, and whether one may only watch.
    pub(super) shared: Option<(&'a str, bool)>,
}

impl Desk<'_> {
    pub(super) fn markup(&self) -> Markup {
        let session = hex::encode(rand::random::<[u8; 16]>());
        let (link, watches) = self.shared.unzip();
        let mode = watches.filter(|&watches| watches).map(|_| "watch");
        html! {
            div.terminal-bar {
                p #terminal-status role="status" aria-live="polite" { "connecting…" }
                div.terminal-tools #terminal-tools {}
            }
            div.terminal-tabs #terminal-tabs role="tablist" aria-label="Terminals" hidden {}
            div #terminal data-vcluster=(self.vcluster) data-vnode=(self.vnode) data-vnodes=(self.vnodes) data-session=(session)
                data-shared=[link] data-mode=[mode] {}
            div.terminal-keys #terminal-keys role="toolbar" aria-label="Keys" {}
        }
    }
}

/// The vnodes of the same vcluster at which a terminal can be opened, with spaces between.
fn running_beside(portal: &Portal, asker: &Asker, vcluster: &str, vnode: &str) -> String {
    let state = portal.master.local().state;
    let names: Vec<String> = find_vcluster(&state, &asker.user, vcluster)
        .map(|vcluster| state.live_vnodes_of(vcluster.id))
        .into_iter()
        .flatten()
        .map(Vnode::hostname)
        .collect();
    if names.is_empty() {
        return vnode.to_owned();
    }
    names.join(" ")
}

/// Plays a recording that the reader has as a file.
pub(crate) async fn replay(asker: Asker) -> impl IntoResponse {
    let body = html! {
        h1 { "Replay a recording" }
        p.muted { "An asciicast that was saved from a terminal. It is played in this browser and sent nowhere." }
        div #replay {
            form.fields {
                div.field.long {
                    label for="cast" { "Recording" }
                    input #cast data-part="file" type="file" accept=".cast,application/x-asciicast";
                }
                div.field {
                    label for="speed" { "Speed" }
                    select #speed data-part="speed" disabled {
                        @for speed in ["0.5", "1", "2", "5", "20"] {
                            option value=(speed) selected[speed == "1"] { (speed) " times" }
                        }
                    }
                }
                button.button type="button" data-part="play" disabled { "Play" }
            }
            p.notice.refused role="alert" data-part="said" hidden {}
            div.player data-part="screen" {}
            div.seek {
                input data-part="seek" type="range" min="0" max="1" step="0.01" value="0" aria-label="Moment" disabled;
                span data-part="clock" { "0:00 of 0:00" }
            }
            noscript { p.notice { "A replay needs JavaScript." } }
        }
    };
    let page = Page {
        title: "Replay a recording",
        asker: &asker,
        live: None,
        script: Some("terminal.js"),
    }
    .render(body);
    (
        [(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY)],
        page,
    )
}
