//! Certificates of workers: the master that was asked signs only what the log has accepted, for the worker that the shown
//! certificate names. Since version 3.

use super::machine::join_token;
use super::{Decision, Ground, in_range};
use crate::certificate::command::CertificateCommand;
use crate::certificate::event::CertificateEvent;
use crate::certificate::refusal::CertificateRefusal;
use crate::event::Event;
use crate::id::{Digest, LogIndex, SecretHash, UnixMs, WorkerId};
use crate::model::certificate::{HeldCertificate, WorkerCertificate};
use crate::model::{JoinRole, Worker};
use crate::refusal::Refusal;

pub(super) fn decide(
    ground: Ground<'_>,
    command: &CertificateCommand,
) -> Result<Decision, Refusal> {
    match command {
        CertificateCommand::Issue {
            worker,
            held,
            key,
            ends_at,
        } => issue(ground, *worker, *held, *key, *ends_at),
        CertificateCommand::Report {
            worker,
            number,
            issued_at,
            ends_at,
        } => {
            let held = HeldCertificate {
                number: *number,
                issued_at: *issued_at,
                ends_at: *ends_at,
            };
            report(ground, *worker, held)
        }
        CertificateCommand::Readmit {
            worker,
            secret_hash,
            ttl_ms,
            revoke,
        } => readmit(ground, *worker, *secret_hash, *ttl_ms, *revoke),
    }
}

fn event(event: CertificateEvent) -> Event {
    Event::Certificate(event)
}

fn known(ground: Ground<'_>, id: WorkerId) -> Result<&Worker, Refusal> {
    let worker = ground.state.workers.get(&id);
    worker.ok_or_else(|| Refusal::not_found("worker", id))
}

/// What is known of the certificates of a worker that shows the one of this number.
fn shown(
    ground: Ground<'_>,
    id: WorkerId,
    number: LogIndex,
) -> Result<(&Worker, WorkerCertificate), Refusal> {
    let worker = known(ground, id)?;
    let row = ground.state.certificate_of(id);
    if ground.state.is_revoked(id, number) {
        let worker = worker.name.to_string();
        return Err(CertificateRefusal::Revoked { worker }.into());
    }
    Ok((worker, row))
}

fn issue(
    ground: Ground<'_>,
    id: WorkerId,
    before: LogIndex,
    key: Digest,
    ends_at: UnixMs,
) -> Result<Decision, Refusal> {
    let (worker, row) = shown(ground, id, before)?;
    let now = ground.entry.at;
    let life_ms = ends_at.since_ms(now);
    in_range("life", life_ms, 1..=HeldCertificate::LIFE_MS_MAX, "ms")?;
    let another_at = row.held.map_or(UnixMs(0), |held| held.another_at());
    if now < another_at {
        let refusal = CertificateRefusal::TooSoon {
            worker: worker.name.to_string(),
            wait_ms: another_at.since_ms(now),
        };
        return Err(refusal.into());
    }
    let held = HeldCertificate {
        number: ground.index,
        issued_at: now,
        ends_at,
    };
    Ok(Decision::quiet(vec![event(CertificateEvent::Issued {
        worker: id,
        held,
        before,
        key,
    })]))
}

/// The newest counts: one whose answer was lost may still be in use, and that says nothing.
fn report(
    ground: Ground<'_>,
    worker: WorkerId,
    held: HeldCertificate,
) -> Result<Decision, Refusal> {
    let (_, row) = shown(ground, worker, held.number)?;
    in_range("number", held.number.0, 0..=ground.index.0, "entries")?;
    let life_ms = held.ends_at.since_ms(held.issued_at);
    in_range("life", life_ms, 1..=HeldCertificate::LIFE_MS_MAX, "ms")?;
    let is_news = row.held.is_none_or(|known| held.follows(&known));
    let reported = is_news.then(|| event(CertificateEvent::Reported { worker, held }));
    Ok(Decision::quiet(reported.into_iter().collect()))
}

fn readmit(
    ground: Ground<'_>,
    worker: WorkerId,
    token: SecretHash,
    ttl_ms: u64,
    revoke: bool,
) -> Result<Decision, Refusal> {
    known(ground, worker)?;
    let created = join_token(ground, token, JoinRole::Agent, ttl_ms, 1)?;
    let state = ground.state;
    // Asked again, the token from before is worth nothing any more.
    let before = state.certificate_of(worker).awaited;
    let before = before.filter(|old| *old != token && state.join_tokens.contains_key(old));
    let forgotten = before.map(|id| Event::JoinTokenForgotten { id });
    let mut events: Vec<Event> = forgotten.into_iter().collect();
    events.push(Event::JoinTokenCreated { token: created });
    events.push(event(CertificateEvent::Awaited { worker, token }));
    if revoke {
        let before = ground.index;
        events.push(event(CertificateEvent::Revoked { worker, before }));
    }
    Ok(Decision::quiet(events))
}

/// What happens to the certificates of a worker that joins again: those from before are refused.
pub(super) fn returned(ground: Ground<'_>, worker: WorkerId) -> [Event; 2] {
    let before = ground.index;
    [
        event(CertificateEvent::Revoked { worker, before }),
        event(CertificateEvent::Returned { worker }),
    ]
}
