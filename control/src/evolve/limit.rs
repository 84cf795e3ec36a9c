//! Limits that change while vnodes run.

use super::vnode;
use crate::id::{LogIndex, VnodeId};
use crate::limit::event::LimitEvent;
use crate::model::{UserHome, VclusterBandwidth, VnodeResize};
use crate::report::ResizeTold;
use crate::state::State;

pub(super) fn evolve(state: &mut State, event: LimitEvent) {
    match event {
        LimitEvent::VclusterResized { about, size } => {
            if let Some(vcluster) = state.vclusters.get_mut(&about.vcluster) {
                vcluster.size = size;
            }
        }
        LimitEvent::VnodeResized { about, size } => {
            vnode::change(state, about.vnode, |row| row.size = size);
        }
        LimitEvent::BandwidthWished { about, rate } => {
            let vcluster = about.vcluster;
            match rate {
                Some(rate) if state.vclusters.contains_key(&vcluster) => {
                    state.put_vcluster_bandwidth(VclusterBandwidth { vcluster, rate });
                }
                Some(_) | None => state.remove_vcluster_bandwidth(&vcluster),
            }
        }
        LimitEvent::BandwidthCeilingSet { ceiling } => state.bandwidth_ceiling = Some(ceiling),
        LimitEvent::ResizeAsked { resize, .. } => {
            if state.vnodes.contains_key(&resize.vnode) {
                state.put_vnode_resize(resize);
            }
        }
        LimitEvent::UsualHomeSet { usual } => state.usual_home = Some(usual),
        LimitEvent::HomeSet { user, disk_mib } => match disk_mib {
            Some(disk_mib) if state.users.contains_key(&user) => {
                state.put_user_home(UserHome { user, disk_mib });
            }
            Some(_) | None => state.remove_user_home(&user),
        },
        LimitEvent::ResizeTold {
            about,
            number,
            told,
        } => resize_told(state, about.vnode, number, told),
    }
}

fn resize_told(state: &mut State, vnode: VnodeId, number: LogIndex, told: ResizeTold) {
    let known = state.vnode_resizes.get(&vnode).cloned();
    let Some(resize) = known.filter(|resize| resize.number == number) else {
        return;
    };
    match told {
        ResizeTold::Done => state.remove_vnode_resize(&vnode),
        ResizeTold::Waits { cause } => state.put_vnode_resize(VnodeResize {
            waits: cause,
            ..resize
        }),
    }
}
