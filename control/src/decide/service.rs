//! Services: added by owners and by images, shared, and opened in browsers. Since version 3.

use std::collections::BTreeSet;

use super::port::number_in;
use super::{Decision, Ground};
use crate::event::Event;
use crate::id::{GroupId, SecretHash, ServiceId, UserId};
use crate::model::receipt::Subject;
use crate::model::service::Audience;
use crate::model::{Service, SessionKind, User, Vcluster, Visit, Vnode, VnodeWanted};
use crate::name::Name;
use crate::permit;
use crate::refusal::Refusal;
use crate::service::command::{NewAudience, NewService, ServiceCommand};
use crate::service::event::ServiceEvent;
use crate::service::{self, Declared, is_open_to, is_path};
use crate::state::State;

pub(super) fn decide(ground: Ground<'_>, command: &ServiceCommand) -> Result<Decision, Refusal> {
    match command {
        ServiceCommand::Add(new) => add(ground, new),
        ServiceCommand::Remove { service } => {
            let service = own(ground, *service)?;
            let removed = ServiceEvent::Removed {
                service: service.clone(),
            };
            Ok(about(service, vec![removed]))
        }
        ServiceCommand::Share { service, with } => share(ground, *service, with),
        ServiceCommand::Open {
            service,
            ticket,
            session,
        } => open(ground, *service, *ticket, *session),
        ServiceCommand::Enter {
            ticket,
            service,
            visit,
        } => enter(ground, *ticket, *service, *visit),
    }
}

fn about(service: &Service, events: Vec<ServiceEvent>) -> Decision {
    let events = events.into_iter().map(Event::Service);
    Decision::new(Subject::Vcluster(service.vcluster), events.collect())
}

/// The number of the `nth` service that an entry makes: never another's.
fn number(ground: Ground<'_>, nth: usize) -> ServiceId {
    let each = Service::PER_VCLUSTER_MAX as u64;
    ServiceId(
        ground
            .index
            .0
            .saturating_mul(each)
            .saturating_add(nth as u64),
    )
}

fn add(ground: Ground<'_>, new: &NewService) -> Result<Decision, Refusal> {
    let state = ground.state;
    let vnode = permit::visible_vnode(state, ground.entry.actor, new.vnode)?;
    if vnode.wanted == VnodeWanted::Removed {
        return Err(Refusal::not_found("vnode", vnode.hostname()));
    }
    let name = Name::parse("service", &new.name)?;
    number_in("port", new.port, &(1..=u16::MAX))?;
    if !is_path(&new.path) {
        return Err(Refusal::Malformed {
            what: "path".to_owned(),
            cause: format!(
                "give one that begins with one / and has letters, digits and -._~?=&%, {} at most",
                Service::PATH_LEN_MAX
            ),
        });
    }
    let service = Service {
        id: number(ground, 0),
        vnode: vnode.id,
        vcluster: vnode.vcluster,
        owner: vnode.owner,
        name,
        port: new.port,
        path: new.path.clone(),
        tells_user: new.tells_user,
        by_image: false,
        audience: Audience::default(),
        added_at: ground.entry.at,
    };
    if let Some(known) = state.service_named(vnode.id, &service.name) {
        let same = (known.port, &known.path, known.tells_user)
            == (service.port, &service.path, service.tells_user);
        return if same {
            Ok(about(known, Vec::new()))
        } else {
            Err(Refusal::NameTaken {
                kind: "service".to_owned(),
                name: service.name.to_string(),
            })
        };
    }
    if state.services_of(vnode.vcluster).count() >= Service::PER_VCLUSTER_MAX {
        return Err(Refusal::Exhausted {
            what: "service".to_owned(),
            scope: format!("the {} of one vcluster", Service::PER_VCLUSTER_MAX),
        });
    }
    let added = ServiceEvent::Added {
        service: service.clone(),
    };
    Ok(about(&service, vec![added]))
}

/// What an image says that its first vnode serves.
pub(super) fn of_image(ground: Ground<'_>, vcluster: &Vcluster, made: &[Event]) -> Vec<Event> {
    let first = made.iter().find_map(|event| {
        let Event::VnodeCreated { vnode } = event else {
            return None;
        };
        (vnode.ordinal == 0).then_some(vnode)
    });
    let Some(vnode) = first else {
        return Vec::new();
    };
    let declared = service::declared(ground.state, vcluster.image);
    let services = declared.into_iter().enumerate();
    let services = services.map(|(nth, one)| said_by_image(ground, vnode, nth, one));
    services
        .map(|service| Event::Service(ServiceEvent::Added { service }))
        .collect()
}

fn said_by_image(ground: Ground<'_>, vnode: &Vnode, nth: usize, one: Declared) -> Service {
    Service {
        id: number(ground, nth),
        vnode: vnode.id,
        vcluster: vnode.vcluster,
        owner: vnode.owner,
        name: one.name,
        port: one.port,
        path: one.path,
        tells_user: false,
        by_image: true,
        audience: Audience::default(),
        added_at: ground.entry.at,
    }
}

/// A vnode goes, and with it what it served.
pub(super) fn of_vnode_removed<'s>(
    state: &'s State,
    vnode: &Vnode,
) -> impl Iterator<Item = Event> + use<'s> {
    let services = state.services_at(vnode.id).cloned();
    services.map(|service| Event::Service(ServiceEvent::Removed { service }))
}

/// The service, if the asker may change it.
fn own(ground: Ground<'_>, id: ServiceId) -> Result<&Service, Refusal> {
    let asker = permit::person(ground.state, ground.entry.actor)?;
    let service = ground.state.services.get(&id);
    let service = service.filter(|service| {
        permit::owns(asker, service.owner) && !ground.state.is_trashed(service.vcluster)
    });
    service.ok_or_else(|| Refusal::not_found("service", id))
}

fn share(ground: Ground<'_>, id: ServiceId, with: &NewAudience) -> Result<Decision, Refusal> {
    let state = ground.state;
    let asker = permit::person(state, ground.entry.actor)?;
    let service = own(ground, id)?;
    if with.people.len() + with.groups.len() > Audience::NAMES_MAX {
        return Err(Refusal::Exhausted {
            what: "place".to_owned(),
            scope: format!("the {} of one service", Audience::NAMES_MAX),
        });
    }
    let people: Result<_, Refusal> = with.people.iter().map(|text| named(state, text)).collect();
    let groups: Result<_, Refusal> = with
        .groups
        .iter()
        .map(|text| permit::shown_group(state, asker, text).map(|group| group.id))
        .collect();
    let audience = Audience {
        everybody: with.everybody,
        people: people?,
        groups: groups?,
    };
    if audience == service.audience {
        return Ok(about(service, Vec::new()));
    }
    let mut told = meant(state, &service.audience);
    told.extend(meant(state, &audience));
    let shared = ServiceEvent::Shared {
        service: Service {
            audience,
            ..service.clone()
        },
        told,
    };
    Ok(about(service, vec![shared]))
}

fn named(state: &State, text: &str) -> Result<UserId, Refusal> {
    let name = Name::parse("user", text)?;
    let user = state.user_named(&name).map(|user| user.id);
    user.ok_or_else(|| Refusal::not_found("user", &name))
}

/// Whom an audience names, one by one; everybody is nobody in particular.
fn meant(state: &State, audience: &Audience) -> BTreeSet<UserId> {
    let members = |group: &GroupId| {
        let group = state.groups.get(group);
        group.into_iter().flat_map(|group| group.members.iter())
    };
    let members = audience.groups.iter().flat_map(members);
    audience.people.iter().chain(members).copied().collect()
}

fn open(
    ground: Ground<'_>,
    id: ServiceId,
    ticket: SecretHash,
    session: SecretHash,
) -> Result<Decision, Refusal> {
    let (state, at) = (ground.state, ground.entry.at);
    let asker = permit::person(state, ground.entry.actor)?;
    let service = service::opened(state, asker, id);
    let service = service.ok_or_else(|| Refusal::not_found("service", id))?;
    check_browser(ground, asker, session)?;
    refuse_known(state, ticket)?;
    let mut events = over(ground, session);
    events.push(ServiceEvent::Opened {
        service: service.clone(),
        visit: Visit {
            id: ticket,
            service: id,
            user: asker.id,
            session,
            entered: false,
            opened_at: at,
            expires_at: at.plus_ms(Visit::TICKET_TTL_MS),
        },
    });
    Ok(about(service, events))
}

/// It is the asker's own login by a browser, and has not ended.
fn check_browser(ground: Ground<'_>, asker: &User, session: SecretHash) -> Result<(), Refusal> {
    let row = ground.state.sessions.get(&session);
    let sound = row.is_some_and(|row| {
        row.user == asker.id && row.kind == SessionKind::Browser && row.expires_at > ground.entry.at
    });
    sound.then_some(()).ok_or(Refusal::NotLoggedIn)
}

fn refuse_known(state: &State, secret: SecretHash) -> Result<(), Refusal> {
    if !state.visits.contains_key(&secret) {
        return Ok(());
    }
    Err(Refusal::Malformed {
        what: "ticket".to_owned(),
        cause: "it is in use: draw another".to_owned(),
    })
}

/// Visits of a login that end when one more comes.
fn over(ground: Ground<'_>, session: SecretHash) -> Vec<ServiceEvent> {
    let visits = ground.state.visits_of(session);
    let (gone, mut kept): (Vec<&Visit>, Vec<&Visit>) =
        visits.partition(|visit| visit.expires_at <= ground.entry.at);
    kept.sort_by_key(|visit| std::cmp::Reverse((visit.opened_at, visit.id)));
    let oldest = kept.split_off(kept.len().min(Visit::PER_SESSION_MAX - 1));
    let all = gone.into_iter().chain(oldest).cloned();
    all.map(|visit| ServiceEvent::Left { visit }).collect()
}

/// Whoever shows a ticket that was used, is too old, or is for another service, is nobody.
fn enter(
    ground: Ground<'_>,
    ticket: SecretHash,
    id: ServiceId,
    secret: SecretHash,
) -> Result<Decision, Refusal> {
    let (state, at) = (ground.state, ground.entry.at);
    let row = state.visits.get(&ticket);
    let row = row.filter(|row| !row.entered && row.expires_at > at && row.service == id);
    let row = row.ok_or(Refusal::NotLoggedIn)?;
    let session = state.sessions.get(&row.session);
    let session = session.ok_or(Refusal::NotLoggedIn)?;
    let user = state.users.get(&row.user).ok_or(Refusal::NotLoggedIn)?;
    let service = state.services.get(&id);
    let service = service.filter(|service| is_open_to(state, service, user));
    let service = service.ok_or_else(|| Refusal::not_found("service", id))?;
    refuse_known(state, secret)?;
    let entered = ServiceEvent::Entered {
        service: service.clone(),
        ticket,
        visit: Visit {
            id: secret,
            entered: true,
            expires_at: session.expires_at,
            ..row.clone()
        },
    };
    Ok(about(service, vec![entered]))
}
