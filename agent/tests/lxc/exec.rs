//! Programs in a vnode, through the data port.

use std::fs;

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::door::{Came, Open, Socket, V7, next, text};
use crate::support::{Worker, in_own_network, processes_of, until};

/// What a program printed on each stream, and the last word about it.
#[derive(Debug, Default, PartialEq)]
pub struct Ran {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub last: Value,
}

pub async fn run(socket: &mut Socket, argv: &[&str], input: &[u8]) -> Ran {
    let request = json!({"vnode": 7, "epoch": 10, "argv": argv}).to_string();
    socket.send(Message::text(request)).await.expect("sent");
    socket
        .send(Message::binary(input.to_vec()))
        .await
        .expect("sent");
    let eof = json!({"stdin": "eof"}).to_string();
    socket.send(Message::text(eof)).await.expect("sent");
    let mut ran = Ran::default();
    loop {
        match next(socket).await {
            Came::Bytes(bytes) => match bytes.split_first().expect("a stream's number") {
                (1, rest) => ran.stdout.extend(rest),
                (2, rest) => ran.stderr.extend(rest),
                (other, _) => panic!("stream {other}"),
            },
            Came::Said(last) => {
                ran.last = last;
                return ran;
            }
        }
    }
}

#[test]
fn a_program_has_the_variables_and_the_directory_that_the_image_says() {
    in_own_network(async {
        let environment = ["PATH=/bin:/srv/bin", "GREETING=hello world", "LANG=en"];
        let open = Open::run_so(&environment, "/etc").await;
        let script = "echo $GREETING, $LANG, $PATH; pwd";
        let wanted = "hello world, en, /bin:/srv/bin\n/etc\n";
        let argv = ["sh", "-c", script];
        let ran = run(&mut open.socket("/exec").await, &argv, b"").await;
        assert_eq!(String::from_utf8_lossy(&ran.stdout), wanted);
        let init = open.worker.init_pid(V7).expect("an init");
        let of_init = fs::read(format!("/proc/{init}/environ")).expect("its variables");
        let of_init: Vec<&[u8]> = of_init.split(|byte| *byte == 0).collect();
        for variable in environment {
            assert!(of_init.contains(&variable.as_bytes()), "{variable}");
        }

        // Whatever its first process says of itself, and also with the agent after this one.
        drop(open.worker.open());
        let ran = run(&mut open.socket("/exec").await, &argv, b"").await;
        assert_eq!(String::from_utf8_lossy(&ran.stdout), wanted);
        open.end().await;
    });
}

#[test]
fn a_program_whose_image_says_nothing_has_the_usual_variables_at_home() {
    in_own_network(async {
        let open = Open::new().await;
        let argv = ["sh", "-c", "echo $LANG, $PATH; pwd"];
        let ran = run(&mut open.socket("/exec").await, &argv, b"").await;
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        assert_eq!(
            String::from_utf8_lossy(&ran.stdout),
            format!("C.UTF-8, {path}\n/root\n")
        );
        open.end().await;
    });
}

#[test]
fn a_program_gets_its_input_and_gives_both_streams_and_its_code() {
    in_own_network(async {
        let open = Open::new().await;
        let script = "cat; echo err >&2; exit 7";
        let mut socket = open.socket("/exec").await;
        let ran = run(&mut socket, &["sh", "-c", script], b"typed").await;
        let wanted = Ran {
            stdout: b"typed".to_vec(),
            stderr: b"err\n".to_vec(),
            last: json!({"exit": {"code": 7}}),
        };
        assert_eq!(ran, wanted);

        let zeroes = ["dd", "if=/dev/zero", "bs=65536", "count=64"];
        let ran = run(&mut open.socket("/exec").await, &zeroes, b"").await;
        assert_eq!(
            (ran.stdout.len(), ran.last),
            (4 << 20, json!({"exit": {"code": 0}}))
        );
        assert!(String::from_utf8_lossy(&ran.stderr).contains("64+0 records out"));

        let killed = ["sh", "-c", "kill -9 $$"];
        let ran = run(&mut open.socket("/exec").await, &killed, b"").await;
        assert_eq!(ran.last, json!({"exit": {"code": 137}}));
        let ran = run(&mut open.socket("/exec").await, &["no-such-program"], b"").await;
        assert_eq!(
            ran.last,
            json!({"exit": {"code": 127}}),
            "as a shell says it"
        );
        open.end().await;
    });
}

#[test]
fn nothing_in_a_vnode_is_deaf_to_signals() {
    in_own_network(async {
        let open = Open::new().await;
        let ignored = [
            "grep",
            "-h",
            "SigIgn",
            "/proc/1/status",
            "/proc/self/status",
        ];
        let ran = run(&mut open.socket("/exec").await, &ignored, b"").await;
        let text = String::from_utf8(ran.stdout).expect("text");
        let masks: Vec<u64> = text
            .lines()
            .filter_map(|line| u64::from_str_radix(line.split_whitespace().last()?, 16).ok())
            .collect();
        assert_eq!(masks.len(), 2, "{text}");
        // The last two of the first 33 are the C library's own.
        assert!(masks.iter().all(|mask| mask & 0x7fff_ffff == 0), "{text}");
        let piped = ["sh", "-c", "yes | head -n 1"];
        let ran = run(&mut open.socket("/exec").await, &piped, b"").await;
        assert_eq!((&ran.stdout[..], &ran.stderr[..]), (&b"y\n"[..], &b""[..]));
        open.end().await;
    });
}

#[test]
fn a_program_of_another_placement_or_vnode_does_not_start() {
    in_own_network(async {
        let open = Open::new().await;
        for (vnode, epoch) in [(7, 9), (8, 10)] {
            let mut socket = open.socket("/exec").await;
            let request = json!({"vnode": vnode, "epoch": epoch, "argv": ["true"]}).to_string();
            socket.send(Message::text(request)).await.expect("sent");
            let refused = text(&mut socket).await;
            let cause = refused["refused"]["cause"]
                .as_str()
                .expect("a cause")
                .to_owned();
            assert_eq!(cause, format!("vnode {vnode} is not on this worker"));
        }
        open.end().await;
    });
}

#[test]
fn a_program_whose_asker_has_gone_ends_and_leaves_no_process() {
    in_own_network(async {
        let open = Open::new().await;
        for argv in [
            &["yes"][..],
            &["sleep", "1000"],
            &["sh", "-c", "sleep 900; true"],
        ] {
            let mut socket = open.socket("/exec").await;
            let request = json!({"vnode": 7, "epoch": 10, "argv": argv}).to_string();
            socket.send(Message::text(request)).await.expect("sent");
            until("the program", || runs(&open.worker, argv[0]).then_some(()));
            drop(socket);
            let ended = || !runs(&open.worker, argv[0]) && !runs(&open.worker, "sleep");
            until("its end", || ended().then_some(()));
        }
        until("all helpers reaped", || (zombies() == 0).then_some(()));
        open.end().await;
    });
}

/// Whether a program of this name runs in some vnode of the worker.
fn runs(worker: &Worker, name: &str) -> bool {
    let pids = processes_of(worker.uid_base).into_iter();
    let mut names = pids.filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).ok());
    names.any(|found| found.trim_end() == name)
}

/// Children of this process that ended and that nobody asked about.
pub fn zombies() -> usize {
    let own = std::process::id().to_string();
    let entries = fs::read_dir("/proc").expect("processes").flatten();
    let stats = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    stats
        .filter(|stat| {
            let fields = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' '));
            fields.is_some_and(|mut rest| rest.next() == Some("Z") && rest.next() == Some(&own))
        })
        .count()
}
