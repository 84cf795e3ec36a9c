//! What a name server answers by itself: pure. Names of the asker's vcluster are `host-0` and `host-0.VCLUSTER`; nobody
//! outside is ever asked for them.

use std::net::Ipv4Addr;

use docklet_control::assignment::{AssignedVnode, Assignment};
use docklet_control::id::NetworkId;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

/// Names change when vnodes come and go: answers are good for this long.
const TTL_S: u32 = 5;
/// Longest datagram where the asker does not say that it takes more (RFC 1035).
const DATAGRAM_BYTES: usize = 512;
/// Longest datagram in any case: it must pass the segment in one piece.
const DATAGRAM_BYTES_MAX: usize = 1_232;

/// A vcluster's names, and who may ask for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    pub vcluster: String,
    /// Addresses of its vnodes on this worker.
    pub askers: Vec<Ipv4Addr>,
    /// Names and addresses of all its vnodes.
    pub hosts: Vec<(String, Ipv4Addr)>,
}

/// The zones of a segment.
#[must_use]
pub fn zones(assignment: &Assignment, network: NetworkId) -> Vec<Zone> {
    let mut zones: Vec<Zone> = Vec::new();
    let here = |vnode: &&AssignedVnode| vnode.network == network;
    for vnode in assignment.vnodes.iter().filter(here) {
        let of_it = |zone: &&mut Zone| zone.vcluster == vnode.vcluster_name;
        match zones.iter_mut().find(of_it) {
            Some(zone) => zone.askers.push(vnode.address),
            None => zones.push(Zone {
                vcluster: vnode.vcluster_name.clone(),
                askers: vec![vnode.address],
                hosts: vnode.hosts.clone(),
            }),
        }
    }
    zones
}

/// What becomes of a question.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// This is the answer.
    Known(Vec<u8>),
    /// Others may know; if they do not answer, this does.
    Ask(Vec<u8>),
    /// It is no question.
    Nothing,
}

/// Longest answer that the asker takes in one datagram.
#[must_use]
pub fn datagram_bytes_max(question: &[u8]) -> usize {
    let asked = Message::from_vec(question).ok();
    let edns = asked.and_then(|asked| asked.edns.map(|edns| edns.max_payload()));
    edns.map_or(DATAGRAM_BYTES, |length| {
        usize::from(length).clamp(DATAGRAM_BYTES, DATAGRAM_BYTES_MAX)
    })
}

/// Answers a question of the vnode with the address `asker`.
#[must_use]
pub fn answer(zones: &[Zone], asker: Ipv4Addr, question: &[u8], longest: usize) -> Answer {
    let Ok(asked) = Message::from_vec(question) else {
        return Answer::Nothing;
    };
    if asked.metadata.message_type != MessageType::Query {
        return Answer::Nothing;
    }
    let [query] = asked.queries.as_slice() else {
        return known(&asked, ResponseCode::FormErr, Vec::new(), longest);
    };
    if asked.metadata.op_code != OpCode::Query {
        return known(&asked, ResponseCode::NotImp, Vec::new(), longest);
    }
    let zone = zones.iter().find(|zone| zone.askers.contains(&asker));
    let Some(zone) = zone.filter(|_| query.query_class() == DNSClass::IN) else {
        return known(&asked, ResponseCode::Refused, Vec::new(), longest);
    };
    match local(zone, query) {
        Some((code, records)) => known(&asked, code, records, longest),
        None => match encoded(&asked, ResponseCode::ServFail, Vec::new(), longest) {
            Some(refusal) => Answer::Ask(refusal),
            None => Answer::Nothing,
        },
    }
}

fn known(asked: &Message, code: ResponseCode, records: Vec<Record>, longest: usize) -> Answer {
    encoded(asked, code, records, longest).map_or(Answer::Nothing, Answer::Known)
}

fn encoded(
    asked: &Message,
    code: ResponseCode,
    records: Vec<Record>,
    longest: usize,
) -> Option<Vec<u8>> {
    let mut reply = Message::response(asked.metadata.id, asked.metadata.op_code);
    reply.metadata.response_code = code;
    reply.metadata.recursion_desired = asked.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    reply.metadata.authoritative = !records.is_empty();
    reply.add_queries(asked.queries.iter().cloned());
    reply.add_answers(records);
    let whole = reply.to_vec().ok()?;
    if whole.len() <= longest {
        return Some(whole);
    }
    reply.truncate().to_vec().ok()
}

/// What the zone says of a name of its own; none if the name is not of it.
fn local(zone: &Zone, query: &Query) -> Option<(ResponseCode, Vec<Record>)> {
    let labels: Vec<String> = query
        .name()
        .iter()
        .map(|label| String::from_utf8_lossy(label).to_ascii_lowercase())
        .collect();
    match labels.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [host] => Some(address(zone, host, query)),
        [.., last] if last == zone.vcluster => match labels.as_slice() {
            [host, _] => Some(address(zone, host, query)),
            _ => Some((ResponseCode::NXDomain, Vec::new())),
        },
        [d, c, b, a, "in-addr", "arpa"] => {
            let of: Ipv4Addr = format!("{a}.{b}.{c}.{d}").parse().ok()?;
            let (host, _) = zone.hosts.iter().find(|(_, address)| *address == of)?;
            let name = Name::from_ascii(format!("{host}.{}.", zone.vcluster)).ok()?;
            Some(told(query, RecordType::PTR, RData::PTR(PTR(name))))
        }
        _ => None,
    }
}

fn address(zone: &Zone, host: &str, query: &Query) -> (ResponseCode, Vec<Record>) {
    match zone.hosts.iter().find(|(name, _)| name == host) {
        Some((_, address)) => told(query, RecordType::A, RData::A(A(*address))),
        None => (ResponseCode::NXDomain, Vec::new()),
    }
}

/// The record, if it is of the kind that was asked for: else the name is there and has none of that kind.
fn told(query: &Query, kind: RecordType, data: RData) -> (ResponseCode, Vec<Record>) {
    let fits = [kind, RecordType::ANY].contains(&query.query_type());
    let record = fits.then(|| Record::from_rdata(query.name().clone(), TTL_S, data));
    (ResponseCode::NoError, record.into_iter().collect())
}
