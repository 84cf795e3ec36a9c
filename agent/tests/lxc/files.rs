//! Files of a real vnode through the data port, with its root at work against it inside.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use docklet_control::file_path::FilePath;
use docklet_control::file_wire::{FileAsk, FileSaid, FileWhy, Guard, UploadId};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::door::{Open, V7, text};
use crate::exec::run;
use crate::isolation::bring_probe;
use crate::resize;
use crate::support::{in_own_network, processes_of, round, run_in, until};

/// How often the vnode's root changes what is where.
const SWAPS: u64 = 100_000;
const CANARY: &[u8] = b"of the worker, and nobody else's";

fn path(text: &str) -> FilePath {
    FilePath::parse(text).expect("a path")
}

fn read(text: &str) -> FileAsk {
    FileAsk::Read {
        path: path(text),
        range: None,
        of: None,
    }
}

struct Came {
    said: Vec<FileSaid>,
    bytes: Vec<u8>,
}

impl Came {
    fn why(&self) -> Option<FileWhy> {
        self.said.iter().find_map(|said| {
            let FileSaid::Refused(refused) = said else {
                return None;
            };
            Some(refused.why)
        })
    }
}

async fn ask_as(open: &Open, epoch: u64, ask: &FileAsk, input: &[u8]) -> Came {
    let mut socket = open.socket("/files").await;
    let act = json!({"vnode": 7, "epoch": epoch, "ask": ask}).to_string();
    socket.send(Message::text(act)).await.expect("sent");
    for chunk in input.chunks(64 << 10) {
        let sent = socket.send(Message::binary(chunk.to_vec())).await;
        if sent.is_err() {
            break;
        }
    }
    let eof = json!({"stdin": "eof"}).to_string();
    // It may have been refused already.
    drop(socket.send(Message::text(eof)).await);
    let mut came = Came {
        said: Vec::new(),
        bytes: Vec::new(),
    };
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Text(text) = &message {
            came.said.push(serde_json::from_str(text).expect("a word"));
        } else if let Message::Binary(bytes) = &message {
            came.bytes.extend_from_slice(bytes);
        }
    }
    came
}

async fn ask(open: &Open, ask: FileAsk, input: &[u8]) -> Came {
    ask_as(open, 10, &ask, input).await
}

async fn put(open: &Open, text: &str, content: &[u8], guard: Guard) -> Came {
    let put = FileAsk::Put {
        path: path(text),
        bytes: content.len() as u64,
        guard,
    };
    ask(open, put, content).await
}

#[test]
fn files_are_the_vnodes_own_and_so_is_whoever_reaches_them() {
    in_own_network(async {
        let open = Open::new().await;
        let base = open.worker.uid_base;
        let content: Vec<u8> = (0..3_000_000_u32)
            .map(|number| number.to_le_bytes()[0])
            .collect();
        let written = put(&open, "/root/report", &content, Guard::New).await;
        assert!(
            matches!(written.said[..], [FileSaid::Written { .. }]),
            "{:?}",
            written.said
        );
        let file = open.worker.state("vnodes/v7/disk/upper/root/report");
        let meta = fs::metadata(&file).expect("there");
        assert_eq!(
            (meta.uid(), meta.gid(), meta.mode() & 0o7777),
            (base, base, 0o644)
        );
        assert_eq!(ask(&open, read("/root/report"), b"").await.bytes, content);

        run_in(
            &open.worker,
            7,
            "mkdir /root/theirs && chown 1000:1001 /root/theirs",
        );
        put(&open, "/root/theirs/new", b"x", Guard::New).await;
        let theirs = open.worker.state("vnodes/v7/disk/upper/root/theirs/new");
        let meta = fs::metadata(&theirs).expect("there");
        assert_eq!((meta.uid(), meta.gid()), (base + 1_000, base + 1_001));

        // Home without a path; nobody else's files, whatever they are called.
        let home = FileAsk::Look {
            path: None,
            after: None,
        };
        let [FileSaid::Found(listing)] = &ask(&open, home, b"").await.said[..] else {
            panic!("no listing");
        };
        assert_eq!(listing.path, path("/root"));
        let other = ask_as(&open, 9, &read("/root/report"), b"").await;
        assert_eq!(other.why(), Some(FileWhy::Absent));
        for (text, why) in [
            ("/proc/self/exe", FileWhy::NotAllowed),
            ("/proc/self/root/etc/passwd", FileWhy::NotAllowed),
            ("/proc/1/root/etc/passwd", FileWhy::NotAllowed),
            ("/proc/self/fd/0", FileWhy::NotAllowed),
            ("/proc/1/environ", FileWhy::NotAFile),
            ("/dev/zero", FileWhy::NotAFile),
        ] {
            let came = ask(&open, read(text), b"").await;
            assert_eq!((came.why(), came.bytes.len()), (Some(why), 0), "{text}");
        }
        // What the worker put there to be read is read, and not changed.
        let told = put(&open, "/etc/docklet/home", b"x", Guard::Replace).await;
        assert_eq!(told.why(), Some(FileWhy::NotAllowed));
        open.end().await;
    });
}

#[test]
fn a_root_that_swaps_directories_for_links_while_files_are_reached_never_wins() {
    in_own_network(async {
        let open = Open::new().await;
        let secret = open.worker.state("canary");
        fs::create_dir(&secret).expect("made");
        fs::write(secret.join("f"), CANARY).expect("written");
        let secret_text = secret.to_str().expect("text").to_owned();
        bring_probe(&open.worker, V7);
        run_in(
            &open.worker,
            7,
            "mkdir -p /root/race/d && echo own > /root/race/d/f",
        );
        let targets = [
            secret_text.clone(),
            format!("/proc/self/root{secret_text}"),
            format!("/proc/1/root{secret_text}"),
            "/proc/self/fd".to_owned(),
            format!("../../../../../../..{secret_text}"),
            "/proc/self/cwd".to_owned(),
        ];
        let times = SWAPS.to_string();
        let mut argv = vec!["/bin/probe", "race", "/root/race", &times];
        argv.extend(targets.iter().map(String::as_str));
        let mut racer = open.socket("/exec").await;
        let request = json!({"vnode": 7, "epoch": 10, "argv": argv}).to_string();
        racer.send(Message::text(request)).await.expect("sent");
        let (mut acts, mut own) = (0, 0);
        let ended = loop {
            let content = ask(&open, read("/root/race/d/f"), b"").await.bytes;
            assert!(content.is_empty() || content == b"own\n", "{content:?}");
            own += u32::from(!content.is_empty());
            put(&open, "/root/race/d/f", b"own\n", Guard::Replace).await;
            put(&open, "/root/race/d/new", b"new", Guard::New).await;
            let delete = FileAsk::Delete {
                path: path("/root/race/d/new"),
                all: true,
            };
            ask(&open, delete, b"").await;
            let zipped = ask(
                &open,
                FileAsk::Zip {
                    path: path("/root/race"),
                },
                b"",
            )
            .await;
            assert!(
                !zipped
                    .bytes
                    .windows(CANARY.len())
                    .any(|bytes| bytes == CANARY)
            );
            acts += 5;
            let told = tokio::time::timeout(Duration::ZERO, racer.next()).await;
            if let Ok(Some(Ok(Message::Text(text)))) = told {
                break text;
            }
        };
        assert_eq!(ended.as_str(), json!({"exit": {"code": 0}}).to_string());
        println!("{acts} acts during {SWAPS} swaps, {own} of them found the file to read");
        assert_eq!(fs::read(secret.join("f")).expect("there"), CANARY);
        assert_eq!(fs::read_dir(&secret).expect("there").count(), 1);
        open.end().await;
    });
}

#[test]
fn a_full_disk_is_told_and_a_killed_act_leaves_no_file_and_no_process() {
    in_own_network(async {
        let open = Open::new().await;
        let before = processes_of(open.worker.uid_base).len();
        let large = vec![7; 80 << 20];
        let full = put(&open, "/root/large", &large, Guard::New).await;
        assert_eq!(full.why(), Some(FileWhy::NoRoom), "{:?}", full.said);
        assert_eq!(
            run_in(&open.worker, 7, "ls -A /root | grep -v nfs; true"),
            ""
        );

        // The vnode's own root stops or ends what acts in it.
        let (file, upload) = (path("/root/part"), UploadId::of(1));
        let begin = FileAsk::Begin {
            path: file.clone(),
            upload: upload.clone(),
        };
        assert_eq!(ask(&open, begin, b"").await.why(), None);
        let append = FileAsk::Append {
            path: file.clone(),
            upload: upload.clone(),
            offset: 0,
        };
        let mut socket = open.socket("/files").await;
        let act = json!({"vnode": 7, "epoch": 10, "ask": append}).to_string();
        socket.send(Message::text(act)).await.expect("sent");
        socket
            .send(Message::binary(vec![1; 9_000]))
            .await
            .expect("sent");
        let there = "wc -c < /root/.docklet-upload-00000000000000000000000000000001";
        until("its bytes", || {
            (run_in(&open.worker, 7, there).trim() == "9000").then_some(())
        });
        run_in(&open.worker, 7, "kill -9 -1; true");
        while let Some(Ok(message)) = socket.next().await {
            assert!(!message.is_text(), "{message:?}");
        }
        assert_eq!(run_in(&open.worker, 7, "ls /root"), "nfs\n", "no name yet");
        until("its end", || {
            (processes_of(open.worker.uid_base).len() <= before).then_some(())
        });

        // And it goes on from there.
        let resume = FileAsk::Resume {
            path: file.clone(),
            upload: upload.clone(),
        };
        let resumed = ask(&open, resume, b"").await;
        assert!(
            matches!(resumed.said[..], [FileSaid::Held { bytes: 9_000 }]),
            "{:?}",
            resumed.said
        );
        let append = FileAsk::Append {
            path: file.clone(),
            upload: upload.clone(),
            offset: 9_000,
        };
        ask(&open, append, b"rest").await;
        let finish = FileAsk::Finish {
            path: file,
            upload,
            bytes: 9_004,
            guard: Guard::New,
        };
        assert_eq!(ask(&open, finish, b"").await.why(), None);
        assert_eq!(run_in(&open.worker, 7, "tail -c 4 /root/part"), "rest");
        open.end().await;
    });
}

#[test]
fn an_upload_that_nobody_goes_on_with_goes_by_itself_also_after_the_agent_began_anew() {
    in_own_network(async {
        let open = Open::with(|config| config.uploads_kept = Duration::from_secs(2)).await;
        let begin = FileAsk::Begin {
            path: path("/root/left"),
            upload: UploadId::of(1),
        };
        assert_eq!(ask(&open, begin, b"").await.why(), None);
        let (there, note) = (
            "ls -A /root | grep docklet-upload; true",
            open.worker.state("vnodes/v7/uploads.json"),
        );
        assert!(!run_in(&open.worker, 7, there).is_empty());
        assert_eq!(
            fs::read_to_string(&note).expect("a note"),
            r#"["/root"]"#,
            "what an agent knows that begins anew"
        );
        until("the sweep", || (!note.exists()).then_some(()));
        assert_eq!(run_in(&open.worker, 7, there), "");
        open.end().await;
    });
}

/// Says which processes of the vnode act on files.
const ACTING: &str =
    "for p in /proc/[0-9]*; do grep -qs lxc-helpe[r] $p/cmdline && echo ${p#/proc/}; done; true";

#[test]
fn a_deletion_for_which_nobody_waits_is_not_gone_on_with() {
    const FILES: usize = 8_000;
    in_own_network(async {
        let open = Open::new().await;
        let make = format!("mkdir /root/many && cd /root/many && seq 1 {FILES} | xargs touch");
        run_in(&open.worker, 7, &make);
        // So that most of them are there yet when it is told that the first are gone.
        let little = resize::wanted(&open.worker, resize::size(50, 48, 64));
        round(&open.host, &little).await;
        let mut socket = open.socket("/files").await;
        let delete = FileAsk::Delete {
            path: path("/root/many"),
            all: true,
        };
        let act = json!({"vnode": 7, "epoch": 10, "ask": delete}).to_string();
        socket.send(Message::text(act)).await.expect("sent");
        let eof = json!({"stdin": "eof"}).to_string();
        socket.send(Message::text(eof)).await.expect("sent");
        let first = text(&mut socket).await;
        drop(socket);
        until("its end", || {
            run_in(&open.worker, 7, ACTING).is_empty().then_some(())
        });
        let many = open.worker.state("vnodes/v7/rootfs/root/many");
        let left = fs::read_dir(many).map_or(0, Iterator::count);
        assert!(left > 0 && left < FILES, "{left} after {first}");
        open.end().await;
    });
}

#[test]
fn root_of_the_vnode_does_not_look_into_what_acts_in_it() {
    in_own_network(async {
        let open = Open::new().await;
        run_in(
            &open.worker,
            7,
            "dd if=/dev/zero of=/root/big bs=1M count=24 2>/dev/null",
        );
        // One that nobody reads from stands still.
        let mut socket = open.socket("/files").await;
        let act = json!({"vnode": 7, "epoch": 10, "ask": read("/root/big")}).to_string();
        socket.send(Message::text(act)).await.expect("sent");
        let pid = until("the act", || {
            let found = run_in(&open.worker, 7, ACTING);
            found.lines().next().map(str::to_owned)
        });
        for below in ["fd/0", "mem", "environ", "root", "exe", "maps", "cwd"] {
            let looked = format!(
                "cat /proc/{pid}/{below} > /dev/null 2>&1 || ls /proc/{pid}/{below}/ > /dev/null 2>&1; echo $?"
            );
            let code = run_in(&open.worker, 7, &looked);
            assert_ne!(code.trim(), "0", "{below}");
        }
        drop(socket);
        until("its end", || {
            run_in(&open.worker, 7, ACTING).is_empty().then_some(())
        });
        let ran = run(&mut open.socket("/exec").await, &["true"], b"").await;
        assert_eq!(ran.last, json!({"exit": {"code": 0}}));
        open.end().await;
    });
}
