//! Which GPUs of a worker nobody has, and which of them a vnode gets.
//!
//! A GPU is given to one vnode at a time in the whole cluster, whichever worker says that it has it: several agents may
//! run on one machine. What a vnode was given stays its own until its worker has said that nothing of it is left.

use crate::model::{Gpu, GpuWish, Worker};
use crate::state::State;

/// How many GPUs of the wanted kind a worker has, and how many of them nobody has.
#[must_use]
pub fn count(state: &State, worker: &Worker, wish: &GpuWish) -> (u32, u32) {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let free = fitting(worker, wish).filter(|gpu| is_free(state, gpu));
    (number(fitting(worker, wish).count()), number(free.count()))
}

/// How many GPUs of a worker are some vnode's.
#[must_use]
pub fn given(state: &State, worker: &Worker) -> u32 {
    let (all, free) = count(state, worker, &GpuWish::default());
    all - free
}

/// The first free ones in the order in which the worker lists them.
#[must_use]
pub fn choose(state: &State, worker: &Worker, wish: &GpuWish) -> Vec<String> {
    fitting(worker, wish)
        .filter(|gpu| is_free(state, gpu))
        .take(wish.count as usize)
        .map(|gpu| gpu.uuid.clone())
        .collect()
}

/// A GPU that is listed twice is one.
fn fitting<'w>(worker: &'w Worker, wish: &'w GpuWish) -> impl Iterator<Item = &'w Gpu> {
    let gpus = &worker.facts.capacity.gpus;
    let listed = gpus.iter().enumerate();
    let once =
        listed.filter(move |(at, gpu)| !gpus[..*at].iter().any(|other| other.uuid == gpu.uuid));
    once.map(|(_, gpu)| gpu).filter(move |gpu| wish.fits(gpu))
}

fn is_free(state: &State, gpu: &Gpu) -> bool {
    state.vnode_with_gpu(&gpu.uuid).is_none() && !state.gpu_is_kept(&gpu.uuid)
}
