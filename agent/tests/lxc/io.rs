//! What a vnode reads and writes comes to the worker's disk no faster than its limit says.

use std::time::Instant;

use docklet_agent::limits::IoLimit;
use docklet_control::id::VnodeId;
use docklet_control::model::VnodeWanted::{Removed, Running};
use docklet_link::Authority;

use crate::support::{CLUSTER, Worker, in_own_network, round, run_in};

const V7: VnodeId = VnodeId(7);
const MIB: u32 = 8;
/// Far less than any disk can.
const LIMIT_MIB_PER_S: u32 = 2;

/// Past the vnode's own memory, so that each byte is one of the disk's.
const WAYS: [(&str, &str); 2] = [
    (
        "written",
        "dd if=/dev/zero of=/root/bytes bs=256k count=32 oflag=direct conv=fsync 2>&1",
    ),
    (
        "read",
        "dd if=/root/bytes of=/dev/null bs=256k iflag=direct 2>&1",
    ),
];

/// MiB a second, each way, of a vnode of a worker that limits them so.
async fn rates(io: IoLimit) -> [f64; 2] {
    let mut worker = Worker::new(&Authority::create(CLUSTER).expect("an authority"), 5);
    worker.config.vnode_io = io;
    let host = worker.open();
    round(&host, &worker.assignment(vec![worker.vnode(7, Running)])).await;
    let says = worker.cgroup_file(V7, &["blkio.throttle.write_bps_device", "io.max"]);
    assert!(says.contains(&io.bytes_per_s.to_string()), "{says}");
    let rates = WAYS.map(|(what, line)| {
        let begun = Instant::now();
        run_in(&worker, 7, line);
        let rate = f64::from(MIB) / begun.elapsed().as_secs_f64();
        println!("{} bytes/s at most: {what} {rate:.1} MiB/s", io.bytes_per_s);
        rate
    });
    round(&host, &worker.assignment(vec![worker.vnode(7, Removed)])).await;
    round(&host, &worker.assignment(Vec::new())).await;
    rates
}

#[test]
fn what_a_vnode_reads_and_writes_is_slowed_to_its_limit_and_not_without() {
    in_own_network(async {
        let usual = IoLimit::default();
        let limited = rates(IoLimit {
            bytes_per_s: u64::from(LIMIT_MIB_PER_S) << 20,
            ..usual
        });
        let limited = limited.await;
        let free = rates(usual).await;
        for ((what, _), (limited, free)) in WAYS.iter().zip(limited.into_iter().zip(free)) {
            // The kernel lets what fits into a moment through at once.
            let most = f64::from(LIMIT_MIB_PER_S) * 1.5;
            assert!(limited <= most, "{what}: {limited} MiB/s");
            assert!(free >= limited * 2.0, "{what}: {free} after {limited}");
        }
    });
}
