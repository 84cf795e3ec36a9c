//! What is particular to snapshots: their commands, events and refusals, and when they come and go by themselves. The
//! rows themselves are [`crate::model::snapshot`], the rules are in [`crate::decide`].

pub mod command;
pub mod event;
pub mod refusal;
pub mod schedule;
