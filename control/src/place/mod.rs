//! The scheduler: which worker takes a vnode, as a pure function of a frozen state.

mod batch;
mod board;
mod filter;
mod load;
pub mod rebalance;
mod standings;
#[cfg(test)]
mod tests;

pub use batch::Batch;
pub use board::{Board, Rank};
pub use filter::{Dimension, Obstacle};
pub use load::{Load, load};

use crate::event::{Event, VnodeRef};
use crate::gpus;
use crate::id::Epoch;
use crate::model::{Placement, Vnode, Worker};
use crate::state::State;

/// What happens when `vnode` comes to `worker`, which lacks nothing for it.
#[must_use]
pub fn placing(state: &State, worker: &Worker, vnode: &Vnode, epoch: Epoch) -> Vec<Event> {
    let about = VnodeRef::from(vnode);
    let gpus = gpus::choose(state, worker, &state.wishes_of(vnode.id).gpus);
    let given = (!gpus.is_empty()).then_some(Event::GpusGiven { about, gpus });
    let placement = Placement {
        worker: worker.id,
        epoch,
    };
    let placed = Event::VnodePlaced { about, placement };
    given.into_iter().chain([placed]).collect()
}
