//! What may happen to limits, so that whoever has the vnodes is told.

use docklet_control::State;
use docklet_control::amount::{DiskMib, MemoryMib, VnodeSize};
use docklet_control::event::{Event, VclusterRef, VnodeRef};
use docklet_control::id::{LogIndex, UserId, VclusterId, VnodeId};
use docklet_control::limit::event::LimitEvent;
use docklet_control::model::{Bandwidth, HomeUsual, KbitPerS, VnodeResize};
use docklet_control::report::ResizeTold;
use proptest::prelude::*;

/// Of a vcluster or vnode, by number.
#[derive(Clone, Debug)]
pub enum Happening {
    Wished(u64, Option<u32>),
    Ceiling(Option<u32>),
    Resized(u64, u32),
    Asked(u64),
    Told(u64, ResizeTold),
    UsualHome(u64),
    Home(u64, Option<u64>),
}

pub fn happening(
    vcluster: impl Strategy<Value = u64>,
    vnode: impl Strategy<Value = u64> + Clone,
) -> impl Strategy<Value = Happening> {
    let rate = || prop::option::of(1..4_u32);
    let waits = ResizeTold::Waits {
        cause: "busy".to_owned(),
    };
    let told = prop::sample::select(vec![ResizeTold::Done, waits]);
    prop_oneof![
        (1..3_u64).prop_map(Happening::UsualHome),
        (1..4_u64, prop::option::of(1..3_u64)).prop_map(|(id, home)| Happening::Home(id, home)),
        (vcluster, rate()).prop_map(|(id, rate)| Happening::Wished(id, rate)),
        rate().prop_map(Happening::Ceiling),
        (vnode.clone(), 1..3_u32).prop_map(|(id, memory)| Happening::Resized(id, memory)),
        vnode.clone().prop_map(Happening::Asked),
        (vnode, told).prop_map(|(id, told)| Happening::Told(id, told)),
    ]
}

/// None if what it is about is not there.
pub fn event(state: &State, happening: Happening) -> Option<Event> {
    let vnode = |id: u64| state.vnodes.get(&VnodeId(id));
    let event = match happening {
        Happening::Wished(id, rate) => LimitEvent::BandwidthWished {
            about: VclusterRef::from(state.vclusters.get(&VclusterId(id))?),
            rate: rate.map(KbitPerS),
        },
        Happening::Ceiling(rate) => LimitEvent::BandwidthCeilingSet {
            ceiling: Bandwidth {
                sent: None,
                received: rate.map(KbitPerS),
            },
        },
        Happening::Resized(id, memory) => LimitEvent::VnodeResized {
            about: VnodeRef::from(vnode(id)?),
            size: VnodeSize {
                memory_mib: MemoryMib(memory),
                ..VnodeSize::default()
            },
        },
        Happening::Asked(id) => {
            let vnode = vnode(id)?;
            LimitEvent::ResizeAsked {
                about: VnodeRef::from(vnode),
                resize: VnodeResize {
                    vnode: vnode.id,
                    number: LogIndex(1),
                    epoch: vnode.placement?.epoch,
                    holds: VnodeSize::default(),
                    waits: String::new(),
                },
            }
        }
        Happening::UsualHome(mib) => LimitEvent::UsualHomeSet {
            usual: HomeUsual {
                disk_mib: DiskMib(mib),
            },
        },
        Happening::Home(id, mib) => LimitEvent::HomeSet {
            user: UserId(id),
            disk_mib: mib.map(DiskMib),
        },
        Happening::Told(id, told) => LimitEvent::ResizeTold {
            about: VnodeRef::from(vnode(id)?),
            number: LogIndex(1),
            told,
        },
    };
    Some(Event::Limit(event))
}
