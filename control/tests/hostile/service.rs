//! Services and visits, with values that hurt.

use docklet_control::id::{LogIndex, MasterId, SecretHash, ServiceId, UserId, VnodeId};
use docklet_control::model::PortNumber;
use docklet_control::service::command::{NewAudience, NewService, ServiceCommand};
use docklet_control::{Actor, Command, State};
use proptest::prelude::*;
use proptest::sample::select;

use super::{group, number, text};

/// A command and who asks for it: mostly owners, and doors for what browsers show them.
pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    let user = || select(vec![1, 2, 2, 3]).prop_map(|id| Actor::User(UserId(id)));
    prop_oneof![
        6 => (user(), of_people()),
        2 => (Just(Actor::Door(MasterId(1))), enter()),
        1 => (user(), enter()),
    ]
    .prop_map(|(who, command)| (who, Command::Service(command)))
    .boxed()
}

pub fn anything() -> BoxedStrategy<Command> {
    prop_oneof![4 => of_people(), 1 => enter()]
        .prop_map(Command::Service)
        .boxed()
}

fn of_people() -> BoxedStrategy<ServiceCommand> {
    let vnode = prop_oneof![6 => 1_u64..6, 1 => number()].prop_map(VnodeId);
    let name = prop_oneof![6 => select(vec!["lab", "docs"]).prop_map(str::to_owned), 1 => text()];
    let path = prop_oneof![4 => select(vec!["", "/", "/lab?x=1", "//evil", "/a\\b"]).prop_map(str::to_owned), 1 => text()];
    let port = select(vec![0, 1, 8_888, u16::MAX]).prop_map(PortNumber);
    let new = (vnode, name, port, path, any::<bool>());
    let people = prop::collection::vec(group::person(), 0..3);
    let groups = prop::collection::vec(group::name(), 0..2);
    prop_oneof![
        4 => new.prop_map(|(vnode, name, port, path, tells_user)| {
            ServiceCommand::Add(NewService { vnode, name, port, path, tells_user })
        }),
        1 => service().prop_map(|service| ServiceCommand::Remove { service }),
        3 => (service(), any::<bool>(), people, groups).prop_map(
            |(service, everybody, people, groups)| ServiceCommand::Share {
                service,
                with: NewAudience { everybody, people, groups },
            }
        ),
        5 => (service(), secret(), session()).prop_map(|(service, ticket, session)| {
            ServiceCommand::Open { service, ticket, session }
        }),
    ]
    .boxed()
}

fn enter() -> BoxedStrategy<ServiceCommand> {
    (service(), secret(), secret())
        .prop_map(|(service, ticket, visit)| ServiceCommand::Enter {
            ticket,
            service,
            visit,
        })
        .boxed()
}

fn service() -> impl Strategy<Value = ServiceId> {
    number().prop_map(ServiceId)
}

/// Few, so that they meet.
fn secret() -> impl Strategy<Value = SecretHash> {
    (200_u8..206).prop_map(|byte| SecretHash([byte; 32]))
}

fn session() -> impl Strategy<Value = SecretHash> {
    (0_u8..8).prop_map(|byte| SecretHash([byte; 32]))
}

/// Commands name what is there, now and then.
pub fn aim(command: &mut Command, state: &State, index: LogIndex) {
    let Command::Service(command) = command else {
        return;
    };
    let known: Vec<ServiceId> = state.services.keys().copied().collect();
    let nth = usize::try_from(index.0).unwrap_or(0);
    if known.is_empty() {
        return;
    }
    let one = known[nth % known.len()];
    match command {
        ServiceCommand::Add(_) => {}
        ServiceCommand::Remove { service } | ServiceCommand::Share { service, .. } => {
            *service = one
        }
        ServiceCommand::Open {
            service, session, ..
        } => {
            *service = one;
            let sessions: Vec<SecretHash> = state.sessions.keys().copied().collect();
            if let Some(some) = sessions.get(nth % sessions.len().max(1)) {
                *session = *some;
            }
        }
        ServiceCommand::Enter {
            service, ticket, ..
        } => {
            *service = one;
            if let Some((id, visit)) = state.visits.first() {
                (*ticket, *service) = (*id, visit.service);
            }
        }
    }
}
