//! What a vnode sees of itself, where lxcfs runs.

use std::fs;
use std::path::Path;

use crate::door::Open;
use crate::exec::run;
use crate::support::in_own_network;

#[test]
fn a_vnode_sees_its_own_memory_and_cores_and_not_the_workers() {
    if !Path::new("/var/lib/lxcfs/proc/meminfo").exists() {
        println!("not tried: lxcfs does not run here (`docklet dev up` starts it)");
        return;
    }
    in_own_network(async {
        let open = Open::new().await;
        let script = "grep MemTotal /proc/meminfo; cat /sys/devices/system/cpu/online; \
                      grep -c ^processor /proc/cpuinfo; echo $OMP_NUM_THREADS; cut -d. -f1 /proc/uptime";
        let ran = run(&mut open.socket("/exec").await, &["sh", "-c", script], b"").await;
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        let words: Vec<&str> = lines[0].split_whitespace().collect();
        assert_eq!(words, ["MemTotal:", "49152", "kB"]);
        assert_eq!(lines[1..4], ["0", "1", "1"], "half a core is one");
        let up: u64 = lines[4].parse().expect("seconds");
        assert!(up < 60, "{up} s, and not as long as the worker");
        open.end().await;
    });
}

/// Neither goes by /proc: they ask the kernel, which says what the worker has (docs/limits.md).
#[test]
fn free_and_nproc_of_busybox_tell_of_the_worker() {
    in_own_network(async {
        let open = Open::new().await;
        let script = "free -k; nproc";
        let ran = run(&mut open.socket("/exec").await, &["sh", "-c", script], b"").await;
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        let memory = text.lines().find(|line| line.starts_with("Mem:"));
        let total = memory.and_then(|line| line.split_whitespace().nth(1));
        let total: u64 = total.and_then(|kib| kib.parse().ok()).expect("KiB");
        let cores: usize = text
            .lines()
            .last()
            .and_then(|n| n.parse().ok())
            .expect("cores");
        println!("{total} KiB, {cores} cores");
        let all = std::thread::available_parallelism().expect("cores").get();
        assert_eq!(cores, all);
        let worker = fs::read_to_string("/proc/meminfo").expect("a file");
        let worker = worker.split_whitespace().nth(1).expect("MemTotal");
        assert_eq!(total.to_string(), worker);
        open.end().await;
    });
}
