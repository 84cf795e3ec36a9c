//! Who looks at a terminal, and until when they may: whoever may go into the vnode, and guests who came by a link.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::ws;
use docklet_control::id::{SecretHash, VnodeId};
use docklet_control::model::{User, Vnode};
use docklet_control::permit;
use futures_util::{Sink, SinkExt};

use crate::asker::holder;
use crate::serve::Portal;
use crate::shared;

/// A guest is waited for at most so long to take the last word.
const LAST_WORD: Duration = Duration::from_millis(200);

/// Who looks, and by what right.
#[derive(Clone, Copy)]
pub(crate) struct Looks {
    login: SecretHash,
    /// The link by which they came, and whether they only watch; none if they may go into the vnode.
    link: Option<(SecretHash, bool)>,
}

impl Looks {
    pub(crate) fn into_vnode(login: SecretHash) -> Self {
        Self { login, link: None }
    }

    pub(crate) fn by_link(login: SecretHash, link: SecretHash, watches: bool) -> Self {
        let link = Some((link, watches));
        Self { login, link }
    }

    pub(crate) fn is_guest(self) -> bool {
        self.link.is_some()
    }

    /// Until they may no longer.
    pub(crate) async fn end(self, portal: &Portal, vnode: VnodeId) {
        match self.link {
            None => login_ends(portal, self.login, vnode).await,
            Some((link, _)) => shared::ends(portal, self.login, link, vnode).await,
        }
    }

    /// Whether what they send is for the worker. Whoever watches has no say, and no guest says how large the shell is.
    pub(crate) fn passes(self, message: &ws::Message) -> bool {
        match self.link {
            None => true,
            Some((_, true)) => false,
            Some((_, false)) => !matches!(message, ws::Message::Text(text) if !is_reading(text)),
        }
    }

    /// A guest hears that it is over.
    pub(crate) async fn tell_over<E>(
        self,
        portal: &Portal,
        to_viewer: &mut (impl Sink<ws::Message, Error = E> + Unpin),
    ) {
        if !self.is_guest() {
            return;
        }
        let here = holder(&portal.master.local().state, self.login).is_some();
        let cause = if here {
            "it is not shared with you any more"
        } else {
            "your login has ended"
        };
        let told = serde_json::json!({"refused": {"cause": cause}});
        // The guest may be gone already; what it does not take in time it need not know.
        let said = async {
            let _ = to_viewer.send(ws::Message::text(told.to_string())).await;
            let _ = to_viewer.close().await;
        };
        let _ = tokio::time::timeout(LAST_WORD, said).await;
    }
}

/// Says no more than how far somebody has read.
fn is_reading(text: &str) -> bool {
    let said = serde_json::from_str::<HashMap<String, u64>>(text);
    said.is_ok_and(|said| said.len() == 1 && said.contains_key("read"))
}

/// Until the login is over, or whose it is may not enter the vnode any more: an admin who was demoted leaves other people's.
pub(crate) async fn login_ends(portal: &Portal, login: SecretHash, vnode: VnodeId) {
    let mut states = portal.master.watch();
    let ended = states.wait_for(|frozen| {
        let (user, vnode) = (
            holder(&frozen.state, login),
            frozen.state.vnodes.get(&vnode),
        );
        let enters = |vnode: &Vnode, user: &User| {
            permit::owns(user, vnode.owner) && !frozen.state.is_trashed(vnode.vcluster)
        };
        !user.is_some_and(|user| vnode.is_none_or(|vnode| enters(vnode, user)))
    });
    // The channel is closed only when this master stops.
    drop(ended.await);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOMEBODY: SecretHash = SecretHash([1; 32]);

    fn text(text: &str) -> ws::Message {
        ws::Message::text(text.to_owned())
    }

    #[test]
    fn nothing_of_who_watches_is_for_the_worker() {
        let watches = Looks::by_link(SOMEBODY, SOMEBODY, true);
        let typed = ws::Message::binary(b"rm\n".to_vec());
        for message in [typed, text("{\"record\":true}"), text("{\"read\":1}")] {
            assert!(!watches.passes(&message), "{message:?}");
        }
    }

    #[test]
    fn a_guest_who_types_says_neither_how_large_the_shell_is_nor_that_it_is_recorded() {
        let types = Looks::by_link(SOMEBODY, SOMEBODY, false);
        assert!(types.passes(&ws::Message::binary(b"ls\n".to_vec())));
        assert!(types.passes(&text("{\"read\":1}")));
        for said in [
            "{\"resize\":{\"cols\":2,\"rows\":2}}",
            "{\"record\":true}",
            "{\"read\":1,\"record\":true}",
            "{\"read\":1} {\"record\":true}",
            "no JSON",
        ] {
            assert!(!types.passes(&text(said)), "{said}");
        }
    }
}
