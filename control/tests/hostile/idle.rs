//! Vnodes that do nothing, with values that hurt.

use docklet_control::id::{Epoch, VclusterId, VnodeId, WorkerId};
use docklet_control::idle::command::{IdleCommand, IdleReport};
use docklet_control::{Actor, Command, State};
use proptest::prelude::*;

use super::{anybody, number};

pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    prop_oneof![
        4 => report().prop_map(|command| (who(&command), command)),
        2 => stop().prop_map(|command| (Actor::Duty, command)),
        1 => (anybody(), command()),
    ]
    .prop_map(|(who, command)| (who, Command::Idle(command)))
    .boxed()
}

pub fn command() -> BoxedStrategy<IdleCommand> {
    prop_oneof![report(), stop()].boxed()
}

fn who(command: &IdleCommand) -> Actor {
    match command {
        IdleCommand::Report { worker, .. } => Actor::Worker(*worker),
        IdleCommand::Stop { .. } => Actor::Duty,
    }
}

fn report() -> BoxedStrategy<IdleCommand> {
    let one = (1_u64..8, number(), any::<u64>()).prop_map(|(vnode, epoch, for_ms)| IdleReport {
        vnode: VnodeId(vnode),
        epoch: Epoch(epoch),
        for_ms,
    });
    (2_u64..9, proptest::collection::vec(one, 0..4))
        .prop_map(|(worker, idle)| IdleCommand::Report {
            worker: WorkerId(worker),
            idle,
        })
        .boxed()
}

fn stop() -> BoxedStrategy<IdleCommand> {
    proptest::collection::vec((1_u64..6).prop_map(VclusterId), 0..4)
        .prop_map(|vclusters| IdleCommand::Stop { vclusters })
        .boxed()
}

/// Workers tell of placements that are there, now and then.
pub fn aim(command: &mut Command, state: &State) {
    let Command::Idle(IdleCommand::Report { idle, .. }) = command else {
        return;
    };
    for report in idle {
        let vnode = state.vnodes.get(&report.vnode);
        if let Some(placement) = vnode.and_then(|vnode| vnode.placement) {
            report.epoch = placement.epoch;
        }
    }
}
