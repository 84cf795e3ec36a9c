//! What makes a vcluster one thing: the shared home, and ssh without a password, between real containers.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use docklet_agent::home::Homes;
use docklet_agent::host::Act;
use docklet_agent::host::linux::LinuxHost;
use docklet_control::assignment::{AssignedVnode, VclusterSecret};
use docklet_control::id::{UserId, VclusterId, VnodeId};
use docklet_control::model::VnodeWanted::Running;
use docklet_link::Authority;

use crate::support::{
    CLUSTER, Worker, command, in_own_network, perform, round, run_in, try_to, until,
};

fn worker() -> Worker {
    Worker::new(&Authority::create(CLUSTER).expect("an authority"), 5)
}

/// `host-0`, `host-1` and so on of one vcluster, with the numbers from `first` on.
fn vcluster(worker: &Worker, first: u64, count: u64) -> Vec<AssignedVnode> {
    let mut vnodes: Vec<AssignedVnode> = (0..count)
        .map(|ordinal| AssignedVnode {
            hostname: format!("host-{ordinal}"),
            ..worker.vnode(first + ordinal, Running)
        })
        .collect();
    let hosts: Vec<_> = vnodes
        .iter()
        .map(|v| (v.hostname.clone(), v.address))
        .collect();
    for vnode in &mut vnodes {
        vnode.hosts.clone_from(&hosts);
    }
    vnodes
}

async fn remove(host: &Arc<LinuxHost>, ids: impl IntoIterator<Item = u64>) {
    for id in ids {
        perform(host, Act::Remove(VnodeId(id))).await;
    }
}

/// A path as the vnode's root sees it, from outside.
fn inside(worker: &Worker, id: u64, path: &str) -> PathBuf {
    let init = worker.init_pid(VnodeId(id)).expect("an init");
    format!("/proc/{init}/root/{path}").into()
}

#[test]
fn a_users_vnodes_share_a_home_that_outlives_them_and_that_nobody_else_sees() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        let mut vnodes = vcluster(&worker, 7, 2);
        let mut stranger = worker.vnode(9, Running);
        stranger.owner = UserId(2);
        stranger.vcluster = VclusterId(2);
        stranger.uid_base += 1_000 * 65_536;
        vnodes.push(stranger.clone());
        round(&host, &worker.assignment(vnodes)).await;

        let write = "echo ours > /root/nfs/file; chmod 600 /root/nfs/file; ls -ld /root/nfs";
        let listing = run_in(&worker, 7, write);
        assert!(listing.starts_with("drwx------"), "{listing}");
        assert_eq!(run_in(&worker, 8, "cat /root/nfs/file"), "ours\n");
        assert_eq!(run_in(&worker, 9, "ls -A /root/nfs"), "");
        let file = worker.state("homes/u1/file");
        let owner = fs::metadata(&file).expect("a file").uid();
        assert_eq!(
            owner, worker.uid_base,
            "on the disk it belongs to the user's range"
        );
        assert_eq!(
            run_in(
                &worker,
                9,
                "cat /etc/docklet/home; touch /etc/docklet/x || echo ro"
            ),
            "~/nfs is on this worker's own disk: shared by your vnodes on this worker, and by no others.\nro\n"
        );

        remove(&host, [7, 8, 9]).await;
        assert!(file.exists(), "it outlives the vcluster");
        let again = worker.vnode(10, Running);
        round(&host, &worker.assignment(vec![again])).await;
        assert_eq!(run_in(&worker, 10, "cat /root/nfs/file"), "ours\n");
        remove(&host, [10]).await;
    });
}

#[test]
fn without_its_file_system_mounted_no_vnode_starts_and_nothing_is_written_below() {
    in_own_network(async {
        let mut worker = worker();
        let point = worker.state("shared");
        fs::create_dir(&point).expect("a mount point");
        worker.config.homes = Homes {
            dir: point.clone(),
            mounted: true,
        };
        let host = worker.open();
        let vnode = worker.vnode(7, Running);
        let wanted = worker.assignment(vec![vnode.clone()]);
        let refused = try_to(&host, Act::Prepare(Box::new(vnode))).await;
        let refused = refused.expect_err("nothing is mounted");
        assert!(refused.contains("nothing is mounted there"), "{refused}");
        let left = fs::read_dir(&point).expect("a directory").count();
        assert_eq!(left, 0, "nothing was written below the mount point");

        command(
            "mount",
            &["-t", "tmpfs", "shared", point.to_str().expect("text")],
        );
        round(&host, &wanted).await;
        assert_eq!(
            run_in(&worker, 7, "touch /root/nfs/x && cat /etc/docklet/home"),
            "~/nfs is on a file system that all workers share: the same files in all your vnodes.\n\
             When more is in it than it may hold, no more of your vnodes start.\n"
        );
        assert!(point.join("u1/x").exists());
        remove(&host, [7]).await;

        // The same place in the hands of another cluster, whose first user is another.
        fs::write(point.join(".docklet-cluster"), "another").expect("written");
        let vnode = worker.vnode(8, Running);
        let refused = try_to(&host, Act::Prepare(Box::new(vnode))).await;
        assert!(
            refused
                .expect_err("not ours")
                .contains("those of cluster another")
        );
        remove(&host, [8]).await;
        command("umount", &[point.to_str().expect("text")]);
    });
}

#[test]
fn keys_are_the_vclusters_own_and_only_its_root_reads_them() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        let mut vnodes = vcluster(&worker, 7, 2);
        let mut other = worker.vnode(9, Running);
        other.vcluster = VclusterId(2);
        other.secret = Some(VclusterSecret([4; 32]));
        vnodes.push(other);
        round(&host, &worker.assignment(vnodes.clone())).await;
        let key = |id| run_in(&worker, id, "cat /etc/docklet/ssh/id_ed25519");
        assert!(key(7).starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"));
        assert_eq!(key(7), key(8));
        assert_ne!(key(7), key(9));
        let modes = run_in(&worker, 7, "cd /etc/docklet/ssh; stat -c '%n %a %u' *");
        let modes: BTreeMap<&str, &str> = modes
            .lines()
            .filter_map(|line| line.split_once(' '))
            .collect();
        assert_eq!(modes["id_ed25519"], "600 0");
        assert_eq!(modes["host_ed25519"], "600 0");
        assert_eq!(modes["known_hosts"], "644 0");
        let own = inside(&worker, 7, "etc/ssh");
        assert!(!own.exists(), "an image without OpenSSH gets no drop-ins");

        // The cluster has another authority now: running vnodes get the new keys.
        for vnode in &mut vnodes {
            vnode.secret = Some(VclusterSecret([5; 32]));
        }
        let before = key(7);
        let steps = round(&host, &worker.assignment(vnodes)).await;
        assert_eq!(steps, ["write keys"; 3]);
        assert_ne!(key(7), before);
        assert_eq!(key(7), key(8));
        remove(&host, [7, 8, 9]).await;
    });
}

/// Programs with the libraries that they need, at the same paths.
fn with_libraries(programs: &[&str]) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = programs.iter().map(PathBuf::from).collect();
    for program in programs {
        let needed = command("ldd", &[program]);
        let words = needed
            .split_whitespace()
            .filter(|word| word.starts_with('/'));
        files.extend(words.map(PathBuf::from));
    }
    files.sort();
    files.dedup();
    files
}

/// What Debian's openssh packages install, as far as a login needs it, in the busybox image.
fn openssh() -> Vec<(String, u32, Vec<u8>)> {
    let programs = ["/usr/sbin/sshd", "/usr/bin/ssh"];
    let copied = with_libraries(&programs).into_iter().map(|path| {
        let name = path.to_string_lossy().trim_start_matches('/').to_owned();
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (name, 0o755, bytes)
    });
    let text = |name: &str, text: &str| (name.to_owned(), 0o644, text.as_bytes().to_vec());
    let written = [
        text(
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\n",
        ),
        text("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
        text("etc/shadow", "root:*:19000::::::\n"),
        // As Debian has them, shortened.
        text(
            "etc/ssh/ssh_config",
            "Include /etc/ssh/ssh_config.d/*.conf\nHost *\n",
        ),
        text(
            "etc/ssh/sshd_config",
            "Include /etc/ssh/sshd_config.d/*.conf\nKbdInteractiveAuthentication no\n",
        ),
        text("etc/ssh/ssh_config.d/README", ""),
        text("etc/ssh/sshd_config.d/README", ""),
    ];
    copied.chain(written).collect()
}

#[test]
fn root_logs_in_from_any_vnode_to_any_other_without_a_password_or_a_question() {
    assert!(
        Path::new("/usr/sbin/sshd").exists(),
        "apt-get install openssh-server"
    );
    in_own_network(async {
        let authority = Authority::create(CLUSTER).expect("an authority");
        let worker = Worker::with_files(&authority, 5, &openssh());
        let host = worker.open();
        let mut vnodes = vcluster(&worker, 7, 2);
        let mut other = worker.vnode(9, Running);
        other.vcluster = VclusterId(2);
        other.secret = Some(VclusterSecret([4; 32]));
        other.hosts = vnodes[0].hosts.clone();
        vnodes.push(other);
        round(&host, &worker.assignment(vnodes)).await;
        for id in [7, 8] {
            run_in(
                &worker,
                id,
                "mkdir -p /run/sshd /var/empty; /usr/sbin/sshd 2>&1",
            );
        }
        let ask =
            "ssh -o ConnectTimeout=3 host-1 'hostname; cat /root/nfs/greeting' </dev/null 2>&1";
        run_in(&worker, 7, "echo hello > /root/nfs/greeting");
        until("a login", || {
            (run_in(&worker, 7, ask) == "host-1\nhello\n").then_some(())
        });
        let back = run_in(
            &worker,
            8,
            "ssh -o ConnectTimeout=3 host-0 hostname </dev/null 2>&1",
        );
        assert_eq!(back, "host-0\n");
        assert_eq!(
            run_in(&worker, 7, "ls -A /root/.ssh 2>/dev/null || true"),
            "",
            "~/.ssh is the person's own"
        );
        let foreign = run_in(
            &worker,
            9,
            "ssh -o ConnectTimeout=3 host-1 hostname </dev/null 2>&1 || true",
        );
        assert!(
            !foreign.contains("host-1\n"),
            "another vcluster's key does not fit: {foreign}"
        );
        remove(&host, [7, 8, 9]).await;
    });
}
