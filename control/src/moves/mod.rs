//! Moves of vnodes between workers: asked for by people and by the leader, carried out by the two workers, each step an
//! entry. Since version 3.
//!
//! The vnode has one placement at every moment, and only the worker that it names lets it run. Until the entry that
//! places it at the other worker it can stay; from then on it goes on there, or, if it cannot start there and nothing of it
//! is left there, where it was. What its old worker has is kept until the new one has said that it is as wanted.

pub mod command;
pub mod due;
pub mod event;
pub mod live;
pub(crate) mod occupation;
pub mod refusal;
