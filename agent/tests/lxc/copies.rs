//! The process of which helpers are copies: it may die, and copies work on.

use std::fs;

use futures_util::SinkExt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::door::{Came, Open, next};
use crate::exec::{run, zombies};
use crate::support::{in_own_network, until};

/// Processes of which helpers of this test's own agent are copies: other tests have other networks.
fn originals() -> Vec<Pid> {
    let own = std::process::id().to_string();
    let network = fs::read_link("/proc/thread-self/ns/net").expect("a network");
    let entries = fs::read_dir("/proc").expect("processes").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    let is_one = |pid: &i32| {
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}"));
        let words = read("cmdline").unwrap_or_default();
        let words: Vec<&str> = words.split_terminator('\0').collect();
        let stat = read("stat").unwrap_or_default();
        let fields = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' '));
        let parent = fields.and_then(|mut rest| rest.nth(1));
        // A copy has the same words, and leads a group that has its number as well; but it has no socket for input.
        let input = fs::read_link(format!("/proc/{pid}/fd/0")).unwrap_or_default();
        matches!(words[..], [_, "__lxc-helper", "copies"])
            && parent == Some(&own)
            && input.to_string_lossy().starts_with("socket:")
            && fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|its| its == network)
    };
    pids.filter(is_one).map(Pid::from_raw).collect()
}

#[test]
fn helpers_are_made_also_after_the_process_that_they_are_copies_of_was_killed() {
    in_own_network(async {
        let open = Open::new().await;
        let [first] = originals()[..] else {
            panic!("not one: {:?}", originals());
        };
        let mut long = open.socket("/exec").await;
        let argv = ["sh", "-c", "echo begun; read line; echo $line; exit 7"];
        let request = json!({"vnode": 7, "epoch": 10, "argv": argv}).to_string();
        long.send(Message::text(request)).await.expect("sent");
        let begun = next(&mut long).await;
        assert!(
            matches!(&begun, Came::Bytes(bytes) if bytes == b"\x01begun\n"),
            "{begun:?}"
        );
        kill(first, Signal::SIGKILL).expect("killed");
        let ran = run(&mut open.socket("/exec").await, &["echo", "again"], b"").await;
        assert_eq!(ran.stdout, b"again\n");
        assert_eq!(ran.last, json!({"exit": {"code": 0}}));
        let [second] = originals()[..] else {
            panic!("not one: {:?}", originals());
        };
        assert_ne!(first, second);
        // What was at work is not touched.
        long.send(Message::binary(b"on\n".to_vec()))
            .await
            .expect("sent");
        let on = next(&mut long).await;
        assert!(
            matches!(&on, Came::Bytes(bytes) if bytes == b"\x01on\n"),
            "{on:?}"
        );
        let last = next(&mut long).await;
        assert!(
            matches!(&last, Came::Said(said) if *said == json!({"exit": {"code": 7}})),
            "{last:?}"
        );
        until("all helpers reaped", || (zombies() == 0).then_some(()));
        open.end().await;
    });
}
