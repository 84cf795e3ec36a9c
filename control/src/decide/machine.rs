//! Machines: invitations, workers that come in, workers' condition.

use std::net::IpAddr;

use super::{Decision, Ground, certificate, in_range, plain_text, socket_address, wishes};
use crate::event::Event;
use crate::id::{SecretHash, WorkerId};
use crate::model::receipt::Subject;
use crate::model::{
    JoinRole, JoinToken, Wishes, Worker, WorkerCapacity, WorkerFacts, WorkerStatus,
};
use crate::name::Name;
use crate::refusal::Refusal;

/// A token admits for at most a week.
const TOKEN_TTL_MS_MAX: u64 = 7 * 24 * 3_600_000;
/// A token admits at most this many machines.
const TOKEN_USES_MAX: u64 = 1_000;

pub(super) fn create_join_token(
    ground: Ground<'_>,
    id: SecretHash,
    role: JoinRole,
    ttl_ms: u64,
    uses: u32,
) -> Result<Decision, Refusal> {
    let token = join_token(ground, id, role, ttl_ms, uses)?;
    Ok(Decision::quiet(vec![Event::JoinTokenCreated { token }]))
}

pub(super) fn join_token(
    ground: Ground<'_>,
    id: SecretHash,
    role: JoinRole,
    ttl_ms: u64,
    uses: u32,
) -> Result<JoinToken, Refusal> {
    in_range("ttl", ttl_ms, 1_000..=TOKEN_TTL_MS_MAX, "ms")?;
    in_range("uses", u64::from(uses), 1..=TOKEN_USES_MAX, "machines")?;
    Ok(JoinToken {
        id,
        role,
        expires_at: ground.entry.at.plus_ms(ttl_ms),
        uses_left: uses,
    })
}

pub(super) fn join_worker(
    ground: Ground<'_>,
    secret: SecretHash,
    name: &str,
    data_addr: &str,
    underlay: IpAddr,
    capacity: &WorkerCapacity,
) -> Result<Decision, Refusal> {
    let spent = spend(ground, secret, JoinRole::Agent)?;
    let name = Name::parse("worker", name)?;
    let mut known = ground.state.workers.values();
    let known = known.find(|worker| worker.name == name);
    let awaited = ground.state.awaited_by(secret);
    // Its token is for that worker and for no other.
    if awaited.is_some_and(|awaited| awaited.name != name) {
        return Err(Refusal::JoinTokenWorthless);
    }
    let id = match known {
        None => WorkerId(ground.index.0),
        // It comes back to what a backup says that it has.
        Some(known) if known.status == WorkerStatus::Unadmitted => known.id,
        Some(known) if awaited.is_some() => known.id,
        Some(_) => return Err(taken("worker", &name)),
    };
    socket_address("data_addr", data_addr)?;
    let worker = Worker {
        id,
        name,
        data_addr: data_addr.to_owned(),
        underlay,
        facts: match awaited {
            // It tells what it has when it connects.
            Some(known) => known.facts.clone(),
            None => WorkerFacts {
                capacity: capacity.clone(),
                ..WorkerFacts::default()
            },
        },
        status: WorkerStatus::Joined,
        status_since: ground.entry.at,
    };
    let subject = Subject::Worker(Box::new(worker.clone()));
    let mut events = vec![spent, Event::WorkerJoined { worker }];
    if awaited.is_some() {
        events.extend(certificate::returned(ground, id));
    }
    Ok(Decision::new(subject, events))
}

/// One use of an invitation, if it is worth anything. Why it is not is not told.
pub(super) fn spend(
    ground: Ground<'_>,
    secret: SecretHash,
    role: JoinRole,
) -> Result<Event, Refusal> {
    ground
        .state
        .join_tokens
        .get(&secret)
        .filter(|token| token.role == role && token.expires_at > ground.entry.at)
        .and_then(|token| token.uses_left.checked_sub(1))
        .map(|uses_left| Event::JoinTokenSpent {
            id: secret,
            uses_left,
        })
        .ok_or(Refusal::JoinTokenWorthless)
}

fn taken(kind: &str, name: &Name) -> Refusal {
    Refusal::NameTaken {
        kind: kind.to_owned(),
        name: name.to_string(),
    }
}

pub(super) fn describe_worker(
    ground: Ground<'_>,
    id: WorkerId,
    facts: &WorkerFacts,
) -> Result<Decision, Refusal> {
    let worker = known(ground, id)?;
    for text in [&facts.kernel, &facts.liblxc, &facts.agent] {
        plain_text("a worker's version text", text, 200)?;
    }
    in_range(
        "GPU count",
        facts.capacity.gpus.len() as u64,
        0..=256,
        "GPUs",
    )?;
    if ground.state.version() >= Wishes::SINCE {
        wishes::check_inventory(&facts.capacity)?;
    }
    let mut events = Vec::new();
    if worker.facts != *facts {
        events.push(Event::WorkerDescribed {
            worker: id,
            facts: facts.clone(),
        });
    }
    events.extend(marked(worker, WorkerStatus::Up));
    Ok(Decision::quiet(events))
}

pub(super) fn mark_worker(
    ground: Ground<'_>,
    id: WorkerId,
    status: WorkerStatus,
) -> Result<Decision, Refusal> {
    let worker = known(ground, id)?;
    Ok(Decision::quiet(
        marked(worker, status).into_iter().collect(),
    ))
}

fn marked(worker: &Worker, status: WorkerStatus) -> Option<Event> {
    (worker.status != status).then_some(Event::WorkerMarked {
        worker: worker.id,
        status,
    })
}

fn known(ground: Ground<'_>, id: WorkerId) -> Result<&Worker, Refusal> {
    ground
        .state
        .workers
        .get(&id)
        .ok_or_else(|| Refusal::not_found("worker", id))
}
