//! Beans: how the site uses them, who gets some, and who is stopped. What vnodes use is in [`meter`]. Since version 3.

mod meter;
mod request;
mod settings;

use super::{Decision, Ground, group, in_range, plain_text, vcluster};
use crate::bean::command::{BeanCommand, Receiver};
use crate::bean::due::is_over;
use crate::bean::event::{BeanEvent, Grant, Taken};
use crate::bean::refusal::BeanRefusal;
use crate::bean::{self, told, warn};
use crate::event::{Event, VclusterRef};
use crate::id::{GroupId, UserId, VclusterId};
use crate::model::receipt::Subject;
use crate::model::{BeanRequest, BeanSettings, Group, MicroBeans, PurseOf, VclusterWanted};
use crate::name::Name;
use crate::notice;
use crate::permit;
use crate::refusal::Refusal;
use crate::state::State;

/// Purses opened by one entry at most.
const OPENED_MAX: usize = 500;

pub(super) fn decide(ground: Ground<'_>, command: &BeanCommand) -> Result<Decision, Refusal> {
    let mut decision = without_notices(ground, command)?;
    let told = notice::beans::told_of(ground.moment(), &decision.events);
    decision.events.extend(told);
    Ok(decision)
}

fn without_notices(ground: Ground<'_>, command: &BeanCommand) -> Result<Decision, Refusal> {
    match command {
        BeanCommand::Set(change) => settings::set(ground, change),
        BeanCommand::SetRates(change) => settings::set_rates(ground, change),
        BeanCommand::Grant {
            to,
            beans,
            reason,
            from,
        } => grant(ground, to, *beans, reason, from.as_deref()),
        BeanCommand::Request { beans, reason } => request::ask(ground, *beans, reason),
        BeanCommand::Approve {
            request,
            from,
            reason,
        } => request::approve(ground, *request, from.as_deref(), reason),
        BeanCommand::Decline { request, reason } => request::decline(ground, *request, reason),
        BeanCommand::Meter { worker, readings } => meter::meter(ground, *worker, readings),
        BeanCommand::OpenPurses => Ok(open_purses(ground)),
        BeanCommand::Stop { vcluster } => Ok(stop(ground, *vcluster)),
        BeanCommand::Withdraw { request } => request::withdraw(ground, *request),
        BeanCommand::TakeBack { of, beans, reason } => take_back(ground, of, *beans, reason),
        BeanCommand::SetAll { settings } => settings::set_all(ground, settings),
    }
}

fn event(event: BeanEvent) -> Event {
    Event::Bean(event)
}

/// How the site uses beans.
fn in_use(state: &State) -> Result<&BeanSettings, Refusal> {
    Ok(bean::in_use(state).ok_or(BeanRefusal::Off)?)
}

/// Opens a purse if it is none yet. A person begins with something, a group with nothing.
fn opened(ground: Ground<'_>, state: &State, of: PurseOf) -> Option<Event> {
    if state.purses.contains_key(&of) {
        return None;
    }
    let birth = bean::in_use(state).map_or(0, |settings| settings.birth);
    let beans = match of {
        PurseOf::User(_) => MicroBeans::whole(birth),
        PurseOf::Group(_) => MicroBeans(0),
    };
    Some(event(BeanEvent::Opened {
        of,
        beans,
        number: ground.index,
        told: told(state, of),
    }))
}

fn open_purses(ground: Ground<'_>) -> Decision {
    let state = ground.state;
    if bean::in_use(state).is_none() {
        return Decision::quiet(Vec::new());
    }
    let users = state.users.keys().map(|user| PurseOf::User(*user));
    let all = users.chain(state.groups.keys().map(|group| PurseOf::Group(*group)));
    let opened = all.filter_map(|of| opened(ground, state, of));
    Decision::quiet(opened.take(OPENED_MAX).collect())
}

/// A user or a group by name, whom the asker may give something.
fn receiver(ground: Ground<'_>, to: &Receiver, from: Option<&Group>) -> Result<PurseOf, Refusal> {
    let state = ground.state;
    match (to, from) {
        (Receiver::User(text), from) => {
            let name = Name::parse("user", text)?;
            let user = state.user_named(&name);
            let user = user.filter(|user| from.is_none_or(|g| g.members.contains(&user.id)));
            let user = user.ok_or_else(|| Refusal::not_found("user", &name))?;
            Ok(PurseOf::User(user.id))
        }
        (Receiver::Group(text), None) => Ok(PurseOf::Group(group::named(ground, text)?.id)),
        (Receiver::Group(_), Some(from)) => Err(BeanRefusal::NotToGroups {
            group: from.name.to_string(),
        }
        .into()),
    }
}

fn grant(
    ground: Ground<'_>,
    to: &Receiver,
    beans: u64,
    reason: &str,
    from: Option<&str>,
) -> Result<Decision, Refusal> {
    in_use(ground.state)?;
    in_range("grant", beans, 1..=BeanSettings::GRANT_MAX, "beans")?;
    let from = from.map(|text| group::named(ground, text)).transpose()?;
    let to = receiver(ground, to, from)?;
    given(ground, to, from, beans, reason)
}

/// What comes of giving somebody beans, of nowhere or of the purse of a group.
fn given(
    ground: Ground<'_>,
    to: PurseOf,
    from: Option<&Group>,
    beans: u64,
    reason: &str,
) -> Result<Decision, Refusal> {
    let state = ground.state;
    let by = permit::person(state, ground.entry.actor)?;
    plain_text("reason", reason, BeanRequest::REASON_LEN_MAX)?;
    if to == PurseOf::User(by.id) && !by.is_admin() {
        return Err(BeanRefusal::ForOneself.into());
    }
    let amount = MicroBeans::whole(beans);
    let mut events: Vec<Event> = opened(ground, state, to).into_iter().collect();
    if let Some(from) = from {
        let of = PurseOf::Group(from.id);
        if bean::balance(state, of) < amount {
            return Err(BeanRefusal::NotEnough {
                group: from.name.to_string(),
                balance: bean::balance(state, of).to_string(),
                beans,
            }
            .into());
        }
    }
    let most = u64::try_from(MicroBeans::MOST / MicroBeans::ONE).unwrap_or(u64::MAX);
    let then = bean::balance(state, to).plus(amount).0.max(0) / MicroBeans::ONE;
    let then = u64::try_from(then).unwrap_or(u64::MAX);
    in_range("balance", then, 0..=most, "beans")?;
    let from = from.map(|group| group.id);
    events.push(granted(ground, by.id, to, from, beans, reason));
    let spent = from.and_then(|group| {
        let of = PurseOf::Group(group);
        let before = bean::balance(state, of);
        warn::fallen(state, of, before, before.minus(amount))
    });
    events.extend(spent);
    Ok(Decision::quiet(events))
}

/// Never below nothing: a debt is what was used, and no decision of somebody.
fn take_back(
    ground: Ground<'_>,
    of: &Receiver,
    beans: u64,
    reason: &str,
) -> Result<Decision, Refusal> {
    let state = ground.state;
    let by = permit::person(state, ground.entry.actor)?;
    in_use(state)?;
    in_range("amount", beans, 1..=BeanSettings::GRANT_MAX, "beans")?;
    request::check_reason(reason, "whose beans they were wants to know why")?;
    let of = receiver(ground, of, None)?;
    let before = bean::balance(state, of);
    let after = before.minus(MicroBeans::whole(beans));
    if after < MicroBeans(0) {
        return Err(BeanRefusal::TooMany {
            whose: bean::called(state, of),
            balance: before.to_string(),
            beans,
        }
        .into());
    }
    let mut told = told(state, of);
    told.insert(by.id);
    let taken = event(BeanEvent::TakenBack {
        taken: Taken {
            number: ground.index,
            of,
            beans,
            by: by.id,
            reason: reason.to_owned(),
        },
        told,
    });
    let mut events = vec![taken];
    events.extend(warn::fallen(state, of, before, after));
    Ok(Decision::quiet(events))
}

fn granted(
    ground: Ground<'_>,
    by: UserId,
    to: PurseOf,
    from: Option<GroupId>,
    beans: u64,
    reason: &str,
) -> Event {
    let from = from.map(PurseOf::Group);
    let mut told = told(ground.state, to);
    told.extend(
        from.map(|from| bean::told(ground.state, from))
            .unwrap_or_default(),
    );
    told.insert(by);
    event(BeanEvent::Granted {
        grant: Grant {
            number: ground.index,
            to,
            from,
            beans,
            by,
            reason: reason.to_owned(),
        },
        told,
    })
}

/// Nothing if there are beans again, or it does not run any more: the leader that proposed it saw another state.
fn stop(ground: Ground<'_>, id: VclusterId) -> Decision {
    let state = ground.state;
    let running = state.vclusters.get(&id);
    let running = running.filter(|row| row.wanted == VclusterWanted::Running);
    let Some((vcluster, settings)) = running.zip(bean::in_use(state)) else {
        return Decision::quiet(Vec::new());
    };
    let of = PurseOf::User(vcluster.owner);
    if !is_over(state, settings, of, ground.entry.at) {
        return Decision::quiet(Vec::new());
    }
    let mut events = vec![event(BeanEvent::Stopped {
        about: VclusterRef::from(vcluster),
        balance: bean::balance(state, of),
    })];
    events.extend(vcluster::stopped(ground, vcluster));
    Decision::new(Subject::Vcluster(id), events)
}

/// A purse goes, with whose it is.
pub(super) fn closed(ground: Ground<'_>, of: PurseOf) -> Option<Event> {
    let purse = ground.state.purses.get(&of)?;
    Some(event(BeanEvent::Closed {
        of,
        beans: purse.balance,
        number: ground.index,
        told: told(ground.state, of),
    }))
}
