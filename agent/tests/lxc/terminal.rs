//! Terminals of a vnode, through the data port.

use std::fs;
use std::time::Duration;

use docklet_agent::host::Act;
use docklet_control::id::VnodeId;
use docklet_control::model::VnodeWanted::Running;
use docklet_link::identity::PeerRole;
use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::door::{Came, Open, Socket, dial, next, text};
use crate::support::{in_own_network, perform, processes_of, round, session, signed, until};

/// Scroll-back that a terminal keeps.
const RING_BYTES: u64 = 1 << 20;

impl Open {
    async fn terminal(&self, session: &str, from: u64) -> Terminal {
        self.terminal_with(session, from, "").await
    }

    async fn terminal_with(&self, session: &str, from: u64, more: &str) -> Terminal {
        let path =
            format!("/terminal/{session}?vnode=7&epoch=10&from={from}&cols=80&rows=24{more}");
        let mut socket = self.socket(&path).await;
        let first = text(&mut socket).await;
        Terminal {
            oldest: first["attached"]["oldest"].as_u64().expect("a position"),
            end: first["attached"]["end"].as_u64().expect("a position"),
            socket,
            start: None,
            bytes: Vec::new(),
        }
    }
}

/// A viewer of a terminal.
struct Terminal {
    socket: Socket,
    oldest: u64,
    end: u64,
    /// Position of the first byte that came.
    start: Option<u64>,
    bytes: Vec<u8>,
}

impl Terminal {
    async fn type_in(&mut self, text: &str) {
        let bytes = Message::binary(text.as_bytes().to_vec());
        self.socket.send(bytes).await.expect("sent");
    }

    /// Position after the last byte that came.
    fn position(&self) -> u64 {
        self.start.unwrap_or_default() + self.bytes.len() as u64
    }

    /// Takes bytes; answers the last word if the shell has ended.
    async fn take(&mut self) -> Option<Value> {
        match next(&mut self.socket).await {
            Came::Bytes(message) => {
                let (position, bytes) = message.split_first_chunk::<8>().expect("a position");
                let position = u64::from_be_bytes(*position);
                if self.start.is_some() {
                    assert_eq!(position, self.position(), "no gap and no byte twice");
                }
                self.start.get_or_insert(position);
                self.bytes.extend(bytes);
                None
            }
            // That others look on, or leave, is no last word.
            Came::Said(told) => Some(told).filter(|told| told.get("company").is_none()),
        }
    }

    /// Takes bytes until this line has come. What was typed is echoed, so the line must not have been typed so.
    async fn until_line(&mut self, line: &str) {
        let end = |bytes: &[u8]| {
            let tail = &bytes[bytes.len().saturating_sub(1 << 10)..];
            let tail = String::from_utf8_lossy(tail).into_owned();
            tail.lines().any(|given| given == line)
        };
        while !end(&self.bytes) {
            assert_eq!(self.take().await, None);
        }
    }

    async fn until_position(&mut self, position: u64) {
        while self.position() < position {
            assert_eq!(self.take().await, None);
        }
    }
}

#[test]
fn a_terminal_has_the_variables_and_the_directory_that_the_image_says() {
    in_own_network(async {
        let environment = ["PATH=/bin:/srv/bin", "GREETING=hello"];
        let open = Open::run_so(&environment, "/etc").await;
        let mut viewer = open.terminal(&session(1), 0).await;
        viewer
            .type_in("echo $GREETING, $PATH, $TERM, $(pwd)\n")
            .await;
        let wanted = "hello, /bin:/srv/bin, xterm-256color, /etc";
        viewer.until_line(wanted).await;
        open.end().await;
    });
}

#[test]
fn a_terminal_of_an_image_that_says_nothing_begins_at_home() {
    in_own_network(async {
        let open = Open::new().await;
        let mut viewer = open.terminal(&session(1), 0).await;
        viewer.type_in("echo at $(pwd)\n").await;
        viewer.until_line("at /root").await;
        open.end().await;
    });
}

#[test]
fn a_terminal_outlives_its_viewers_and_replays_every_byte() {
    in_own_network(async {
        let open = Open::new().await;
        let mut first = open.terminal(&session(1), 0).await;
        first.type_in("echo be-$((40+2))\n").await;
        first.until_line("be-42").await;
        let left_at = first.position();
        // It goes without a word, while the shell still prints.
        first.type_in("seq 1 20000; echo do-$((40+3))\n").await;
        drop(first.socket);

        let mut second = open.terminal(&session(1), left_at).await;
        second.until_line("do-43").await;
        assert_eq!(
            second.start,
            Some(left_at),
            "it goes on where the first one was"
        );
        let mut third = open.terminal(&session(1), 0).await;
        third.until_position(second.position()).await;
        let mut whole = first.bytes.clone();
        whole.extend(&second.bytes);
        assert_eq!(
            third.bytes[..whole.len()],
            whole[..],
            "what both saw is what there was"
        );
        let numbers: String = (1..=20_000).map(|n| format!("{n}\r\n")).collect();
        assert!(String::from_utf8_lossy(&whole).contains(&numbers));

        second.type_in("exit 3\n").await;
        for viewer in [&mut second, &mut third] {
            let last = loop {
                if let Some(last) = viewer.take().await {
                    break last;
                }
            };
            assert_eq!(last, json!({"exit": {"code": 3}}));
        }
        open.end().await;
    });
}

#[test]
fn a_shell_that_ended_is_read_to_its_end_without_waiting() {
    /// What a viewer who tells how far it has read is given beyond that.
    const WINDOW_BYTES: u64 = 256 << 10;
    /// Less than a shell that has ended waits for somebody who was lost.
    const SOON: Duration = Duration::from_secs(10);
    in_own_network(async {
        let open = Open::new().await;
        let slow = "&viewer=00000000000000aa";
        let mut viewer = open.terminal_with(&session(1), 0, slow).await;
        viewer.type_in("seq 1 60000; exit 7\n").await;
        viewer.until_position(WINDOW_BYTES).await;
        until("end of the shell", || (shells(&open) == 0).then_some(()));
        let rest = async {
            loop {
                let read = json!({"read": viewer.position()}).to_string();
                // What is last may be on its way already, and the connection closed behind it.
                let _ = viewer.socket.send(Message::text(read)).await;
                if let Some(last) = viewer.take().await {
                    return last;
                }
            }
        };
        let last = tokio::time::timeout(SOON, rest).await;
        let last = last.expect("nobody is waited for who is there");
        assert_eq!(last, json!({"exit": {"code": 7}}));
        let printed = String::from_utf8_lossy(&viewer.bytes);
        assert!(printed.ends_with("59999\r\n60000\r\n"));
        open.end().await;
    });
}

#[test]
fn a_viewer_who_missed_more_than_is_kept_is_told_where_the_rest_begins() {
    in_own_network(async {
        let open = Open::new().await;
        let mut first = open.terminal(&session(1), 0).await;
        first.type_in("seq 1 300000; echo do-$((40+2))\n").await;
        first.until_line("do-42").await;
        assert!(first.position() > 2 * RING_BYTES);

        let mut late = open.terminal(&session(1), 0).await;
        assert_eq!(late.end - late.oldest, RING_BYTES, "so much is kept");
        late.until_position(late.end).await;
        assert_eq!(late.start, Some(late.oldest), "and that is where it begins");
        let skipped = usize::try_from(late.oldest).expect("small");
        let common = first.bytes[skipped..].iter().zip(&late.bytes);
        let equal = common.take_while(|(one, other)| one == other).count();
        assert!(equal > 1_000_000, "byte for byte: {equal}");
        assert_eq!(equal, late.bytes.len().min(first.bytes.len() - skipped));
        open.end().await;
    });
}

#[test]
fn a_terminal_has_the_size_that_its_viewer_says() {
    in_own_network(async {
        let open = Open::new().await;
        let mut viewer = open.terminal(&session(1), 0).await;
        viewer.type_in("stty size; tty\n").await;
        viewer.until_line("24 80").await;
        viewer.until_line("/dev/pts/0").await;
        let resize = json!({"resize": {"cols": 132, "rows": 50}}).to_string();
        viewer
            .socket
            .send(Message::text(resize))
            .await
            .expect("sent");
        viewer.type_in("stty size\n").await;
        viewer.until_line("50 132").await;
        open.end().await;
    });
}

#[test]
fn a_terminal_at_which_nobody_looks_for_too_long_is_ended() {
    in_own_network(async {
        let alone = Duration::from_millis(300);
        let open = Open::with(|config| config.terminal_alone = alone).await;
        let mut viewed = open.terminal(&session(1), 0).await;
        let mut left = open.terminal(&session(2), 0).await;
        for (viewer, line) in [(&mut viewed, "up-42"), (&mut left, "up-42")] {
            viewer.type_in("echo up-$((40+2))\n").await;
            viewer.until_line(line).await;
        }
        assert_eq!(shells(&open), 2);
        drop(left);
        until("end of the one that was left", || {
            (shells(&open) == 1).then_some(())
        });
        viewed.type_in("echo on-$((40+3))\n").await;
        viewed.until_line("on-43").await;
        let again = open.terminal(&session(2), 0).await;
        assert_eq!(again.oldest, 0, "the name now means another shell");
        open.end().await;
    });
}

#[test]
fn one_terminal_too_many_takes_the_place_of_the_one_left_longest() {
    const MOST: u8 = 32;
    in_own_network(async {
        let open = Open::new().await;
        let mut viewers = Vec::new();
        for number in 0..MOST {
            viewers.push(open.terminal(&session(number), 0).await);
        }
        let path = format!("/terminal/{}?vnode=7&epoch=10", session(MOST));
        let refused = text(&mut open.socket(&path).await).await;
        let cause = refused["refused"]["cause"].as_str().expect("a cause");
        assert_eq!(
            cause,
            "all 32 terminals that a vnode may have are in use: close one first"
        );

        // That somebody has left is noticed a moment later.
        drop(viewers.remove(3));
        let admitted =
            async { while !text(&mut open.socket(&path).await).await["attached"].is_object() {} };
        tokio::time::timeout(Duration::from_secs(10), admitted)
            .await
            .expect("room for one more");
        until("end of the one that was left", || {
            (shells(&open) == usize::from(MOST)).then_some(())
        });
        open.end().await;
    });
}

/// Shells that run in vnodes of the worker.
fn shells(open: &Open) -> usize {
    let pids = processes_of(open.worker.uid_base).into_iter();
    let names = pids.filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).ok());
    names.filter(|name| name.trim_end() == "sh").count()
}

#[test]
fn a_session_opens_only_the_vnode_that_it_is_of() {
    in_own_network(async {
        let open = Open::new().await;
        let eighth = worker_with(&open, 8).await;
        open.terminal(&session(1), 0).await;
        for (vnode, epoch) in [(8, 10), (7, 9), (9, 10)] {
            let path = format!("/terminal/{}?vnode={vnode}&epoch={epoch}", session(1));
            let mut socket = open.socket(&path).await;
            let refused = text(&mut socket).await;
            assert!(
                refused["refused"]["cause"].is_string(),
                "{vnode} {epoch}: {refused}"
            );
        }
        for path in [
            "/terminal/short?vnode=7&epoch=10",
            "/terminal/../exec",
            "/",
            "/images/x",
        ] {
            let master = signed(&open.ca, PeerRole::Master, 1);
            let got = dial(master, path).await.map(|_| ());
            assert_eq!(got, Err("404 Not Found".to_owned()), "{path}");
        }
        perform(&open.host, Act::Remove(eighth)).await;
        open.end().await;
    });
}

/// One more vnode of the same worker.
async fn worker_with(open: &Open, id: u64) -> VnodeId {
    let vnode = open.worker.vnode(id, Running);
    let (id, worker) = (vnode.id, &open.worker);
    let both = worker.assignment(vec![worker.vnode(7, Running), vnode]);
    round(&open.host, &both).await;
    id
}
