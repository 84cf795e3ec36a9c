//! What others of its segment see of a vnode that is written to files and brought back.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

use super::{V7, assert_counted, checkpoint, counting, lines, resume, until_longer, worker};
use crate::support::{Worker, in_own_network, perform, round, run_in, until};
use docklet_agent::host::Act;
use docklet_control::id::VnodeId;
use docklet_control::model::VnodeWanted::Running;
use nix::libc;
use nix::sched::{CloneFlags, setns};

const V8: VnodeId = VnodeId(8);

#[test]
fn a_connection_between_vnodes_outlives_a_checkpoint_of_one() {
    const ECHO: &str = "\
if ip -4 addr show dev eth0 | grep -q 10.64.0.8/; then exec nc -l -p 9000 -e /bin/cat; fi
rm -f /root/in; mkfifo /root/in
nc 10.64.0.8 9000 < /root/in >> /root/out &
exec 3> /root/in
i=0; while :; do i=$((i+1)); echo $i >&3; sleep 0.02; done";
    in_own_network(async {
        let worker = worker(ECHO);
        let host = worker.open();
        let vnodes = vec![worker.vnode(8, Running)];
        round(&host, &worker.assignment(vnodes)).await;
        until("a server", || {
            run_in(&worker, 8, "netstat -ltn")
                .contains(":9000")
                .then_some(())
        });
        let vnodes = vec![worker.vnode(8, Running), worker.vnode(7, Running)];
        round(&host, &worker.assignment(vnodes)).await;
        let ports = |id| {
            let table = run_in(&worker, id, "netstat -tn");
            let line = table.lines().find(|line| line.contains("ESTABLISHED"));
            line.map(str::to_owned)
        };
        until_longer(&worker, "root/out", 20);
        let connection = ports(8).expect("a connection");
        let rules = crate::support::command("nft", &["list", "ruleset"]);
        checkpoint(&worker, &host).await.expect("a checkpoint");
        resume(&worker, &host).await.expect("resumed");
        until_longer(&worker, "root/out", 20);
        assert_counted(&lines(&worker, V7, "root/out"));
        let now = ports(8).expect("a connection");
        let peers = |line: &str| {
            line.split_whitespace()
                .skip(3)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(peers(&now), peers(&connection), "the same one");
        let length = |rules: &str| rules.lines().count();
        let rules_now = crate::support::command("nft", &["list", "ruleset"]);
        assert_eq!(length(&rules_now), length(&rules), "{rules_now}");
        for id in [V7, V8] {
            perform(&host, Act::Remove(id)).await;
        }
    });
}

/// Connections from one vnode to a program of another, each with something underway at any time.
struct Clients {
    connections: Vec<TcpStream>,
}

impl Clients {
    /// All of them, made by a thread that has been to the vnode's network: what it opens there stays there.
    fn connect(worker: &Worker, from: VnodeId, count: usize) -> Self {
        let init = worker.init_pid(from).expect("it runs");
        let connect = move || {
            let network = File::open(format!("/proc/{init}/ns/net")).expect("a namespace");
            setns(network, CloneFlags::CLONE_NEWNET).expect("entered");
            let connect = |_| TcpStream::connect("10.64.0.7:9000").expect("connected");
            (0..count).map(connect).collect()
        };
        let connections = std::thread::spawn(connect).join().expect("no panic");
        Self { connections }
    }

    /// Waits until somebody is there for each: one that nobody took yet does not outlive a checkpoint.
    fn be_taken(&mut self) {
        for connection in &mut self.connections {
            connection.write_all(b"taken\n").expect("written");
            let mut answer = [0; 6];
            connection.read_exact(&mut answer).expect("answered");
            assert_eq!(&answer, b"taken\n");
        }
    }

    /// Writes a line to each, in turn, evenly over so long a time.
    fn write_in_turn(&mut self, all: Duration, line: &str) {
        let pause = all / u32::try_from(self.connections.len()).expect("a few");
        for connection in &mut self.connections {
            connection.write_all(line.as_bytes()).expect("written");
            std::thread::sleep(pause);
        }
    }

    /// Waits until each has answered all that was written to it.
    fn expect_answers(self, wanted: &[&str]) {
        for (number, connection) in self.connections.into_iter().enumerate() {
            let timeout = Some(Duration::from_secs(30));
            connection.set_read_timeout(timeout).expect("a timeout");
            let answers = BufReader::new(connection).lines().take(wanted.len());
            let answers: Result<Vec<String>, _> = answers.collect();
            match answers {
                Ok(answers) => assert_eq!(answers, wanted, "connection {number}"),
                Err(error) => panic!("connection {number} ended: {error}"),
            }
        }
    }
}

/// A peer repeats what was not acknowledged, by a clock of its own for each connection. Whenever that is, it must not be told
/// that there is no such connection.
#[test]
fn no_connection_is_refused_while_a_vnode_comes_back() {
    const SERVER: &str = "exec nc -ll -p 9000 -e /bin/cat";
    const CONNECTIONS: usize = 40;
    in_own_network(async {
        let worker = worker(SERVER);
        let host = worker.open();
        let vnodes = vec![worker.vnode(8, Running), worker.vnode(7, Running)];
        round(&host, &worker.assignment(vnodes)).await;
        until("a server", || {
            run_in(&worker, 7, "netstat -ltn")
                .contains(":9000")
                .then_some(())
        });
        let mut clients = Clients::connect(&worker, V8, CONNECTIONS);
        clients.be_taken();
        checkpoint(&worker, &host).await.expect("a checkpoint");
        // Each is repeated after 0.2 s, 0.6 s, and so on: one or the other at any moment of what follows.
        clients.write_in_turn(Duration::from_millis(400), "first\n");
        resume(&worker, &host).await.expect("resumed");
        clients.write_in_turn(Duration::ZERO, "second\n");
        clients.expect_answers(&["first", "second"]);
        for id in [V7, V8] {
            perform(&host, Act::Remove(id)).await;
        }
    });
}

#[test]
fn a_vnode_that_is_back_says_so_to_its_segment() {
    in_own_network(async {
        let (worker, host, ..) = counting().await;
        checkpoint(&worker, &host).await.expect("a checkpoint");
        let heard = Listener::open();
        resume(&worker, &host).await.expect("resumed");
        let mut announcement = vec![0xff; 6];
        let mac = worker.vnode(7, Running).mac.0;
        announcement.extend(mac);
        announcement.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        announcement.extend(mac);
        announcement.extend([10, 64, 0, 7, 0, 0, 0, 0, 0, 0, 10, 64, 0, 7]);
        until("announcement", || {
            (heard.next()? == announcement).then_some(())
        });
        perform(&host, Act::Remove(V7)).await;
    });
}

/// Hears what all devices of the worker receive, also what a bridge takes.
struct Listener(OwnedFd);

impl Listener {
    fn open() -> Self {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        let protocol = i32::from(0x0003_u16.to_be());
        // SAFETY: the call touches no memory of ours.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, protocol) };
        assert!(fd >= 0, "a socket");
        // SAFETY: nobody else owns the new descriptor.
        Self(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    fn next(&self) -> Option<Vec<u8>> {
        let mut frame = [0; 42];
        let length = nix::unistd::read(&self.0, &mut frame).ok()?;
        Some(frame[..length].to_vec())
    }
}
