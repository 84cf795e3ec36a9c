//! What may happen to moves, so that both workers and everybody in the segment are told.

use docklet_control::State;
use docklet_control::event::{Event, VnodeRef};
use docklet_control::id::{Epoch, LogIndex, UnixMs, UserId, VnodeId, WorkerId};
use docklet_control::model::{
    Copied, Move, MoveEnd, MoveStage, MoveTimes, MoveWay, MoveWhy, Placement,
};
use docklet_control::moves::event::MoveEvent;
use proptest::prelude::*;

/// Of a vnode, by number.
#[derive(Clone, Debug)]
pub enum Happening {
    Begun(u64, u64, MoveWay),
    Copied(u64, u64),
    Switching(u64),
    WayChanged(u64),
    Placed(u64),
    Returning(u64),
    PlacedBack(u64),
    Ended(u64),
}

pub fn happening(
    vnode: impl Strategy<Value = u64> + Clone,
    worker: impl Strategy<Value = u64>,
) -> impl Strategy<Value = Happening> {
    let way = prop::sample::select(vec![MoveWay::Live, MoveWay::Refresh, MoveWay::Cold]);
    prop_oneof![
        6 => (vnode.clone(), worker, way).prop_map(|(id, to, way)| Happening::Begun(id, to, way)),
        1 => (vnode.clone(), 1..3_u64).prop_map(|(id, bytes)| Happening::Copied(id, bytes)),
        3 => vnode.clone().prop_map(Happening::Switching),
        2 => vnode.clone().prop_map(Happening::WayChanged),
        3 => vnode.clone().prop_map(Happening::Placed),
        2 => vnode.clone().prop_map(Happening::Returning),
        2 => vnode.clone().prop_map(Happening::PlacedBack),
        2 => vnode.prop_map(Happening::Ended),
    ]
}

/// None if what it is about is not there.
pub fn event(state: &State, happening: Happening) -> Option<Event> {
    let number = LogIndex(1);
    let about = |id: u64| state.vnodes.get(&VnodeId(id)).map(VnodeRef::from);
    let moving = |id: u64| state.open_move(VnodeId(id));
    let cause = "it may be".to_owned();
    let event = match happening {
        Happening::Begun(id, to, way) => {
            let vnode = state.vnodes.get(&VnodeId(id))?;
            let placed = vnode.placement.filter(|placed| placed.worker.0 != to)?;
            MoveEvent::Begun {
                about: VnodeRef::from(vnode),
                began: Box::new(Move {
                    vnode: vnode.id,
                    number,
                    owner: vnode.owner,
                    why: MoveWhy::Asked(UserId(1)),
                    way,
                    falls_back: true,
                    not_live: None,
                    from: placed.worker,
                    epoch: placed.epoch,
                    to: WorkerId(to),
                    stage: MoveStage::Copying,
                    copied: Copied::default(),
                    heard_at: UnixMs(0),
                    times: MoveTimes::default(),
                    ran: true,
                    gpus: Vec::new(),
                }),
            }
        }
        Happening::Copied(id, sent_bytes) => MoveEvent::Copied {
            about: about(id)?,
            number,
            copied: Copied {
                sent_bytes,
                ..Copied::default()
            },
        },
        Happening::Switching(id) => MoveEvent::Switching {
            about: about(id)?,
            number,
            ran: true,
        },
        Happening::WayChanged(id) => MoveEvent::WayChanged {
            about: about(id)?,
            number,
            way: MoveWay::Refresh,
            cause,
        },
        Happening::Placed(id) => MoveEvent::Placed {
            about: about(id)?,
            number,
            placement: Placement {
                worker: moving(id)?.to,
                epoch: Epoch(100),
            },
        },
        Happening::Returning(id) => MoveEvent::Returning {
            about: about(id)?,
            number,
            cause,
        },
        Happening::PlacedBack(id) => MoveEvent::PlacedBack {
            about: about(id)?,
            number,
            placement: Placement {
                worker: moving(id)?.from,
                epoch: Epoch(101),
            },
            cause,
        },
        Happening::Ended(id) => MoveEvent::Ended {
            about: about(id)?,
            number,
            end: MoveEnd::Moved,
        },
    };
    Some(Event::Moved(event))
}
