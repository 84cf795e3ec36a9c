//! Images of vnodes: what is in one at one moment, and nothing of the platform's.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use docklet_agent::host::linux::LinuxHost;
use docklet_agent::host::{Act, Host, Observation};
use docklet_agent::lxc::Container;
use docklet_control::amount::DiskMib;
use docklet_control::assignment::{AssignedSave, AssignedVnode};
use docklet_control::id::{Digest, LogIndex, VnodeId};
use docklet_control::model::VnodeWanted::{Running, Stopped};
use docklet_control::report::Saved;
use docklet_link::Authority;

use crate::support::{CLUSTER, Worker, command, in_own_network, observe, perform, round, until};

const V7: VnodeId = VnodeId(7);

/// Changes of every kind that overlayfs notes in its own way.
const CHANGES: &str = "
set -e
mkdir -p /srv/deep && echo new > /srv/deep/file && chown -R 33:44 /srv
ln /srv/deep/file /srv/same && ln -s deep/file /srv/soft
echo changed > /etc/inittab
rm /bin/vi
mkdir /old && echo old > /old/x
mv /opt /tools
rm -rf /tmp && mkdir /tmp && echo t > /tmp/t
echo secret > /etc/machine-id
mkdir -p /etc/ssh && echo key > /etc/ssh/ssh_host_ed25519_key
cp /bin/busybox /su && chmod 4755 /su
mkfifo /pipe
";

/// Two files of as many lines, with more between them than is read at once.
const WRITES: &str = "#!/bin/sh
mkdir -p /w && dd if=/dev/urandom of=/w/m bs=1M count=64
while :; do echo line >> /w/z; echo line >> /w/a; done
";

fn inside(worker: &Worker, script: &str) -> String {
    let pid = worker.init_pid(V7).expect("an init").to_string();
    let enter = [
        "-t", &pid, "-U", "-m", "-p", "-S", "0", "-G", "0", "--", "/bin/sh", "-c", script,
    ];
    command("nsenter", &enter)
}

fn saved(seen: &Observation, number: u64) -> Digest {
    let note = seen.saves.get(&V7).expect("a note");
    assert_eq!(note.save.number, LogIndex(number));
    match note.saved {
        Saved::Done { digest, .. } => digest,
        ref other @ (Saved::Working { .. } | Saved::Failed { .. }) => panic!("{other:?}"),
    }
}

async fn save(
    worker: &Worker,
    host: &Arc<LinuxHost>,
    wanted: docklet_control::model::VnodeWanted,
    number: u64,
) -> PathBuf {
    let mut assignment = worker.assignment(vec![worker.vnode(7, wanted)]);
    assignment.saves.push(AssignedSave {
        vnode: V7,
        number: LogIndex(number),
        snapshot: None,
        blob_bytes_max: None,
    });
    assert_eq!(round(host, &assignment).await, ["save"]);
    assert_eq!(
        round(host, &assignment).await,
        [""; 0],
        "noted, and not done twice"
    );
    host.images().rootfs(saved(&observe(host).await, number))
}

#[test]
fn a_running_vnode_becomes_an_image_of_what_is_in_it_and_runs_on() {
    in_own_network(async {
        let ca = Authority::create(CLUSTER).expect("an authority");
        let tool = ("opt/tool".to_owned(), 0o755, b"of the image".to_vec());
        let worker = Worker::with_files(&ca, 5, &[tool]);
        let host = worker.open();
        round(&host, &worker.assignment(vec![worker.vnode(7, Running)])).await;
        inside(&worker, CHANGES);
        let root = save(&worker, &host, Running, 50).await;

        let text = |path: &str| fs::read_to_string(root.join(path)).ok();
        assert_eq!(text("srv/deep/file").as_deref(), Some("new\n"));
        assert_eq!(text("srv/soft").as_deref(), Some("new\n"));
        assert_eq!(text("etc/inittab").as_deref(), Some("changed\n"));
        assert!(root.join("bin/busybox").exists(), "of the image");
        assert!(root.join("bin/vi").symlink_metadata().is_err(), "deleted");
        assert!(
            !root.join("opt").exists() && root.join("tools/tool").is_file(),
            "renamed"
        );
        assert_eq!(fs::read_dir(root.join("tmp")).expect("there").count(), 1);
        assert!(!root.join("pipe").exists());
        let file = fs::metadata(root.join("srv/deep/file")).expect("there");
        assert_eq!(
            (file.uid(), file.gid(), file.nlink()),
            (33, 44, 2),
            "as the vnode sees it"
        );
        let su = fs::metadata(root.join("su")).expect("there");
        assert_eq!((su.uid(), su.mode() & 0o7777), (0, 0o4755));
        for own in [
            "etc/ssh/ssh_host_ed25519_key",
            "etc/machine-id",
            "etc/hosts",
            "etc/resolv.conf",
        ] {
            assert!(!root.join(own).exists(), "{own} is the vnode's own");
        }

        // It runs on, and what it is now is another image.
        assert_eq!(inside(&worker, "cat /srv/same"), "new\n");
        let again = save(&worker, &host, Running, 51).await;
        assert_eq!(again, root, "nothing changed");
        inside(&worker, "echo more > /srv/more");
        let more = save(&worker, &host, Running, 52).await;
        assert_ne!(more, root);
        round(&host, &worker.assignment(vec![worker.vnode(7, Stopped)])).await;
        assert_eq!(
            save(&worker, &host, Stopped, 53).await,
            more,
            "stopped it is the same"
        );
        round(&host, &worker.assignment(Vec::new())).await;
    });
}

/// What a program writes last into one file, then into another, is so in the image: no later word of the one beside an
/// earlier of the other, however much there was to read in between.
#[test]
fn an_image_of_a_vnode_that_writes_is_one_moment_of_it() {
    in_own_network(async {
        let files = [
            ("etc/inittab", 0o644, "::respawn:/bin/work\n"),
            ("bin/work", 0o755, WRITES),
        ];
        let files = files.map(|(path, mode, text)| (path.to_owned(), mode, text.into()));
        let worker = Worker::with_files(
            &Authority::create(CLUSTER).expect("an authority"),
            5,
            &files,
        );
        let host = worker.open();
        let vnode = AssignedVnode {
            disk_mib: DiskMib(1_024),
            ..worker.vnode(7, Running)
        };
        round(&host, &worker.assignment(vec![vnode.clone()])).await;
        let written = || {
            inside(&worker, "cat /w/a 2> /dev/null | wc -l")
                .trim()
                .to_owned()
        };
        until("some lines", || (written() != "0").then_some(()));
        let mut assignment = worker.assignment(vec![vnode]);
        assignment.saves.push(AssignedSave {
            vnode: V7,
            number: LogIndex(50),
            snapshot: None,
            blob_bytes_max: None,
        });
        assert_eq!(round(&host, &assignment).await, ["save"]);
        let then = written();
        until("more lines", || (written() != then).then_some(()));

        let root = host.images().rootfs(saved(&observe(&host).await, 50));
        let lines = |name: &str| {
            let text = fs::read_to_string(root.join("w").join(name)).expect("a file of lines");
            assert!(text.ends_with('\n'), "{name} ends within a line");
            text.lines().count()
        };
        let (first, second) = (lines("z"), lines("a"));
        assert!(
            first == second || first == second + 1,
            "{first} lines, and {second} that are written after them"
        );
        round(&host, &worker.assignment(Vec::new())).await;
    });
}

/// What a save may leave: directories of the image store, the note, a frozen vnode.
fn left_of_a_save(worker: &Worker) -> Vec<String> {
    let images = fs::read_dir(worker.state("images")).expect("images");
    let names = images.map(|entry| entry.expect("an entry").file_name());
    let mut left: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| *name != worker.image.to_string())
        .collect();
    if worker.state("vnodes/v7/saved.json").exists() {
        left.push("a note".to_owned());
    }
    let container = Container::open(&worker.state("lxc"), "v7").expect("a handle");
    if container.is_frozen() {
        left.push("a frozen vnode".to_owned());
    }
    left
}

#[test]
fn a_save_that_is_cancelled_ends_at_once_wherever_it_is() {
    in_own_network(async {
        let worker = Worker::new(&Authority::create(CLUSTER).expect("an authority"), 5);
        let host = worker.open();
        let vnode = AssignedVnode {
            disk_mib: DiskMib(1_024),
            ..worker.vnode(7, Running)
        };
        round(&host, &worker.assignment(vec![vnode.clone()])).await;
        // Enough that reading and packing it take longer than anything here.
        inside(&worker, "dd if=/dev/urandom of=/large bs=1M count=256");
        let asked = |number| AssignedSave {
            vnode: V7,
            number: LogIndex(number),
            snapshot: None,
            blob_bytes_max: None,
        };
        let (lxc, staging) = (worker.state("lxc"), worker.state("images"));
        let frozen = || {
            let container = Container::open(&lxc, "v7").expect("a handle");
            container.is_frozen()
        };
        let packing = || {
            let dirs = fs::read_dir(&staging).expect("images").flatten();
            let mut blobs = dirs.map(|dir| dir.path().join("blob.tar.zst"));
            blobs.any(|blob| {
                let staged = blob.to_string_lossy().contains("save-");
                staged && blob.metadata().is_ok_and(|blob| blob.len() > 1 << 20)
            })
        };
        let moments: [(&str, &dyn Fn() -> bool); 2] = [
            ("reading, and the vnode stands still", &frozen),
            ("packing", &packing),
        ];
        let mut cancelled = Vec::new();
        for (number, (moment, is_there)) in (50..).zip(moments) {
            let save = asked(number);
            let saving = {
                let (host, act) = (host.clone(), Act::Save(Box::new(vnode.clone()), save));
                tokio::task::spawn_blocking(move || host.act(&act))
            };
            until(moment, || is_there().then_some(()));
            let said = Instant::now();
            perform(&host, Act::CancelSave(save)).await;
            saving.await.expect("a thread").expect("no fault");
            cancelled.push((moment, said.elapsed()));
            assert_eq!(left_of_a_save(&worker), [""; 0], "{moment}");
            assert_eq!(inside(&worker, "echo on"), "on\n");
        }
        // Also one that has not begun; and the next one is not meant.
        let save = asked(60);
        perform(&host, Act::CancelSave(save)).await;
        perform(&host, Act::Save(Box::new(vnode.clone()), save)).await;
        assert_eq!(left_of_a_save(&worker), [""; 0]);
        let begun = Instant::now();
        perform(&host, Act::Save(Box::new(vnode.clone()), asked(61))).await;
        let whole = begun.elapsed();
        saved(&observe(&host).await, 61);
        println!("a whole one took {whole:?}, the end of those that were cancelled {cancelled:?}");
        for (moment, took) in cancelled {
            assert!(
                took < whole / 2,
                "{moment}: {took:?}, a whole one {whole:?}"
            );
        }
        round(&host, &worker.assignment(Vec::new())).await;
    });
}

#[test]
fn an_image_of_a_vnode_that_becomes_too_large_is_none() {
    in_own_network(async {
        let worker = Worker::new(&Authority::create(CLUSTER).expect("an authority"), 5);
        let host = worker.open();
        let vnode = worker.vnode(7, Running);
        round(&host, &worker.assignment(vec![vnode.clone()])).await;
        inside(&worker, "dd if=/dev/urandom of=/large bs=1M count=8");
        let save = |blob_bytes_max| AssignedSave {
            vnode: V7,
            number: LogIndex(blob_bytes_max),
            snapshot: None,
            blob_bytes_max: Some(blob_bytes_max),
        };
        perform(&host, Act::Save(Box::new(vnode.clone()), save(8 << 20))).await;
        let seen = observe(&host).await;
        let note = seen.saves.get(&V7).expect("a note");
        let Saved::Failed { cause } = &note.saved else {
            panic!("{note:?}");
        };
        assert!(cause.contains("more than 8388608 bytes"), "{cause}");
        assert_eq!(left_of_a_save(&worker), ["a note"]);
        perform(&host, Act::Save(Box::new(vnode.clone()), save(12 << 20))).await;
        saved(&observe(&host).await, 12 << 20);
        round(&host, &worker.assignment(Vec::new())).await;
    });
}

#[test]
fn what_an_agent_left_frozen_goes_on_with_the_next() {
    in_own_network(async {
        let worker = Worker::new(&Authority::create(CLUSTER).expect("an authority"), 5);
        let host = worker.open();
        let wanted = worker.assignment(vec![worker.vnode(7, Running)]);
        round(&host, &wanted).await;
        let container = Container::open(&worker.state("lxc"), "v7").expect("a handle");
        container.freeze().expect("frozen");
        assert!(container.is_frozen());
        drop(host);
        let next = worker.open();
        assert!(!container.is_frozen());
        assert_eq!(inside(&worker, "echo on"), "on\n");
        round(&next, &worker.assignment(Vec::new())).await;
    });
}
