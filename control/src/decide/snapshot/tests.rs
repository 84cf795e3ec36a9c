//! How many snapshots a vnode may have; what a story would need pages for.

use std::net::Ipv4Addr;

use super::*;
use crate::amount::VnodeSize;
use crate::id::{Digest, Epoch, LogIndex, UserId, WorkerId};
use crate::model::{Placement, VnodeSeen};

fn vnode() -> Vnode {
    Vnode {
        id: VnodeId(1),
        vcluster: VclusterId(1),
        owner: UserId(1),
        ordinal: 0,
        wanted: VnodeWanted::Running,
        image: Digest([1; 32]),
        size: VnodeSize::default(),
        address: Ipv4Addr::new(10, 64, 0, 2),
        placement: Some(Placement {
            worker: WorkerId(1),
            epoch: Epoch(1),
        }),
        obstacles: Vec::new(),
        seen: VnodeSeen::Running,
        seen_at: UnixMs(0),
        created_at: UnixMs(0),
    }
}

/// Its snapshots with these numbers.
fn with(vnode: &Vnode, why: SnapshotWhy, numbers: std::ops::Range<u64>) -> State {
    let mut state = State::default();
    for number in numbers {
        state.put_snapshot(Snapshot {
            vnode: vnode.id,
            number: LogIndex(number),
            name: Name::parse("snapshot", &format!("s{number}")).expect("a name"),
            vcluster: vnode.vcluster,
            owner: vnode.owner,
            epoch: Epoch(1),
            why,
            asked_at: UnixMs(0),
            expires_at: None,
            seen: SnapshotSeen::Wanted,
        });
    }
    state
}

#[test]
fn people_have_so_many_of_a_vnode_and_what_comes_by_itself_does_not_count() {
    let vnode = vnode();
    let most = Snapshot::PER_VNODE_MAX as u64;
    let one_less = with(&vnode, SnapshotWhy::Asked, 0..most - 1);
    assert_eq!(check_room(&one_less, &vnode), Ok(()));
    let full = with(&vnode, SnapshotWhy::Asked, 0..most);
    assert_eq!(
        check_room(&full, &vnode),
        Err(SnapshotRefusal::TooMany {
            vnode: "host-0".to_owned(),
            most: 32
        })
    );
    let scheduled = with(&vnode, SnapshotWhy::Scheduled, 0..most);
    assert_eq!(check_room(&scheduled, &vnode), Ok(()));
}

#[test]
fn of_what_restores_leave_the_oldest_gives_way_unless_it_is_what_is_restored() {
    let vnode = vnode();
    let most = Snapshot::BEFORE_RESTORE_MAX as u64;
    let goes = |state: &State, source: u64| -> Vec<u64> {
        let source = &state.snapshots[&(vnode.id, LogIndex(source))];
        let events = superseded(state, &vnode, source).expect("nothing is copied");
        let number = |event: Event| {
            let Event::Snapshot(SnapshotEvent::Deleted { number, .. }) = event else {
                panic!("{event:?}")
            };
            number.0
        };
        events.into_iter().map(number).collect()
    };
    let two = with(&vnode, SnapshotWhy::Restored, 1..most);
    assert_eq!(goes(&two, 1), [0; 0]);
    let all = with(&vnode, SnapshotWhy::Restored, 1..most + 1);
    assert_eq!(goes(&all, 3), [1]);
    assert_eq!(goes(&all, 1), [2]);
}
