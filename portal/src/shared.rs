//! Terminals that are shared by a link: this master checks that the link is good and that somebody is logged in, and passes
//! messages on. A guest begins no shell and gives it no size; one who only watches says nothing at all to the worker.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use docklet_control::id::{SecretHash, VnodeId};
use docklet_control::model::{Share, Vnode};
use docklet_control::terminal::command::TerminalCommand;
use docklet_control::{Command, Refusal, State as Cluster, terminal as rules};

use crate::asker::{Asker, OWN_WRITE_DEADLINE, holder, now, refuse_foreign};
use crate::audit;
use crate::bounds::Lasting;
use crate::follow;
use crate::login;
use crate::looks::Looks;
use crate::problem::Problem;
use crate::serve::Portal;
use crate::terminal::{Wish, attach_to};
use crate::worker::{self, Located};

/// Bytes of what a link ends with.
const SECRET_BYTES: usize = 20;

/// What a link ends with, drawn anew.
pub(crate) fn new_secret() -> String {
    hex::encode(rand::random::<[u8; SECRET_BYTES]>())
}

/// Where a link leads, on whichever master.
pub(crate) fn path(secret: &str) -> String {
    format!("/shared/{secret}")
}

/// A link as it can have been made; everything else is none.
fn hash(secret: &str) -> Option<SecretHash> {
    let made = secret.len() == 2 * SECRET_BYTES
        && secret
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    made.then(|| login::hash_of(secret))
}

/// A shared terminal that somebody may look at.
pub(crate) struct Found {
    pub(crate) share: Share,
    pub(crate) vnode: Vnode,
    pub(crate) vcluster: String,
    pub(crate) owner: String,
}

/// What a link leads to. One that is wrong, over or not for anybody any more is as if it had never been.
///
/// # Errors
/// `LinkWorthless`.
pub(crate) async fn find(portal: &Portal, asker: &Asker, secret: &str) -> Result<Found, Problem> {
    let hash = hash(secret).ok_or(Refusal::LinkWorthless)?;
    if let Some(found) = find_in(&asker.frozen.state, hash) {
        return Ok(found);
    }
    // It may have been made through another master a moment ago.
    let current = portal.master.read(OWN_WRITE_DEADLINE).await?;
    Ok(find_in(&current.state, hash).ok_or(Refusal::LinkWorthless)?)
}

fn find_in(state: &Cluster, hash: SecretHash) -> Option<Found> {
    let (share, vnode) = rules::found(state, hash, now())?;
    let owner = state.users.get(&vnode.owner)?;
    let vcluster = state.vclusters.get(&vnode.vcluster)?;
    Some(Found {
        share: share.clone(),
        vnode: vnode.clone(),
        vcluster: vcluster.name.to_string(),
        owner: owner.name.to_string(),
    })
}

/// The socket of a guest.
pub(crate) async fn browser(
    State(portal): State<Portal>,
    asker: Asker,
    headers: HeaderMap,
    Path(secret): Path<String>,
    Query(mut query): Query<HashMap<String, String>>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    refuse_foreign(&headers)?;
    let lease = asker.hold(&portal, Lasting::Terminal)?;
    let Found { share, vnode, .. } = find(&portal, &asker, &secret).await?;
    // Which terminal it is says the share, and nobody else.
    query.insert("session".to_owned(), share.session.to_string());
    let wish = Wish::of_guest(&query, !share.types)?;
    let looks = Looks::by_link(asker.session, share.secret, !share.types);
    let found = locate(&portal, &vnode).await;
    let coming = || follow::coming_to(&portal, vnode.id, true);
    // Of who comes back after a connection was lost it was told.
    let is_known = !wish.is_first() && share.guests.contains(&asker.user.id);
    let joins = Command::Terminal(TerminalCommand::Join {
        secret: share.secret,
    });
    let told = |_| async {
        match is_known {
            true => Ok(()),
            false => audit::tell(&portal, &asker, joins).await,
        }
    };
    attach_to((&portal, looks, &wish), lease, found, coming, told, upgrade).await
}

/// What this master's own state refuses, a current one may allow, as at every door.
async fn locate(portal: &Portal, vnode: &Vnode) -> Result<Located, Problem> {
    if let Ok(found) = worker::located(&portal.master.local().state, vnode.id) {
        return Ok(found);
    }
    let current = portal.master.read(OWN_WRITE_DEADLINE).await?;
    Ok(worker::located(&current.state, vnode.id)?)
}

/// Until a guest may no longer look: their login ended, the link is good for nothing any more, or its time is over.
pub(crate) async fn ends(portal: &Portal, login: SecretHash, link: SecretHash, vnode: VnodeId) {
    let mut states = portal.master.watch();
    loop {
        let left = left(&states.borrow_and_update().state, login, link, vnode);
        let Some(left) = left else {
            return;
        };
        tokio::select! {
            changed = states.changed() => if changed.is_err() {
                // This master stops.
                return;
            },
            () = tokio::time::sleep(left) => {}
        }
    }
}

/// For how long a guest may look, if nothing changes; none if no longer.
fn left(state: &Cluster, login: SecretHash, link: SecretHash, vnode: VnodeId) -> Option<Duration> {
    holder(state, login)?;
    let now = now();
    let (share, found) = rules::found(state, link, now)?;
    let left_ms = share.until.since_ms(now);
    (found.id == vnode).then(|| Duration::from_millis(left_ms))
}
