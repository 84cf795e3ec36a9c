//! Masters: those that come, those that go, those that take another's place, and the leader's care for them.

use super::machine::{join_token, spend};
use super::{Decision, Ground, in_range, socket_address};
use crate::event::Event;
use crate::id::{LogIndex, MasterId, SecretHash};
use crate::model::receipt::Subject;
use crate::model::{Autopilot, JoinRole, Master, Replacement};
use crate::name::Name;
use crate::quorum::{self, Seat};
use crate::refusal::Refusal;

/// More members than this no entry tells of.
const SEATS_MAX: u64 = 1_000;

pub(super) fn join(
    ground: Ground<'_>,
    secret: SecretHash,
    name: &str,
    cluster_addr: &str,
    public_addr: &str,
) -> Result<Decision, Refusal> {
    let spent = spend(ground, secret, JoinRole::Master)?;
    let name = Name::parse("master", name)?;
    let replaced = replaced_by(ground, secret);
    let mut masters = ground.state.masters.values();
    // Who takes another's place may take its name too.
    if let Some(holder) = masters.find(|m| m.name == name && Some(m.id) != replaced) {
        return Err(Refusal::MasterNameHeld {
            name: name.to_string(),
            id: holder.id.0,
        });
    }
    socket_address("cluster_addr", cluster_addr)?;
    socket_address("public_addr", public_addr)?;
    let master = Master {
        id: MasterId(ground.index.0),
        name,
        cluster_addr: cluster_addr.to_owned(),
        public_addr: public_addr.to_owned(),
        joined_at: ground.entry.at,
    };
    let subject = Subject::Master(Box::new(master.clone()));
    let new = master.id;
    let mut events = vec![spent, Event::MasterJoined { master }];
    events.extend(replaced.map(|old| Event::MasterReplacementJoined { old, new }));
    Ok(Decision::new(subject, events))
}

/// The master whose place is for whoever comes with this invitation.
fn replaced_by(ground: Ground<'_>, secret: SecretHash) -> Option<MasterId> {
    let mut wanted = ground.state.replacements.values();
    let found = wanted.find(|wanted| wanted.token == secret && wanted.new.is_none());
    found.map(|wanted| wanted.old)
}

pub(super) fn remove(
    ground: Ground<'_>,
    id: MasterId,
    force: bool,
    seats: &[Seat],
) -> Result<Decision, Refusal> {
    in_range(
        "number of seats",
        seats.len() as u64,
        0..=SEATS_MAX,
        "masters",
    )?;
    quorum::check_removal(ground.state, seats, id, force)?;
    let state = ground.state;
    let removed = state.masters.get(&id).map(|master| Event::MasterRemoved {
        master: id,
        name: master.name.clone(),
    });
    // Its own replacement is complete, and it replaces nobody any more.
    let concerned = state
        .replacements
        .values()
        .filter(|wanted| wanted.old == id || wanted.new == Some(id));
    let forgotten = concerned.map(|wanted| Event::MasterReplacementForgotten { old: wanted.old });
    Ok(Decision::quiet(
        removed.into_iter().chain(forgotten).collect(),
    ))
}

pub(super) fn replace(
    ground: Ground<'_>,
    id: MasterId,
    secret: SecretHash,
    ttl_ms: u64,
) -> Result<Decision, Refusal> {
    let state = ground.state;
    let old = state
        .masters
        .get(&id)
        .ok_or_else(|| Refusal::not_found("master", id))?;
    let comes = state.replacements.get(&id).and_then(|wanted| wanted.new);
    if let Some(new) = comes {
        return Err(Refusal::MasterReplacedAlready {
            name: old.name.to_string(),
            new: new.0,
        });
    }
    let token = join_token(ground, secret, JoinRole::Master, ttl_ms, 1)?;
    let replacement = Replacement {
        old: id,
        token: secret,
        new: None,
        since: ground.entry.at,
    };
    // Asked again, the invitation from before is worth nothing any more.
    let before = state.replacements.get(&id).map(|wanted| wanted.token);
    let stale = before.filter(|token| *token != secret && state.join_tokens.contains_key(token));
    let mut events: Vec<Event> = stale
        .map(|id| Event::JoinTokenForgotten { id })
        .into_iter()
        .collect();
    events.push(Event::JoinTokenCreated { token });
    events.push(Event::MasterReplacementWanted { replacement });
    Ok(Decision::quiet(events))
}

pub(super) fn report_divergence(
    ground: Ground<'_>,
    master: MasterId,
    after: LogIndex,
) -> Result<Decision, Refusal> {
    if !ground.state.masters.contains_key(&master) {
        return Err(Refusal::not_found("master", master));
    }
    in_range("index", after.0, 0..=ground.index.0, "entries")?;
    Ok(Decision::quiet(vec![Event::MasterDiverged {
        master,
        after,
    }]))
}

pub(super) fn set_autopilot(ground: Ground<'_>, autopilot: Autopilot) -> Result<Decision, Refusal> {
    in_range("contact", autopilot.contact_ms, 100..=60_000, "ms")?;
    in_range("lag", autopilot.lag_entries, 1..=1_000_000, "entries")?;
    in_range("steady time", autopilot.steady_ms, 0..=3_600_000, "ms")?;
    if let Some(dead_after_ms) = autopilot.dead_after_ms {
        let week_ms = 7 * 24 * 3_600_000;
        in_range("time until dead", dead_after_ms, 1_000..=week_ms, "ms")?;
    }
    let set = ground.state.autopilot() != autopilot;
    let event = Event::AutopilotSet { autopilot };
    Ok(Decision::quiet(set.then_some(event).into_iter().collect()))
}

/// Replacements whose invitation ends at the entry's stamp before anybody came.
pub(super) fn expired_replacements(ground: Ground<'_>) -> impl Iterator<Item = Event> {
    let state = ground.state;
    let ended = move |token: &SecretHash| {
        let token = state.join_tokens.get(token);
        token.is_none_or(|token| token.expires_at <= ground.entry.at)
    };
    state
        .replacements
        .values()
        .filter(move |wanted| wanted.new.is_none() && ended(&wanted.token))
        .map(|wanted| Event::MasterReplacementForgotten { old: wanted.old })
}
