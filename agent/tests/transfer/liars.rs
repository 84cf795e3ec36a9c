//! Givers that lie: what they send is refused with the reason, and nothing comes to be outside the directory in which it arrives.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use docklet_agent::transfer::chunks::{CHUNK_BYTES, ChunkHash, Chunks, Root};
use docklet_agent::transfer::names::FileName;
use docklet_agent::transfer::whole;
use docklet_agent::transfer::wire::{self, Packer, Parcel};
use docklet_link::identity::PeerRole;
use docklet_link::{Gate, listener, tls};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

use crate::site::{DEADLINE, GIVER, MOVE, Site, V7, moving};
use crate::support::{in_own_network, signed};

const CHUNK: u64 = CHUNK_BYTES;

/// A giver that answers every question with these messages, and goes on listening.
pub async fn giver(site: &Site, answer: Vec<Message>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("bound");
    let port = listener.local_addr().expect("an address").port();
    let own = signed(&site.ca, PeerRole::Agent, GIVER.0);
    let tls = tls::server_config(&own).expect("a configuration");
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (tls, answer) = (tls.clone(), answer.clone());
            tokio::spawn(async move {
                let (_, stream) = listener::accept(tcp, &Gate::default(), tls).await.ok()?;
                let mut socket = tokio_tungstenite::accept_async(stream).await.ok()?;
                while let Some(Ok(message)) = socket.next().await {
                    if message.is_text() {
                        for message in answer.iter() {
                            socket.send(message.clone()).await.ok()?;
                        }
                    }
                }
                Some(())
            });
        }
    });
    port
}

pub fn manifest(files: &[(&str, u64)], data_bytes: u64) -> Message {
    let said = serde_json::json!({"manifest": {"files": files, "data_bytes": data_bytes}});
    Message::text(said.to_string())
}

pub fn chunk(file: u32, index: u32, bytes: &[u8]) -> Message {
    let mut parcel = Parcel::default();
    parcel.put(file, index, bytes);
    let packed = parcel.pack(&mut Packer::new().expect("memory"));
    Message::binary(packed.expect("packed"))
}

fn hole(file: u32, first: u32, count: u32) -> Message {
    Message::binary(wire::holes(&[(file, first, count)])[0].clone())
}

fn end(root: &Root) -> Message {
    Message::text(serde_json::json!({"end": root}).to_string())
}

fn text(text: &str) -> Message {
    Message::text(text)
}

/// What is true of a disk of these chunks.
fn root(hashes: &[ChunkHash], length: u64) -> Root {
    let mut chunks = Chunks::hole(length).expect("short");
    chunks.learn(0, hashes);
    Root::of([(&FileName::Disk, &chunks)])
}

/// All paths below a directory, and how long the files are.
fn tree(dir: &Path) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(&dir).expect("a directory").flatten() {
            let meta = entry.metadata().expect("there");
            if meta.is_dir() {
                waiting.push(entry.path());
            }
            found.insert(entry.path(), if meta.is_dir() { 0 } else { meta.len() });
        }
    }
    found
}

/// Asks for the rest, or a snapshot, and is lied to.
async fn lied_to(site: &Site, answer: Vec<Message>, snapshots: &[u64]) -> String {
    let port = giver(site, answer).await;
    let mut arrival = site.arrival_from(port, moving(snapshots)).await;
    let rest = tokio::time::timeout(DEADLINE, arrival.rest()).await;
    rest.expect("in time").expect_err("a lie").full_text()
}

#[test]
fn lies_are_refused_and_leave_nothing_outside() {
    in_own_network(async {
        let site = Site::new().await;
        let one = vec![1; usize::try_from(CHUNK).expect("short")];
        let disk = || manifest(&[("disk.img", CHUNK + 10)], CHUNK);
        let zip = zstd::bulk::compress(&vec![0; 100 << 20], 1).expect("packed");
        let bomb = Message::binary([&[1][..], &zip].concat());
        let many: Vec<(String, u64)> = (0..10_001)
            .map(|n| (format!("checkpoint/{n}"), 1))
            .collect();
        let many: Vec<(&str, u64)> = many
            .iter()
            .map(|(name, length)| (name.as_str(), *length))
            .collect();
        let cases: Vec<(&str, Vec<Message>)> = vec![
            ("JSON", vec![text("{")]),
            ("unknown variant", vec![text("{\"moved\":1}")]),
            ("without a beginning", vec![end(&root(&[], 0))]),
            ("without a beginning", vec![chunk(0, 0, &one)]),
            ("not give it: why", vec![text("{\"refused\":\"why\"}")]),
            ("second manifest", vec![disk(), disk()]),
            ("without a disk", vec![manifest(&[], 0)]),
            ("without a disk", vec![manifest(&[("meter", 3)], 0)]),
            (
                "a part with",
                vec![manifest(&[("disk.img", 3), ("disk.img", 3)], 0)],
            ),
            (
                "a part with",
                vec![manifest(&[("disk.img", 3), ("snapshots/3.img", 3)], 0)],
            ),
            (
                "a file of a vnode",
                vec![manifest(&[("../../vnodes/v8/disk.img", 3)], 0)],
            ),
            (
                "a file of a vnode",
                vec![manifest(&[("/etc/cron.d/x", 3)], 0)],
            ),
            (
                "a file of a vnode",
                vec![manifest(&[("disk.img", 3), ("placed.json", 3)], 0)],
            ),
            (
                "a file of a vnode",
                vec![manifest(&[("disk.img", 3), ("checkpoint/../../x", 3)], 0)],
            ),
            (
                "a file of a vnode",
                vec![manifest(&[("disk.img", 3), ("whole.json", 3)], 0)],
            ),
            (
                "a disk.img of",
                vec![manifest(&[("disk.img", (64 << 20) + 1)], 0)],
            ),
            (
                "a disk.img of",
                vec![manifest(&[("disk.img", u64::MAX)], 0)],
            ),
            (
                "a meter of",
                vec![manifest(&[("disk.img", 3), ("meter", 1 << 40)], 0)],
            ),
            (
                "a restored.json of",
                vec![manifest(&[("disk.img", 3), ("restored.json", 1 << 20)], 0)],
            ),
            (
                "a checkpoint of",
                vec![manifest(
                    &[
                        ("disk.img", 3),
                        ("checkpoint/a", 40 << 20),
                        ("checkpoint/b", 40 << 20),
                    ],
                    0,
                )],
            ),
            (
                "a checkpoint of",
                vec![manifest(&[&[("disk.img", 3)][..], &many[..]].concat(), 0)],
            ),
            ("to spare", vec![manifest(&[("disk.img", 3)], u64::MAX)]),
            ("cannot have", vec![disk(), chunk(0, 2, &one)]),
            ("cannot have", vec![disk(), chunk(0, u32::MAX, &one)]),
            ("cannot have", vec![disk(), chunk(0, 0, &one[1..])]),
            ("too long", vec![disk(), chunk(0, 1, &one)]),
            (
                "cannot have",
                vec![disk(), chunk(0, 0, &one), chunk(0, 0, &one)],
            ),
            ("cannot have", vec![disk(), hole(0, 0, 1), hole(0, 0, 1)]),
            ("cannot have", vec![disk(), hole(0, 0, 3)]),
            ("cannot have", vec![disk(), hole(0, 1, u32::MAX)]),
            ("file 1 of a part", vec![disk(), chunk(1, 0, &one)]),
            ("file 9 of a part", vec![disk(), hole(9, 0, 1)]),
            ("cannot be unpacked", vec![disk(), bomb]),
            (
                "a binary message",
                vec![disk(), Message::binary(vec![7; 10])],
            ),
            (
                "not what was sent",
                vec![disk(), chunk(0, 0, &one), end(&root(&[], CHUNK + 10))],
            ),
            (
                "not what was sent",
                vec![
                    disk(),
                    chunk(0, 0, &one),
                    end(&root(&[ChunkHash::of(&one)], CHUNK)),
                ],
            ),
            ("breaks off", vec![disk(), Message::Close(None)]),
            ("websocket", vec![disk(), Message::binary(vec![1; 3 << 20])]),
        ];
        let outside = |site: &Site| {
            let mut tree = tree(&site.state.0);
            tree.retain(|path, _| !path.starts_with(site.taken("")));
            tree
        };
        // Whoever lies once has made room for what is to come.
        lied_to(&site, vec![text("{")], &[]).await;
        let before = outside(&site);
        for (wanted, mut answer) in cases {
            let shown = format!("{answer:.100?}");
            // Whatever is refused only when it is written ends the giver's part.
            answer.push(end(&root(&[], 1)));
            let cause = lied_to(&site, answer, &[]).await;
            assert!(cause.contains(wanted), "{shown}: {cause}");
            assert_eq!(outside(&site), before, "{shown}");
            assert!(whole(&site.state, V7, MOVE).is_none(), "{shown}");
        }
        let answer = vec![manifest(&[("snapshots/13.img", 3)], 0)];
        let cause = lied_to(&site, answer, &[12]).await;
        assert!(cause.contains("a part with snapshots/13.img"), "{cause}");
        assert_eq!(outside(&site), before);
    });
}

#[test]
fn who_tells_the_truth_is_believed() {
    in_own_network(async {
        let site = Site::new().await;
        let one = vec![1; usize::try_from(CHUNK).expect("short")];
        let answer = vec![
            text("{\"at\":0}"),
            manifest(&[("disk.img", CHUNK + 10)], CHUNK),
            text("{\"at\":5}"),
            chunk(0, 0, &one),
            hole(0, 1, 1),
            end(&root(&[ChunkHash::of(&one)], CHUNK + 10)),
        ];
        let port = giver(&site, answer).await;
        let mut arrival = site.arrival_from(port, moving(&[])).await;
        arrival.rest().await.expect("whole");
        one_and_zeros(&fs::read(site.taken("disk.img")).expect("a file"));
    });
}

fn one_and_zeros(bytes: &[u8]) {
    let (ones, zeros) = bytes.split_at(bytes.len() - 10);
    assert_eq!(ones.len() as u64, CHUNK);
    assert!(ones.iter().all(|byte| *byte == 1) && zeros.iter().all(|byte| *byte == 0));
}
