//! Name servers at gateways.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};

use docklet_agent::host::Act;
use docklet_agent::network::dns::answer::Zone;
use docklet_control::id::NetworkId;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::site::{Guest, Node, OUTSIDE, PATIENCE, Site, Space};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 1);
const FOUND: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 80);

fn question(name: &str, kind: RecordType) -> Message {
    let mut question = Message::new(4_711, MessageType::Query, OpCode::Query);
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(Name::from_ascii(name).expect("a name"), kind));
    question
}

/// A name server outside that knows one address for every name, in many copies where the name asks for them.
fn answer_outside(question: &[u8]) -> Vec<u8> {
    let asked = Message::from_vec(question).expect("a question");
    let mut answer = Message::response(asked.metadata.id, OpCode::Query);
    let name = asked.queries[0].name().clone();
    let copies = if name.to_ascii().starts_with("many.") {
        60
    } else {
        1
    };
    answer.add_queries(asked.queries.clone());
    for _ in 0..copies {
        answer.add_answer(Record::from_rdata(name.clone(), 60, RData::A(A(FOUND))));
    }
    answer.to_vec().expect("encoded")
}

fn serve_outside(outside: &Space) {
    let socket = outside
        .within(|| UdpSocket::bind((OUTSIDE, 53)))
        .expect("a socket");
    std::thread::spawn(move || {
        let mut buffer = [0; 2_048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&answer_outside(&buffer[..length]), from);
        }
    });
    let listener = outside
        .within(|| TcpListener::bind((OUTSIDE, 53)))
        .expect("a listener");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut length = [0; 2];
            while stream.read_exact(&mut length).is_ok() {
                let mut question = vec![0; u16::from_be_bytes(length).into()];
                stream.read_exact(&mut question).expect("a question");
                let answer = answer_outside(&question);
                let length = u16::try_from(answer.len()).expect("short").to_be_bytes();
                stream
                    .write_all(&[&length, answer.as_slice()].concat())
                    .expect("written");
            }
        }
    });
}

fn ask(from: &Guest, message: &[u8], at: SocketAddrV4) -> Option<Message> {
    let socket = from
        .space
        .within(|| UdpSocket::bind("0.0.0.0:0"))
        .expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    let mut buffer = [0; 4_096];
    for _ in 0..3 {
        if socket.send_to(message, at).is_err() {
            continue;
        }
        if let Ok(length) = socket.recv(&mut buffer) {
            return Some(Message::from_vec(&buffer[..length]).expect("an answer"));
        }
    }
    None
}

/// Addresses that a name has, or how it was refused.
fn look_up(from: &Guest, name: &str) -> Result<Vec<Ipv4Addr>, ResponseCode> {
    let question = question(name, RecordType::A).to_vec().expect("encoded");
    let answer = ask(from, &question, SocketAddrV4::new(GATEWAY, 53)).expect("an answer");
    assert_eq!(answer.metadata.id, 4_711);
    if answer.metadata.response_code != ResponseCode::NoError {
        return Err(answer.metadata.response_code);
    }
    let address = |record: &Record| {
        let RData::A(A(address)) = record.data else {
            return None;
        };
        Some(address)
    };
    Ok(answer.answers.iter().filter_map(address).collect())
}

fn zone(vcluster: &str, guests: &[&Guest]) -> Zone {
    let addresses = guests.iter().map(|guest| guest.vnode.address);
    Zone {
        vcluster: vcluster.to_owned(),
        askers: addresses.clone().collect(),
        hosts: (0..)
            .map(|number| format!("host-{number}"))
            .zip(addresses)
            .collect(),
    }
}

fn served(site: &Site) -> (Node, Guest, Guest) {
    serve_outside(&site.outside);
    let node = site.worker(1);
    node.ensure(site, &site.network(5, &[1], 1));
    let (lab, web) = (node.guest(5, 11, 11), node.guest(5, 12, 12));
    tell(&node, &lab, &web);
    (node, lab, web)
}

fn tell(node: &Node, lab: &Guest, web: &Guest) {
    let zones = vec![zone("lab", &[lab]), zone("web", &[web])];
    node.act(Act::TellNames(NetworkId(5), zones));
}

#[test]
fn a_vnode_asks_for_its_siblings_and_for_everything_else() {
    Site::run(|site| {
        let (mut node, lab, web) = served(&site);
        let address = |last| Ok(vec![Ipv4Addr::new(10, 64, 0, last)]);
        // A short name is meant within the asker's own vcluster.
        assert_eq!(look_up(&lab, "host-0."), address(11));
        assert_eq!(look_up(&web, "host-0."), address(12));
        assert_eq!(look_up(&lab, "HOST-0.Lab."), address(11));
        assert_eq!(look_up(&lab, "host-1.lab."), Err(ResponseCode::NXDomain));
        assert_eq!(look_up(&lab, "nothing."), Err(ResponseCode::NXDomain));
        assert_eq!(look_up(&lab, "www.example.org."), Ok(vec![FOUND]));
        assert_eq!(
            look_up(&lab, "many.example.org."),
            Ok(Vec::new()),
            "cut short: to be asked by TCP"
        );
        // The agent ends and comes back; nobody has to be told anew but by its own assignment.
        node.restart_agent();
        node.ensure(&site, &site.network(5, &[1], 1));
        tell(&node, &lab, &web);
        assert_eq!(look_up(&lab, "host-0."), address(11));
        assert_eq!(look_up(&lab, "www.example.org."), Ok(vec![FOUND]));
    });
}

#[test]
fn long_answers_come_by_tcp_and_connections_are_few() {
    Site::run(|site| {
        let (_node, lab, _web) = served(&site);
        let mut stream = lab.space.reach((GATEWAY, 53)).expect("connected");
        for _ in 0..2 {
            let question = question("many.example.org.", RecordType::A)
                .to_vec()
                .expect("encoded");
            let length = u16::try_from(question.len()).expect("short").to_be_bytes();
            stream
                .write_all(&[&length, question.as_slice()].concat())
                .expect("asked");
            let mut length = [0; 2];
            stream.read_exact(&mut length).expect("a length");
            let mut answer = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut answer).expect("an answer");
            assert_eq!(
                Message::from_vec(&answer).expect("an answer").answers.len(),
                60
            );
        }
        // What is beyond the bound is not served: it is closed, or never begins.
        let crowd: Vec<_> = (0..40)
            .filter_map(|_| lab.space.connect((GATEWAY, 53)))
            .collect();
        assert!(crowd.len() <= 40);
        let question = question("host-0.", RecordType::A)
            .to_vec()
            .expect("encoded");
        assert!(ask(&lab, &question, SocketAddrV4::new(GATEWAY, 53)).is_some());
    });
}

#[test]
fn nobody_but_a_segments_own_vnodes_is_answered() {
    Site::run(|site| {
        let (node, lab, _web) = served(&site);
        node.ensure(&site, &site.network(6, &[1], 1));
        let stranger = node.guest(6, 13, 13);
        let question = question("host-0.", RecordType::A)
            .to_vec()
            .expect("encoded");
        // Bob's own gateway has the same address, and knows nothing of ada's names.
        let answer = ask(&stranger, &question, SocketAddrV4::new(GATEWAY, 53)).expect("an answer");
        assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
        // From the worker's side no gateway answers at all.
        let link = SocketAddrV4::new(Ipv4Addr::new(100, 64, 0, 3), 53);
        assert_eq!(ask(&stranger, &question, link), None);
        assert!(node.space.misses_udp(link));
        assert!(node.space.connect(link).is_none());
        // What is no question gets no answer, and does no harm.
        for garbage in [&b""[..], b"x", &[0xff; 600], &[0; 12]] {
            let socket = lab
                .space
                .within(|| UdpSocket::bind("0.0.0.0:0"))
                .expect("a socket");
            socket.send_to(garbage, (GATEWAY, 53)).expect("sent");
        }
        assert!(ask(&lab, &question, SocketAddrV4::new(GATEWAY, 53)).is_some());
    });
}
