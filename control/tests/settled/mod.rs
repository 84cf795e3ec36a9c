//! The common cases, one by one: nobody else is named.

use std::collections::BTreeSet;

use docklet_control::State;
use docklet_control::event::{Event, VnodeRef};
use docklet_control::id::{Epoch, UserId, VnodeId, WorkerId};
use docklet_control::model::{Placement, VnodeSeen, VnodeWanted};
use docklet_control::touched::touched;

use super::{Happening, WORKERS, after, beginning, digest, event, user, vnode};

/// Vnodes 1 to 3 of vcluster 2 on workers 1 to 3, vnodes 4 and 5 of vcluster 4 on workers 3 and 4, all of image 1, which
/// all 16 workers hold.
fn settled() -> State {
    let mut state = beginning();
    for (id, vcluster_id, worker) in [(1, 2, 1), (2, 2, 2), (3, 2, 3), (4, 4, 3), (5, 4, 4)] {
        let vnode = vnode(id, vcluster_id, 1);
        let placement = Placement {
            worker: WorkerId(worker),
            epoch: Epoch(1),
        };
        let about = VnodeRef::from(&vnode);
        state = after(state, Event::VnodeCreated { vnode });
        state = after(state, Event::VnodePlaced { about, placement });
    }
    for worker in 1..=WORKERS {
        let (digest, worker) = (digest(1), WorkerId(worker));
        state = after(state, Event::ImageHeld { digest, worker });
    }
    state
}

/// Workers that are named when these things happen.
fn named(state: &State, happenings: impl IntoIterator<Item = Happening>) -> Vec<u64> {
    let next = happenings
        .into_iter()
        .fold(state.clone(), |state, happening| {
            let event = event(&state, happening).expect("it is there");
            after(state, event)
        });
    let touched = touched(state, &next);
    assert!(!touched.all_workers);
    touched.workers.into_iter().map(|worker| worker.0).collect()
}

#[test]
fn what_a_vnode_is_seen_to_do_concerns_its_owner_and_no_worker() {
    let state = settled();
    let seen = Event::VnodeSeen {
        about: VnodeRef::from(&state.vnodes[&VnodeId(4)]),
        seen: VnodeSeen::Running,
    };
    let touched = touched(&state, &after(state.clone(), seen));
    assert!(touched.workers.is_empty() && !touched.all_workers && !touched.shared);
    assert_eq!(touched.owners, BTreeSet::from([UserId(2)]));
    assert!(touched.concerns(&user(2)) && !touched.concerns(&user(1)));
}

#[test]
fn a_vnode_that_is_to_stop_concerns_its_worker_only() {
    assert_eq!(
        named(&settled(), [Happening::Wanted(4, VnodeWanted::Stopped)]),
        [3]
    );
}

#[test]
fn a_vnode_that_comes_concerns_who_knows_its_siblings_and_its_segment() {
    let state = settled();
    // Of the same vcluster: its workers learn the name, and now have worker 9 as a neighbour.
    let came = [Happening::Vnode(6, 2, 1), Happening::Placed(6, 9)];
    assert_eq!(named(&state, came), [1, 2, 3, 9]);
    // Of another vcluster of the same owner, on a worker that is in the segment anyway.
    let came = [Happening::Vnode(6, 3, 1), Happening::Placed(6, 2)];
    assert_eq!(named(&state, came), [2]);
}

#[test]
fn a_port_concerns_the_worker_of_its_vnode() {
    let state = settled();
    assert_eq!(named(&state, [Happening::PortAdded(1, 4)]), [3]);
    let open = event(&state, Happening::PortAdded(1, 4)).expect("it is there");
    let open = after(state, open);
    assert_eq!(named(&open, [Happening::PortRemoved(1)]), [3]);
    assert_eq!(named(&open, [Happening::PortAdded(1, 5)]), [3, 4]);
}

#[test]
fn a_disk_that_grows_concerns_the_worker_of_its_vnode() {
    assert_eq!(named(&settled(), [Happening::Wished(4, 1)]), [3]);
}

#[test]
fn a_machine_that_comes_concerns_all_who_have_gateways() {
    let state = settled();
    assert_eq!(named(&state, [Happening::Worker(17, 9)]), [1, 2, 3, 4]);
}

#[test]
fn a_holder_concerns_those_who_may_fetch_from_it() {
    let state = settled();
    // Workers 1 to 4 have vnodes of the image; worker 12 is among the next eight holders of 3 and 4 only, and of 2 if it
    // holds none itself.
    assert_eq!(named(&state, [Happening::Lost(1, 12)]), [3, 4]);
    assert!(named(&state, [Happening::Lost(1, 16)]).is_empty());
    assert!(named(&state, [Happening::Held(2, 16)]).is_empty());
}

#[test]
fn a_change_of_nothing_concerns_nobody() {
    let state = settled();
    assert!(touched(&state, &state.clone()).is_nobody());
}
