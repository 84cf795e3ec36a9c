//! What is in the trash, as its owner sees it; and what will get there.

use serde::{Deserialize, Serialize};

use crate::id::{UnixMs, VclusterId};
use crate::model::User;
use crate::model::trash::TrashWhy;
use crate::state::State;
use crate::trash;

/// One vcluster in the trash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TrashView {
    pub id: VclusterId,
    pub name: String,
    pub owner: String,
    pub vnodes: usize,
    /// Who deleted it; none if it was released because it stood still for long.
    pub by: Option<String>,
    pub at: UnixMs,
    /// When it goes for good.
    pub until: UnixMs,
    /// Whether it ran, and will again when it is taken out.
    pub ran: bool,
}

/// What `asker` may have back, the newest first.
#[must_use]
pub fn list(state: &State, asker: &User) -> Vec<TrashView> {
    let person = |id| {
        state
            .users
            .get(&id)
            .map(|user: &User| user.name.to_string())
    };
    let trashed = trash::of(state, asker).into_iter();
    let views = trashed.filter_map(|trashed| {
        let row = state.vclusters.get(&trashed.vcluster)?;
        Some(TrashView {
            id: row.id,
            name: row.name.to_string(),
            owner: person(row.owner).unwrap_or_default(),
            vnodes: state.live_vnodes_of(row.id).len(),
            by: match trashed.why {
                TrashWhy::Deleted { by } | TrashWhy::WithAccount { by } => {
                    Some(person(by).unwrap_or_default())
                }
                TrashWhy::Released => None,
            },
            at: trashed.at,
            until: trashed.until,
            ran: trashed.ran,
        })
    });
    views.collect()
}
