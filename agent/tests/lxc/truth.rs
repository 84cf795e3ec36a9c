//! What a vnode sees of itself, where lxcfs runs.

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
