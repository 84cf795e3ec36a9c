//! When a vnode counts as running, and what is said of one that does not come up.

use std::fs;
use std::sync::Arc;

use crate::defences::{item, leave_out};
use crate::in_place::prepare;
use crate::support::{Worker, in_own_network, observe, perform, round, spec, try_to};
use docklet_agent::host::Act;
use docklet_agent::host::linux::LinuxHost;
use docklet_control::assignment::AssignedVnode;
use docklet_control::id::{Epoch, VnodeId};
use docklet_control::model::KbitPerS;
use docklet_control::model::VnodeWanted::Running;
use docklet_link::Authority;

const V7: VnodeId = VnodeId(7);

fn worker() -> Worker {
    Worker::new(
        &Authority::create(crate::support::CLUSTER).expect("an authority"),
        5,
    )
}

/// The vnode, with all that its start needs.
async fn prepared(worker: &Worker, host: &Arc<LinuxHost>) -> AssignedVnode {
    let vnode = worker.vnode(7, Running);
    prepare(worker, host, &vnode).await;
    vnode
}

#[test]
fn a_vnode_whose_first_process_ends_has_not_started() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        let vnode = prepared(&worker, &host).await;
        for init in ["/bin/false", "/no/such/program"] {
            let mut spec = spec();
            spec.init = vec![init.to_owned()];
            let fault = try_to(&host, Act::Start(Box::new(vnode.clone()), spec, None)).await;
            let cause = fault.expect_err("it cannot start");
            assert!(
                cause.contains("first process") || cause.contains("start failed"),
                "{cause}"
            );
            assert!(!observe(&host).await.vnodes[&V7].running);
        }
        perform(&host, Act::Start(Box::new(vnode), spec(), None)).await;
        perform(&host, Act::Remove(V7)).await;
    });
}

#[test]
fn a_vnode_whose_network_does_not_answer_has_not_started() {
    in_own_network(async {
        let mut worker = worker();
        // Its device has no address, so that nobody answers for it. By its file liblxc sets up those that are moved, as with a limit.
        leave_out(&mut worker.config, &[item("lxc.net.0.ipv4.", "", None)]);
        let host = worker.open();
        let mut vnode = prepared(&worker, &host).await;
        vnode.bandwidth.received = Some(KbitPerS(8_000));
        let mut deaf = spec();
        deaf.init = ["/bin/sleep", "1000"].map(str::to_owned).to_vec();
        let fault = try_to(&host, Act::Start(Box::new(vnode), deaf, None)).await;
        let cause = fault.expect_err("it does not answer");
        assert!(
            cause.contains("10.64.0.7 does not answer on eth0"),
            "{cause}"
        );
        assert!(!observe(&host).await.vnodes[&V7].running, "and it is ended");
        perform(&host, Act::Remove(V7)).await;
    });
}

#[test]
fn an_earlier_placement_than_the_one_that_is_here_is_refused() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        let vnode = worker.vnode(7, Running);
        round(&host, &worker.assignment(vec![vnode.clone()])).await;
        let init = worker.init_pid(V7);
        let mut stale = vnode;
        stale.epoch = Epoch(9);
        for act in [
            Act::Prepare(Box::new(stale.clone())),
            Act::Start(Box::new(stale), spec(), None),
        ] {
            let cause = try_to(&host, act).await.expect_err("refused");
            assert!(
                cause.contains("placement 10, which is later than 9"),
                "{cause}"
            );
        }
        assert_eq!(worker.init_pid(V7), init, "it runs on");
        let text = fs::read_to_string(worker.state("vnodes/v7/placed.json")).expect("a file");
        assert!(text.contains("\"epoch\":10"), "{text}");
        perform(&host, Act::Remove(V7)).await;
    });
}
