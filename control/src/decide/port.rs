//! Ports of vnodes that are opened to the outside, and how much vnodes may send and receive.

use std::ops::RangeInclusive;

use super::{Decision, Ground, in_range};
use crate::event::{Event, VnodeRef};
use crate::id::VnodeId;
use crate::model::receipt::Subject;
use crate::model::{
    Bandwidth, KbitPerS, Port, PortNumber, Protocol, PublicPort, Vnode, VnodeWanted,
};
use crate::permit;
use crate::quota::{self, Amounts};
use crate::refusal::Refusal;
use crate::state::State;

/// Opens a port, under the public one that is asked for, or under the lowest that is free. What leads there already is
/// as asked for.
pub(super) fn add(
    ground: Ground<'_>,
    vnode: VnodeId,
    protocol: Protocol,
    number: PortNumber,
    public: Option<PortNumber>,
) -> Result<Decision, Refusal> {
    let vnode = permit::visible_vnode(ground.state, ground.entry.actor, vnode)?;
    let subject = Subject::Vcluster(vnode.vcluster);
    if vnode.wanted == VnodeWanted::Removed {
        return Err(Refusal::not_found("vnode", vnode.hostname()));
    }
    number_in("port", number, &(1..=u16::MAX))?;
    let same = |port: &&Port| {
        port.public.protocol == protocol
            && port.number == number
            && public.is_none_or(|public| public == port.public.number)
    };
    if ground.state.ports_of(vnode.id).any(|port| same(&port)) {
        return Ok(Decision::new(subject, Vec::new()));
    }
    check_share(ground.state, vnode)?;
    quota::check(ground.state, vnode.owner, &Amounts::PORT)?;
    let public = match public {
        Some(number) => asked(ground.state, PublicPort { protocol, number })?,
        None => free(ground.state, protocol)?,
    };
    let port = Port {
        public,
        vnode: vnode.id,
        number,
        vcluster: vnode.vcluster,
        owner: vnode.owner,
        added_at: ground.entry.at,
    };
    Ok(Decision::new(subject, vec![Event::PortAdded { port }]))
}

fn check_share(state: &State, vnode: &Vnode) -> Result<(), Refusal> {
    let theirs = state.ports.values();
    let theirs = theirs.filter(|port| port.owner == vnode.owner).count();
    if theirs < Port::PER_OWNER_MAX {
        return Ok(());
    }
    Err(Refusal::Exhausted {
        what: "public port".to_owned(),
        scope: format!("the {} that one person may have", Port::PER_OWNER_MAX),
    })
}

fn asked(state: &State, public: PublicPort) -> Result<PublicPort, Refusal> {
    number_in("public port", public.number, &PublicPort::RANGE)?;
    if state.ports.contains_key(&public) {
        return Err(Refusal::PortTaken {
            public: public.to_string(),
        });
    }
    Ok(public)
}

pub(super) fn number_in(
    what: &str,
    given: PortNumber,
    range: &RangeInclusive<u16>,
) -> Result<(), Refusal> {
    if range.contains(&given.0) {
        return Ok(());
    }
    Err(Refusal::Malformed {
        what: format!("{what} {given}"),
        cause: format!("give one from {} to {}", range.start(), range.end()),
    })
}

fn free(state: &State, protocol: Protocol) -> Result<PublicPort, Refusal> {
    PublicPort::RANGE
        .map(|number| PublicPort {
            protocol,
            number: PortNumber(number),
        })
        .find(|public| !state.ports.contains_key(public))
        .ok_or_else(|| Refusal::Exhausted {
            what: format!("public {protocol} port"),
            scope: format!(
                "{} to {}",
                PublicPort::RANGE.start(),
                PublicPort::RANGE.end()
            ),
        })
}

/// Closes a public port.
pub(super) fn remove(ground: Ground<'_>, public: PublicPort) -> Result<Decision, Refusal> {
    let port = permit::visible_port(ground.state, ground.entry.actor, public)?;
    let events = vec![removed(ground.state, port)];
    Ok(Decision::new(
        Subject::Vcluster(port.vcluster),
        events.into_iter().flatten().collect(),
    ))
}

/// All ports of a vnode that goes away are closed.
pub(super) fn remove_all<'s>(
    state: &'s State,
    vnode: &Vnode,
) -> impl Iterator<Item = Event> + use<'s> {
    state
        .ports_of(vnode.id)
        .filter_map(|port| removed(state, port))
}

fn removed(state: &State, port: &Port) -> Option<Event> {
    let vnode = state.vnodes.get(&port.vnode)?;
    Some(Event::PortRemoved {
        about: VnodeRef::from(vnode),
        public: port.public,
    })
}

/// Limits what every vnode may send and receive.
pub(super) fn limit_bandwidth(
    ground: Ground<'_>,
    bandwidth: Bandwidth,
) -> Result<Decision, Refusal> {
    check_rates(bandwidth)?;
    let same = ground.state.bandwidth.unwrap_or_default() == bandwidth;
    let event = (!same).then_some(Event::BandwidthLimited { bandwidth });
    Ok(Decision::quiet(event.into_iter().collect()))
}

pub(super) fn check_rates(bandwidth: Bandwidth) -> Result<(), Refusal> {
    for (what, rate) in [
        ("sending", bandwidth.sent),
        ("receiving", bandwidth.received),
    ] {
        rate.map_or(Ok(()), |rate| check_rate(what, rate))?;
    }
    Ok(())
}

pub(super) fn check_rate(what: &str, rate: KbitPerS) -> Result<(), Refusal> {
    let (least, most) = Bandwidth::KBIT_PER_S_RANGE.into_inner();
    let range = u64::from(least)..=u64::from(most);
    in_range(what, rate.0.into(), range, "kbit/s")
}
