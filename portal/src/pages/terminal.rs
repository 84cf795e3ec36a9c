//! The terminal of one vnode.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use maud::html;

use super::Page;
use crate::asker::Asker;
use crate::follow;
use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker::locate;

/// As on every page, but that the terminal makes its style sheets of colours and sizes as it goes.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
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
    let socket = format!("/terminal/ws?vcluster={vcluster}&vnode={vnode}");
    let session = hex::encode(rand::random::<[u8; 16]>());
    let body = html! {
        h1.unseen { "Terminal on " (vnode) " of " (vcluster) }
        p.crumbs { a href="/vclusters" { "Vclusters" } " / " a href={"/vclusters/" (vcluster)} { (vcluster) } " / " (vnode) }
        div.terminal-bar {
            p #terminal-status role="status" aria-live="polite" { "connecting…" }
            div.terminal-tools #terminal-tools {}
        }
        div #terminal data-socket=(socket) data-session=(session) data-key={(vcluster) "/" (vnode)} {}
        div.terminal-keys #terminal-keys role="toolbar" aria-label="Keys" {}
        noscript { p.notice { "A terminal needs JavaScript. " code { "docklet shell " (vcluster) "/" (vnode) } " works without a browser." } }
    };
    let title = format!("{vnode} of {vcluster}");
    let script = Some("/assets/terminal.js");
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
