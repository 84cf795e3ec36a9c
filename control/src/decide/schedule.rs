//! What admins say of workers, and owners of where their vnodes shall be. Since version 3.

use std::collections::BTreeMap;

use super::{Decision, Ground, in_range, lost, plain_text, vcluster};
use crate::event::{Event, VclusterRef};
use crate::id::{LogIndex, UserId, VclusterId, WorkerId};
use crate::model::receipt::Subject;
use crate::model::{Cordon, Rules, Vcluster, WorkerTraits};
use crate::name::Name;
use crate::permit;
use crate::refusal::Refusal;
use crate::schedule::command::ScheduleCommand;
use crate::schedule::event::ScheduleEvent;

pub(super) fn decide(ground: Ground<'_>, command: &ScheduleCommand) -> Result<Decision, Refusal> {
    match command {
        ScheduleCommand::Label { worker, labels } => label(ground, *worker, labels),
        ScheduleCommand::Cordon { worker, reason } => cordon(ground, *worker, reason),
        ScheduleCommand::Uncordon { worker } => {
            known(ground, *worker)?;
            let uncordoned = uncordoned(ground, *worker);
            Ok(Decision::quiet(uncordoned.into_iter().collect()))
        }
        ScheduleCommand::SetRules { vcluster, rules } => set_rules(ground, *vcluster, rules),
        ScheduleCommand::ReportFences { worker, fences } => {
            Ok(lost::fenced(ground.state, *worker, fences))
        }
        ScheduleCommand::RestartLost {
            worker,
            down_since,
            placed,
        } => Ok(lost::restart(ground, *worker, *down_since, placed)),
    }
}

fn known(ground: Ground<'_>, worker: WorkerId) -> Result<(), Refusal> {
    if ground.state.workers.contains_key(&worker) {
        return Ok(());
    }
    Err(Refusal::not_found("worker", worker))
}

/// Nothing new comes to a worker from now on.
pub(super) fn cordoned(
    ground: Ground<'_>,
    worker: WorkerId,
    by: UserId,
    reason: &str,
) -> Option<Event> {
    let cordon = Some(Cordon {
        by,
        at: ground.entry.at,
        reason: reason.to_owned(),
    });
    let before = ground.state.traits_of(worker);
    described(ground, WorkerTraits { cordon, ..before })
}

/// It takes vnodes again, if it did not.
pub(super) fn uncordoned(ground: Ground<'_>, worker: WorkerId) -> Option<Event> {
    let cordon = None;
    let before = ground.state.traits_of(worker);
    described(ground, WorkerTraits { cordon, ..before })
}

/// Nothing if that was said already.
fn described(ground: Ground<'_>, traits: WorkerTraits) -> Option<Event> {
    let news = ground.state.traits_of(traits.worker) != traits;
    news.then_some(Event::Schedule(ScheduleEvent::WorkerDescribed { traits }))
}

fn label(
    ground: Ground<'_>,
    worker: WorkerId,
    labels: &BTreeMap<String, Option<String>>,
) -> Result<Decision, Refusal> {
    known(ground, worker)?;
    let mut after = ground.state.traits_of(worker);
    for (key, value) in labels {
        let key = Name::parse("label", key)?;
        match value {
            Some(value) => {
                check_value(&key, value)?;
                after.labels.insert(key, value.clone());
            }
            None => {
                after.labels.remove(&key);
            }
        }
    }
    check_count(after.labels.len())?;
    let described = described(ground, after);
    Ok(Decision::quiet(described.into_iter().collect()))
}

fn check_count(labels: usize) -> Result<(), Refusal> {
    let most = WorkerTraits::LABELS_MAX as u64;
    in_range("number of labels", labels as u64, 0..=most, "labels")
}

/// Something must be there to compare with, and it must be told apart on a line.
fn check_value(key: &Name, value: &str) -> Result<(), Refusal> {
    plain_text("label", value, WorkerTraits::TEXT_BYTES_MAX)?;
    let odd = |c: char| c.is_whitespace() || c == ',' || c == '=';
    if value.is_empty() || value.chars().any(odd) {
        return Err(Refusal::Malformed {
            what: format!("value of the label {key}"),
            cause: "give some characters, without blanks, commas and equals signs".to_owned(),
        });
    }
    Ok(())
}

/// Whoever did it first stays the one who did, unless there is something else to say.
fn cordon(ground: Ground<'_>, worker: WorkerId, reason: &str) -> Result<Decision, Refusal> {
    known(ground, worker)?;
    plain_text("reason", reason, WorkerTraits::TEXT_BYTES_MAX)?;
    let before = ground.state.traits_of(worker).cordon;
    if before.is_some_and(|cordon| cordon.reason == reason) {
        return Ok(Decision::quiet(Vec::new()));
    }
    let by = permit::person(ground.state, ground.entry.actor)?.id;
    let cordoned = cordoned(ground, worker, by, reason);
    Ok(Decision::quiet(cordoned.into_iter().collect()))
}

/// Refuses rules that no worker could meet or nobody could read.
pub(super) fn check(rules: &Rules) -> Result<(), Refusal> {
    if let Some(most) = rules.per_worker_max {
        let range = 1..=u64::from(Vcluster::VNODES_MAX);
        in_range("vnodes on one worker", most.into(), range, "vnodes")?;
    }
    for labels in [&rules.labels, &rules.prefers] {
        check_count(labels.len())?;
        for (key, value) in labels {
            Name::parse("label", key.as_str())?;
            check_value(key, value)?;
        }
    }
    Ok(())
}

/// What a new vcluster wants, if that is not the usual.
pub(super) fn of_vcluster(ground: Ground<'_>, vcluster: &Vcluster, rules: &Rules) -> Option<Event> {
    (*rules != Rules::default()).then(|| rules_set(vcluster, rules, ground.index))
}

fn rules_set(vcluster: &Vcluster, rules: &Rules, on_lost_since: LogIndex) -> Event {
    Event::Schedule(ScheduleEvent::RulesSet {
        about: VclusterRef::from(vcluster),
        rules: rules.clone(),
        on_lost_since,
    })
}

fn set_rules(ground: Ground<'_>, id: VclusterId, rules: &Rules) -> Result<Decision, Refusal> {
    let vcluster = vcluster::changeable(ground, id)?;
    check(rules)?;
    let before = ground.state.vcluster_rules.get(&id);
    let same = before.filter(|row| row.rules.on_lost == rules.on_lost);
    let since = same.map_or(ground.index, |row| row.on_lost_since);
    let changed = ground.state.rules_of(id) != rules;
    let events = changed.then(|| rules_set(vcluster, rules, since));
    Ok(Decision::new(
        Subject::Vcluster(id),
        events.into_iter().collect(),
    ))
}
