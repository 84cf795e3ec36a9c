//! Inviting a machine: a command for it with a token that works once, which is shown only now.

use axum::extract::{Form, State};
use docklet_control::Command;
use docklet_control::id::UnixMs;
use docklet_control::model::JoinRole;
use docklet_link::JoinSecret;
use maud::{Markup, html};
use serde::Deserialize;

use super::{Page, check_csrf, csrf, instant};
use crate::asker::{Asker, propose};
use crate::masters::invitation;
use crate::problem::Problem;
use crate::receipt::with_write;
use crate::serve::Portal;

/// An invitation by a page is good for so long.
pub(super) const TTL_MS: u64 = 3_600_000;

#[derive(Deserialize)]
pub(crate) struct Wanted {
    csrf: String,
    role: JoinRole,
}

/// A form of one button.
pub(super) fn form(asker: &Asker, role: JoinRole) -> Markup {
    let (word, label) = match role {
        JoinRole::Master => ("master", "Invite a master"),
        JoinRole::Agent => ("agent", "Invite a worker"),
    };
    html! {
        form.actions method="post" action="/invitations" {
            (csrf(asker))
            input type="hidden" name="role" value=(word);
            button.button.secondary type="submit" { (label) }
        }
    }
}

/// The secret leaves with this page and is stored nowhere.
pub(crate) async fn make(
    State(portal): State<Portal>,
    asker: Asker,
    Form(wanted): Form<Wanted>,
) -> Result<Markup, Problem> {
    check_csrf(&asker, &wanted.csrf)?;
    let role = wanted.role;
    let (token, secret_hash) = invitation(&portal, &asker, role);
    let command = Command::CreateJoinToken {
        secret_hash,
        role,
        ttl_ms: TTL_MS,
        uses: 1,
    };
    let receipt = propose(&portal, &asker, command).await?;
    let asker = with_write(&portal, asker, receipt.index).await?;
    Ok(shown(&asker, role, &token, receipt.at.plus_ms(TTL_MS)))
}

pub(super) fn shown(asker: &Asker, role: JoinRole, token: &JoinSecret, until: UnixMs) -> Markup {
    let (path, list, command) = match role {
        JoinRole::Master => (
            "/masters",
            "Masters",
            format!(
                "docklet master join {token} --name NAME --dir DIR --cluster-addr ADDR:PORT --public-addr ADDR:PORT"
            ),
        ),
        JoinRole::Agent => (
            "/workers",
            "Workers",
            format!("docklet agent join {token} --name NAME --dir DIR --data-addr ADDR:PORT"),
        ),
    };
    let body = html! {
        p.crumbs { a href=(path) { (list) } " / invitation" }
        h1 { "Invitation" }
        p { "Run this on the machine that is to join, with its own addresses. It works once, ends " (instant(until)) ", and is shown only now." }
        pre.whole { code #invitation { (command) } }
        p { a.button href=(path) { "Back" } }
    };
    Page {
        title: "Invitation",
        asker,
        live: None,
        script: None,
    }
    .render(body)
}
