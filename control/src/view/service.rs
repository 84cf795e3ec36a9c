//! Services as people are shown them.

use serde::{Deserialize, Serialize};

use crate::id::{ServiceId, UnixMs, VclusterId};
use crate::model::{PortNumber, Role, Service, User};
use crate::permit;
use crate::service::is_open_to;
use crate::state::State;
use crate::view::Phase;
use crate::view::vcluster::show_vnode;

/// One service, for whoever may open it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ServiceView {
    pub id: ServiceId,
    pub name: String,
    pub owner: String,
    pub vcluster: String,
    pub vnode: String,
    pub port: PortNumber,
    pub path: String,
    pub by_image: bool,
    pub tells_user: bool,
    /// How its vnode is.
    pub phase: Phase,
    /// Whether who looks may change it; only then it is told with whom it is shared.
    pub own: bool,
    pub everybody: bool,
    pub people: Vec<String>,
    pub groups: Vec<String>,
    pub added_at: UnixMs,
    /// Where a browser opens it; none where this cluster has no name for services.
    pub url: Option<String>,
}

/// All that `asker` may open: own ones first, then by owner, vcluster and name.
#[must_use]
pub fn list(state: &State, asker: &User) -> Vec<ServiceView> {
    // An admin may open everybody's, and is shown what is theirs or meant for them.
    let plain = User {
        role: Role::User,
        ..asker.clone()
    };
    let services = state.services.values();
    let services = services.filter(|service| is_open_to(state, service, &plain));
    let mut views: Vec<ServiceView> = services
        .map(|service| show(state, asker, service))
        .collect();
    views.sort_by_cached_key(|view| {
        let other = view.owner != asker.name.as_str();
        let place = (view.vcluster.clone(), view.vnode.clone(), view.name.clone());
        (other, view.owner.clone(), place)
    });
    views
}

/// Those of a vcluster, by vnode and name.
#[must_use]
pub fn of_vcluster(state: &State, asker: &User, vcluster: VclusterId) -> Vec<ServiceView> {
    let services = state.services_of(vcluster);
    let services = services.filter(|service| is_open_to(state, service, asker));
    let mut views: Vec<ServiceView> = services
        .map(|service| show(state, asker, service))
        .collect();
    views.sort_by_cached_key(|view| (view.vnode.clone(), view.name.clone()));
    views
}

/// One of them.
#[must_use]
pub fn show(state: &State, asker: &User, service: &Service) -> ServiceView {
    let vnode = state.vnodes.get(&service.vnode);
    let vcluster = state.vclusters.get(&service.vcluster);
    let name = |user| state.users.get(user).map(|user| user.name.to_string());
    let own = permit::owns(asker, service.owner);
    let audience = &service.audience;
    let people = audience.people.iter().filter(|_| own).filter_map(name);
    let groups = audience.groups.iter().filter(|_| own);
    let groups = groups.filter_map(|group| state.groups.get(group));
    ServiceView {
        id: service.id,
        name: service.name.to_string(),
        owner: name(&service.owner).unwrap_or_default(),
        vcluster: vcluster.map(|row| row.name.to_string()).unwrap_or_default(),
        vnode: vnode.map(|row| row.hostname()).unwrap_or_default(),
        port: service.port,
        path: service.path.clone(),
        by_image: service.by_image,
        tells_user: service.tells_user,
        phase: vnode.map_or(Phase::Removing, |vnode| show_vnode(state, vnode).phase),
        own,
        everybody: audience.everybody,
        people: people.collect(),
        groups: groups.map(|group| group.name.to_string()).collect(),
        added_at: service.added_at,
        url: None,
    }
}
