//! What is particular to services: their commands and events, what images say of them, and who may open one. The rows are
//! [`crate::model::service`], the rules are in [`crate::decide`]. Since version 3 (ADR 0038).

pub mod command;
pub mod event;

use crate::id::{Digest, SecretHash, ServiceId};
use crate::model::{PortNumber, Service, User, Visit, VnodeWanted};
use crate::name::Name;
use crate::permit;
use crate::state::State;

/// The variable of an image's environment that tells which services it has, as `lab:8888/lab,docs:8000`.
pub const DECLARED_IN: &str = "DOCKLET_SERVICES";

/// What an image says of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    pub name: Name,
    pub port: PortNumber,
    pub path: String,
}

/// What an image says that its first vnode serves. What is not understood is left out.
#[must_use]
pub fn declared(state: &State, image: Digest) -> Vec<Declared> {
    let run = state.image_runs.get(&image);
    let variables = run.into_iter().flat_map(|run| &run.environment);
    let said =
        variables.filter_map(|variable| variable.strip_prefix(DECLARED_IN)?.strip_prefix('='));
    let parts = said.flat_map(|said| said.split(','));
    let mut found: Vec<Declared> = Vec::new();
    for one in parts.filter_map(parse) {
        let room = found.len() < Service::PER_VCLUSTER_MAX;
        if room && !found.iter().any(|other| other.name == one.name) {
            found.push(one);
        }
    }
    found
}

fn parse(text: &str) -> Option<Declared> {
    let (name, rest) = text.trim().split_once(':')?;
    let (port, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let port = port.parse().ok().filter(|port| *port > 0)?;
    is_path(path).then_some(Declared {
        name: Name::parse("service", name).ok()?,
        port: PortNumber(port),
        path: path.to_owned(),
    })
}

/// Whether it may be what a link to a service ends with: nothing, or a path of that origin and of no other.
#[must_use]
pub fn is_path(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~?=&%".contains(&byte);
    text.len() <= Service::PATH_LEN_MAX
        && text.bytes().all(allowed)
        && (text.is_empty() || text.starts_with('/') && !text.starts_with("//"))
}

/// Whether `asker` may open a service.
#[must_use]
pub fn is_open_to(state: &State, service: &Service, asker: &User) -> bool {
    let there = || {
        let vnode = state.vnodes.get(&service.vnode);
        vnode.is_some_and(|vnode| vnode.wanted != VnodeWanted::Removed)
            && !state.is_trashed(service.vcluster)
    };
    let audience = &service.audience;
    let mut groups = audience.groups.iter();
    let member = |group: &crate::id::GroupId| {
        let group = state.groups.get(group);
        group.is_some_and(|group| group.members.contains(&asker.id))
    };
    let meant = permit::owns(asker, service.owner)
        || audience.everybody
        || audience.people.contains(&asker.id)
        || groups.any(member);
    meant && there()
}

/// The service of this number, if `asker` may open it.
#[must_use]
pub fn opened<'s>(state: &'s State, asker: &User, id: ServiceId) -> Option<&'s Service> {
    let service = state.services.get(&id);
    service.filter(|service| is_open_to(state, service, asker))
}

/// What a browser that shows this secret may use, if its login has not ended and who it is may still open the service.
#[must_use]
pub fn visited(state: &State, id: SecretHash) -> Option<(&Visit, &Service, &User)> {
    let visit = state.visits.get(&id).filter(|visit| visit.entered)?;
    let session = state.sessions.get(&visit.session)?;
    let user = state.users.get(&visit.user)?;
    crate::account::standing::admit(state, user.id).ok()?;
    let service = opened(state, user, visit.service)?;
    (session.user == visit.user).then_some((visit, service, user))
}
