//! A program runs inside a vnode as its root and tries every known way out: `probe/`.
//!
//! Each defence was taken away once, and these lines of the probe then said OPEN; docs/adr/0013 has the table.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use serde_json::json;

use docklet_control::id::VnodeId;

use crate::door::{Open, V7};
use crate::exec::run;
use crate::support::{Worker, in_own_network, until};

const PROBE: &str = env!("CARGO_BIN_EXE_docklet-agent-probe");
/// Fewer lines than this, and the probe did not come to its end.
pub const WAYS: usize = 116;

/// Puts the probe and the libraries that it needs into a vnode that runs.
pub fn bring_probe(worker: &Worker, id: VnodeId) {
    let root = worker.state(&format!("vnodes/v{id}/rootfs"));
    let maps = fs::read_to_string("/proc/self/maps").expect("own maps");
    let mut files: Vec<&str> = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5))
        .filter(|path| {
            ["/ld-linux", "/libc.so", "/libgcc_s"]
                .iter()
                .any(|name| path.contains(name))
        })
        .collect();
    files.dedup();
    assert_eq!(files.len(), 3, "the loader and two libraries: {files:?}");
    for file in files {
        let name = Path::new(file).file_name().expect("a name");
        let place = if file.contains("/ld-linux") {
            "lib64"
        } else {
            "lib"
        };
        fs::create_dir_all(root.join(place)).expect("a directory");
        copy(Path::new(file), &root.join(place).join(name));
    }
    copy(Path::new(PROBE), &root.join("bin/probe"));
}

fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).expect("copied");
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).expect("executable");
}

/// What the probe says, which must come to its end.
pub async fn probe(open: &Open) -> String {
    bring_probe(&open.worker, V7);
    let outside = open.worker.state("vnode.seccomp").display().to_string();
    let mut socket = open.socket("/exec").await;
    let ran = run(&mut socket, &["/bin/probe", &outside], b"").await;
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.last, json!({"exit": {"code": 0}}), "{text}{complaint}");
    text
}

#[test]
fn every_known_way_out_of_a_vnode_is_closed() {
    in_own_network(async {
        let open = Open::new().await;
        let before = fs::read_to_string("/proc/sys/kernel/core_pattern").expect("readable");
        let text = probe(&open).await;
        println!("{text}");
        let closed = text.lines().filter(|line| line.contains(": refused, "));
        let other: Vec<&str> = text
            .lines()
            .filter(|line| !line.contains(": refused, "))
            .collect();
        assert!(other.is_empty(), "{other:#?}");
        assert_eq!(closed.count(), WAYS);
        let after = fs::read_to_string("/proc/sys/kernel/core_pattern").expect("readable");
        assert_eq!(after, before);
        open.end().await;
    });
}

#[test]
fn nobody_else_of_the_worker_comes_to_a_program_that_a_vnode_made_setuid() {
    in_own_network(async {
        let open = Open::new().await;
        let made = [
            "sh",
            "-c",
            "cp /bin/busybox /root/su && chmod 4755 /root/su && chmod 755 /root",
        ];
        let ran = run(&mut open.socket("/exec").await, &made, b"").await;
        assert_eq!(ran.last, json!({"exit": {"code": 0}}));
        let file = open.worker.state("vnodes/v7/disk/upper/root/su");
        let meta = fs::metadata(&file).expect("the file");
        assert_eq!(
            (meta.uid(), meta.mode() & 0o4777),
            (open.worker.uid_base, 0o4755)
        );
        let (file, image) = (
            file.display().to_string(),
            open.worker.state("images").display().to_string(),
        );
        for path in [&file, &image] {
            let reached = std::os::unix::process::CommandExt::uid(
                std::process::Command::new("/bin/ls").arg(path),
                65_533,
            )
            .output()
            .expect("ls runs");
            assert!(!reached.status.success(), "{path} is within reach");
        }
        open.end().await;
    });
}

/// A worker's own programs must not count what a vnode made where they look.
#[test]
fn a_vnode_may_name_its_host_and_mount_for_itself_and_use_a_terminal() {
    in_own_network(async {
        let open = Open::new().await;
        let own = "hostname elsewhere && hostname && mkdir /tmp/m && mount -t tmpfs none /tmp/m && echo mounted \
                   && echo x > /dev/null && head -c 4 /dev/urandom | wc -c && id -u";
        let ran = run(&mut open.socket("/exec").await, &["sh", "-c", own], b"").await;
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert_eq!(text, "elsewhere\nmounted\n4\n0\n", "{ran:?}");
        open.end().await;
    });
}

#[test]
fn a_fork_bomb_ends_with_its_vnode() {
    in_own_network(async {
        let open = Open::new().await;
        let mut socket = open.socket("/exec").await;
        let bomb = json!({"vnode": 7, "epoch": 10, "argv": ["sh", "-c", "b() { b | b & }; b; sleep 1000"]});
        let bomb = tokio_tungstenite::tungstenite::Message::text(bomb.to_string());
        futures_util::SinkExt::send(&mut socket, bomb)
            .await
            .expect("sent");
        until("a full vnode", || {
            let count = open.worker.cgroup_file(V7, &["pids.current"]);
            (count.parse().is_ok_and(|count: u32| count > 50)).then_some(())
        });
        open.end().await;
    });
}
